"""A published table to be run again: `conf/replication/NAME.yaml`, what it quotes, how it is run, what counts as equal.

# python -m experiments.replicate NAME
paper: who, when, what, where
table: which table or figure
quoted: what exactly is quoted, and where it is from
metric: score                        # score | loss | steps
scale: ratio                         # ratio (ours / published) | difference
margin: 1.5                          # of a ratio the largest factor that still agrees, else the largest difference
reason: why this margin
seeds: 20                            # trials of ours
settings: {train: {steps: 2000}}     # the paper's protocol, as a run's configuration has it
tasks: {T=50: [task=adding, task.length=50]}           # a name, and what it sets
arms: {LSTM: [], GRU: [variant=gru]}                   # likewise
cells:                               # of the table; task and arm may be left out where there is one only
  - {arm: LSTM, trials: [.0025, .0040, .0033]}         # every trial,
  - {arm: GRU, value: .0011, sd: .0002, n: 10}         # or mean and standard deviation of n trials,
  - {task: T=200, arm: GRU, value: .002, margin: 3}    # or one value, which is weak evidence
claims: []                           # what the paper says of the order of arms, as in a study's file
deviations:                          # how we differ, and why
  - {what: the read-out's bias starts at 0, reason: there is no setting for it}
  - {what: truncated gradients, reason: not built, matters: true, cells: ["T=200, GRU"]}   # not comparable
needs: {}                            # settings that only the user can give, and what they are
expected: what is likely to be inconclusive, said beforehand
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, Self

from omegaconf import MISSING
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from analysis.claims.claim import EXPECTATIONS, SCALES, Claim
from analysis.common.command_line import nearest

PROSE = ("paper", "table", "quoted", "reason", "expected")  # that decides nothing


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("a finite number is needed")
    return value


Value = Annotated[float, AfterValidator(_finite)]


def _claim(content: Any) -> Any:
    """A claim of the file, whose class is no part of a strict model."""
    return TypeAdapter(Claim).validate_python(content, extra="forbid") if isinstance(content, dict) else content


class Part(BaseModel):
    """A part of the file; a key that is not here is refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Cell(Part):
    """A number of the table: every trial, or one value, with its spread and their number where they are known."""

    task: str = ""
    arm: str = ""
    trials: list[Value] = []
    value: Value | None = None
    sd: Value | None = None
    n: int | None = None
    margin: Value | None = None

    @property
    def numbers(self) -> list[float]:
        """The trials, or the value alone."""
        return self.trials if self.value is None else [self.value]

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if bool(self.trials) == (self.value is not None):
            raise ValueError("trials, or a value, is needed")
        if (self.sd is None) != (self.n is None) and not (self.sd is None and self.value is not None):
            raise ValueError("sd needs n")
        if self.trials and self.n is not None:
            raise ValueError("n and sd belong to a value; the trials have their own")
        if self.sd is not None and self.sd <= 0:
            raise ValueError("sd: a number above 0 is needed")
        if self.n is not None and self.n < (1 if self.sd is None else 2):
            raise ValueError("n: with sd 2 or more, else 1 or more, is needed")
        return self


class Deviation(Part):
    """How our protocol differs from the paper's."""

    what: str
    reason: str
    matters: bool = False
    cells: list[str] = []  # those it is about; all unless given


