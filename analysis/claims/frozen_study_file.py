"""What a study was frozen to decide: `study.json`, written before its first confirmation run, and held to by a hash.

Everything that decides a verdict stands in it: the claims with their margins, the tasks, arms and grid as they were
said, the settings they compose to, the points that tuning chose, the seeds. Nothing else does. Whoever reads the file
checks the hash, and refuses a file that was changed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from analysis.claims.claim import Claim
from analysis.common.command_line import CommandError
from analysis.records.read import finite, no_constant

VERSION = 2
FILE, KEPT = "study.json", "study-{}.json"  # a study that is frozen again keeps the earlier file under its hash
HASHES = ("hash", "hashes")
POINT = {"identity", "chosen", "edge"}
SHARED, OWN = CHOICES = ("shared", "own")
AGAIN = "python -m experiments.study experiment={} study={} refreeze=true freezes it again, for fresh seeds"


class UnreadableStudyError(CommandError):
    """A study.json that is no JSON: a reader of runs can go on without it, and says so."""


class Choice(BaseModel):
    """A point of the grid for one arm on one task.

    chosen: its values; identity: the arm of the runs there; edge: the keys whose value is the grid's first or last.
    """

    identity: str
    chosen: dict[str, Any] = {}
    edge: list[str] = []


class FrozenCell(Choice):
    """An arm on a task, at the point that the arms of the task share.

    unit: of the task's score; own: the point at which this arm was best, None where that is the shared one;
    tuning: what the tuning runs measured at each point; settings: what the cell composes to, where cells differ.
    """

    task: str
    arm: str
    unit: str = "score"
    own: Choice | None = None
    tuning: list[dict[str, Any]] = []
    settings: dict[str, Any] = {}

    def at(self, choice: str) -> Choice:
        """The point of this cell at one of CHOICES."""
        return self.own or self if choice == OWN else self


class Predecessor(BaseModel):
    """The earlier freezing of a study that was frozen again."""

    hash: str | None = Field(description="of the earlier file; `null` if it was removed")
    file: str | None = Field(description="where that is kept; `null` if it was removed")
    used: list[int] = Field(description="every confirmation seed that had run before this freezing")
    changed: list[str] = Field(description="what the study said then and says now, a line each")


class FrozenStudy(BaseModel):
    """The content of a study.json, in the order in which it is written."""

    version: int = Field(VERSION, alias="schema", description=f"`{VERSION}`; no other is read")
    study: str = Field(description="the folder's name, as the runs have it")
    experiment: str = Field("", description="the study file's name")
    scale: str = Field("", description="`laptop` or `full`")
    claims: list[Claim] = Field(description="the claims with their margins, as the study file has them")
    tasks: dict[str, list[str]] = Field(description="what each task changes")
    arms: dict[str, list[str]] = Field({}, description="what each arm changes")
    grid: dict[str, list[Any]] = Field({}, description="the values that every arm is tuned over")
    factors: dict[str, list[Any]] = Field({}, description="the values of a balanced grid of untuned arms")
    search: dict[str, dict[str, Any]] = Field({}, description="the ranges of a random search")
    tuning_seeds: int = Field(0, description="how many")
    seeds: list[int] = Field(description="of the confirmation")
    extension: list[int] = Field([], description="further seeds if a comparison is undecided")
    settings: dict[str, Any] = Field({}, description="composed settings that all cells share")
    cells: list[FrozenCell] = Field(
        description="every arm on every task: `identity` is the arm of its runs, `chosen` the point of the grid that "
        "all arms share, `own` its own best point where that is another, `edge` what lies at the edge of the grid, "
        "`tuning` what was measured, `settings` those that others do not share, `unit` that of the score"
    )
    replication: dict[str, Any] | None = Field(
        None, description="the published table that it replicates, as its file has it; only where it does"
    )
    predecessor: Predecessor | None = Field(None, description="the freezing that this one replaces, and why")
    hashes: dict[str, str] = Field({}, description="of each part, 16 hex digits")
    hash: str = Field("", description="of the whole: a file that is not what was written is refused")

    @classmethod
    def read(cls, folder: str | Path) -> Self | None:
        """The frozen decisions of a study folder, None if it has none.

        Raises:
            UnreadableStudyError: it is damaged, so that nothing in it can be read.
            CommandError: naming the file and, if that can be known, the key: it was made by another version, or is not
                what was written.
        """
        path = Path(folder) / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"), parse_constant=no_constant, parse_float=finite)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise UnreadableStudyError(f"{path} cannot be read: {error}") from None
        check(path, content)
        if (kept := path.with_name(KEPT.format(content["hash"]))).exists():
            raise CommandError(f"{path} is an earlier freezing, kept as {kept.name}: the study was frozen again since")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CommandError(f"{path}: {where}: {first['msg']}") from None

    def content(self) -> dict[str, Any]:
        """What is written to study.json, hashes included."""
        absent = {"replication"} if self.replication is None else set()  # so that other studies stay as they were
        plain = json.loads(self.model_dump_json(by_alias=True, exclude={*HASHES, *absent}))
        parts = {key: digest(value) for key, value in plain.items()}
        return {**plain, "hashes": parts, "hash": digest({**plain, "hashes": parts})}

    def at(self, choice: str) -> dict[str, Any]:
        """The study at one of CHOICES: every cell with its point there."""
        cells = [
            {"task": cell.task, "arm": cell.arm, "unit": cell.unit, **cell.at(choice).model_dump(include=POINT)}
            for cell in self.cells
        ]
        return {**dict(self), "cells": cells}

    @property
    def used(self) -> list[int]:
        """The confirmation seeds of earlier freezings that have been seen."""
        return self.predecessor.used if self.predecessor else []

    @property
    def history(self) -> str:
        """How the study was frozen, for a reader."""
        if self.predecessor is None:
            return f"frozen as {self.hash}"
        before = self.predecessor
        seen = f"confirmation seeds up to {max(before.used)} had been seen" if before.used else "nothing had been seen"
        return f"frozen again as {self.hash} after {before.hash or 'a file that is gone'} ({seen}): " + "; ".join(
            before.changed
        )

    def current(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The runs without the confirmation runs of this study's earlier freezings."""
        mine = (runs["study"] == self.study) & (runs["phase"] == "confirm")
        return runs[~(mine & runs["seed"].isin(self.used))]


def digest(value: Any) -> str:
    """16 hex digits of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def check(path: Path, content: Any) -> None:
    """Raise CommandError unless this is a study.json of this version, as it was written."""
    if not isinstance(content, Mapping) or content.get("schema") != VERSION:
        known = content if isinstance(content, Mapping) else {}
        again = AGAIN.format(known.get("experiment", "NAME"), path.parent)
        raise CommandError(f"{path} has another schema than {VERSION}: it was written by another version; {again}")
    for key in HASHES:
        if key not in content:
            raise CommandError(f"{path} was changed after it was frozen: {key} is missing")
    whole = {key: value for key, value in content.items() if key != "hash"}
    if digest(whole) == content["hash"]:
        return
    known = content["hashes"] if isinstance(content["hashes"], Mapping) else {}
    plain = {key: value for key, value in content.items() if key not in HASHES}
    changed = sorted(key for key in {*plain, *known} if key not in plain or digest(plain[key]) != known.get(key))
    what = f"{', '.join(changed or HASHES)} is not what was written"
    raise CommandError(f"{path} was changed after it was frozen ({content['hash']}): {what}")
