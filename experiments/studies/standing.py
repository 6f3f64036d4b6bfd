"""Where a study stands at one instant: how many runs have which status, how far the running ones are, what failed."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims.frozen_study_file import FrozenStudy, UnreadableStudyError
from analysis.common.command_line import CommandError
from analysis.records import code_versions, columns, load
from analysis.records.archive import is_archive
from analysis.records.load import is_run, once_each
from analysis.records.read import UnreadableError, read_curves, read_run
from experiments.config.schema import ConfigError
from experiments.store.locks import is_held
from experiments.sweep import slurm_queue
from experiments.sweep.run_all import SWEEP

ERRORS_SHOWN = 5


@dataclass(frozen=True)
class Standing:
    """A study at one instant.

    Attributes:
        counts: (task, variant) -> how many runs have each status.
        waiting: runs of the last sweep that have not begun.
        progress: running runs as "run_id: step of steps".
        rate: runs ended a minute since the sweep began; None before the first.
        errors: the last failures and what cannot be read, a line each.
        slurm: the study's tasks in Slurm's queue; None if it never had any.
    """

    counts: dict[tuple[str, str], Counter[str]]
    waiting: int
    progress: list[str]
    rate: float | None
    errors: list[str]
    slurm: str | None

    @property
    def total(self) -> Counter[str]:
        """How many runs have each status."""
        return sum(self.counts.values(), Counter({"waiting": self.waiting}))

    @property
    def minutes_left(self) -> float | None:
        """Minutes until nothing waits, at the rate so far."""
        left = self.total["waiting"] + self.total["running"]
        return left / self.rate if self.rate else None


def look(study: Path) -> Standing:
    """Read where a study stands.

    Raises:
        CommandError: if there is no such study.
    """
    if not study.is_dir():
        raise CommandError(f"study={study}: no such folder")
    slurm, on_nodes = _slurm(study)
    records, unreadable = _records(study)
    try:
        FrozenStudy.read(study)  # refused if it was changed
    except UnreadableStudyError as error:
        unreadable.append(str(error))
    for record in records:
        name = record["run_id"]
        if record["status"] == "running" and name not in on_nodes and not is_held(study, name):
            record["status"] = "interrupted"  # killed before it could say so
        if code_versions.outdated_of(record):
            record["status"] = "stale"
    records, copies = _once_each(records)
    waiting_for, started = _sweep(study)
    if not records and not unreadable and not waiting_for:
        raise CommandError(f"study={study}: no runs in this folder")
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        counts[record["task.name"], record["variant"]][record["status"]] += 1
    failed = sorted((r for r in records if r["error"]), key=lambda r: str(r.get("timing.finished")))
    return Standing(
        counts=dict(counts),
        waiting=len(waiting_for - {record["run_id"] for record in records}),
        progress=[_progress(study, record) for record in records if record["status"] == "running"],
        rate=_rate(records, started),
        errors=[
            *unreadable[-ERRORS_SHOWN:],
            *copies[-ERRORS_SHOWN:],
            *(f"{r['run_id']}: {r['error']}" for r in failed[-ERRORS_SHOWN:]),
        ],
        slurm=slurm,
    )


def _slurm(study: Path) -> tuple[str | None, set[str]]:
    """What Slurm's queue says, None for a study that never had any task there, and the runs of running tasks."""
    if not (study / slurm_queue.FOLDER).is_dir():
        return None, set()
    try:
        tasks = slurm_queue.queue(study)
    except ConfigError as error:
        return str(error), set()
    on_nodes = {run_id for task in tasks if task.state == "RUNNING" for run_id in task.run_ids}
    return slurm_queue.summary(tasks) or "no task queued or running", on_nodes


def _records(study: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The records that can be read, and why the others cannot."""
    if is_archive(study):
        return _archived(study)
    records, unreadable = [], []
    for entry in sorted(os.scandir(study), key=lambda entry: entry.name):
        if is_run(entry):
            try:
                records.append(read_run(Path(entry.path)) | {"record": entry.name})
            except UnreadableError as reason:
                unreadable.append(f"{entry.name}: {reason}")
    return records, unreadable


def _archived(study: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The same of an archive."""
    found = load.read(study)
    named = [(name.rpartition("/")[2], reason) for name, reason in zip(found.names, found.reasons, strict=True)]
    names = [name for name, reason in named if reason is None]
    records = [row | {"record": name} for row, name in zip(columns.rows(found.rows), names, strict=True)]
    return records, [f"{name}: {reason}" for name, reason in named if reason is not None]


def _once_each(records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of different runs, and which are copies of them."""
    if not records:
        return [], []
    kept, again = once_each(pd.DataFrame(records)[["run_id", "record", "status", "study"]])
    return [records[place] for place in sorted(kept.index)], [f"{record}: {reason}" for record, reason in again]


def _sweep(study: Path) -> tuple[set[str], datetime | None]:
    """The runs that the last sweep set out to do, and when."""
    try:
        content = json.loads((study / SWEEP).read_text(encoding="utf-8"))
        return {str(name) for name in content["run_ids"]}, _instant(content["started"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set(), None


def _instant(text: Any) -> datetime | None:
    """A time with its zone; None for anything else."""
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return instant if instant.tzinfo else None


def _progress(study: Path, record: Mapping[str, Any]) -> str:
    try:
        table = read_curves(study / record["run_id"], record["status"]).table
        step = f"{table[-1, 0]:.0f}" if len(table) else "0"
    except UnreadableError as reason:
        step = f"unknown ({reason})"
    return f"{record['run_id']}: step {step} of {record.get('config.resolved.train.steps')}"


def _rate(records: Sequence[Mapping[str, Any]], started: datetime | None) -> float | None:
    ended = [instant for record in records if (instant := _instant(record.get("timing.finished")))]
    since = [instant for instant in ended if started is None or instant >= started]
    if not since or started is None:
        return None
    running = any(record["status"] == "running" for record in records)
    last = datetime.now(UTC) if running else max(since)
    minutes = (last - started).total_seconds() / 60
    return len(since) / minutes if minutes > 0 else None