class Replication(Part):
    """The content of a file of conf/replication, see above."""

    paper: str
    table: str
    quoted: str
    metric: Literal["score", "loss", "steps"] = "score"
    scale: Literal["ratio", "difference"] = "ratio"
    margin: Value
    reason: str
    ceiling: Value | None = Field(None, description="a score of this or more is known as a bound only")
    seeds: int = Field(ge=1)
    settings: dict[str, Any] = {}
    tasks: dict[str, list[str]] = Field(min_length=1)
    arms: dict[str, list[str]] = Field(min_length=1)
    cells: list[Cell] = []
    claims: list[Annotated[Claim, BeforeValidator(_claim)]] = []
    deviations: list[Deviation] = []
    needs: dict[str, str] = {}
    expected: str = ""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not self.cells and not self.claims:
            raise ValueError("cells, or claims, are needed: there is nothing to compare")
        for place, cell in enumerate(self.cells):
            for key, known in (("task", self.tasks), ("arm", self.arms)):
                if not getattr(cell, key) and len(known) == 1:
                    setattr(cell, key, next(iter(known)))
                if getattr(cell, key) not in known:
                    raise ValueError(f"cells.{place}.{key}: {getattr(cell, key) or 'nothing'}{nearest('', known)}")
            if self.scale == "ratio" and any(number <= 0 for number in cell.numbers):
                raise ValueError(f"cells.{place}: a ratio needs values above 0: scale=difference")
        for key, margin in (("margin", self.margin), *((f"cells.{k}.margin", c.margin) for k, c in self.numbered)):
            if margin is not None and margin <= (1 if self.scale == "ratio" else 0):
                legal = "a factor above 1" if self.scale == "ratio" else "a difference above 0"
                raise ValueError(f"{key}: {margin:g}: {legal} is needed")
        names = self.names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"cells: {twice} is there twice")
        for place, deviation in enumerate(self.deviations):
            if unknown := next((name for name in deviation.cells if name not in names), None):
                raise ValueError(f"deviations.{place}.cells: {unknown}{nearest(unknown, names)}")
        self._check_claims()
        return self

    @property
    def numbered(self) -> list[tuple[int, Cell]]:
        return list(enumerate(self.cells))

    def _check_claims(self) -> None:
        for place, claim in enumerate(self.claims):
            if lacking := next(
                (key for key in ("sentence", "source", "expect") if getattr(claim, key) == MISSING), None
            ):
                raise ValueError(f"claims.{place}.{lacking} is missing")
            legal = {"metric": ("score", "loss", "steps"), "scale": SCALES, "expect": EXPECTATIONS}
            for key, words in legal.items():
                if getattr(claim, key) not in words:
                    raise ValueError(f"claims.{place}.{key}: {getattr(claim, key)}; legal are {', '.join(words)}")
            for key, given, known in (
                ("arms", [*claim.arms, claim.baseline], self.arms),
                ("tasks", [*claim.tasks, *([claim.against] if claim.against else [])], self.tasks),
            ):
                if unknown := next((name for name in given if name not in known), None):
                    raise ValueError(f"claims.{place}.{key}: {unknown}{nearest(unknown, known)}")
            if not claim.arms:
                raise ValueError(f"claims.{place}.arms: an arm to compare with the baseline is needed")

    @property
    def names(self) -> list[str]:
        """What each cell is called: its task and arm, of which the only one there is is left out."""
        return [self.name(cell) for cell in self.cells]

    def name(self, cell: Cell) -> str:
        parts = [cell.task] * (len(self.tasks) > 1) + [cell.arm] * (len(self.arms) > 1)
        return ", ".join(parts) or cell.task

    def margin_of(self, cell: Cell) -> float:
        """The margin of a cell in the unit of differences: a log for a ratio."""
        margin = self.margin if cell.margin is None else cell.margin
        return math.log(margin) if self.scale == "ratio" else margin

    def incomparable(self, name: str) -> str:
        """Why a cell cannot be compared with ours; empty if it can."""
        about = [d for d in self.deviations if d.matters and (not d.cells or name in d.cells)]
        return "; ".join(f"{deviation.what} ({deviation.reason})" for deviation in about)

    @property
    def comparable(self) -> list[str]:
        """The cells that can be compared with ours."""
        return [name for name in self.names if not self.incomparable(name)]


def replication(content: Any) -> Replication:
    """The file's content, checked.

    Raises:
        ValueError: naming the key, what came and what is legal.
    """
    try:
        return Replication.model_validate(content)
    except ValidationError as error:
        raise ValueError(_fault(error)) from None


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where}: there is no such key{nearest(str(first['loc'][-1]), _keys(first['loc']))}"
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}".removeprefix(": ")
    return f"{where}={first['input']!r}: {first['msg']}"


def _keys(place: Sequence[int | str]) -> list[str]:
    """The legal keys beside a key of the file."""
    if place[0] == "claims" and len(place) > 1:
        return [field.name for field in fields(Claim)]
    parts: dict[str, type[Part]] = {"cells": Cell, "deviations": Deviation}
    part = parts.get(str(place[0]), Replication) if len(place) > 1 else Replication
    return list(part.model_fields)
