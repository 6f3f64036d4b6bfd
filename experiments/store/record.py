"""The run record: a directory is the truth. See ``docs/record.md`` for every key."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from analysis.records import inside, schema
from experiments.config.job import Job
from experiments.config.schema import ConfigError
from experiments.store.files import storing, write_json, write_tensors
from experiments.store.lookup import CHECKPOINT
from experiments.store.new_record import now, opening

DONE = ("finished", "diverged", "failed", "stale")


class Listener(Protocol):
    """Who is told of a run: of its beginning, of each evaluation, and of its end, whatever its status is then."""

    def started(self, content: Mapping[str, Any]) -> None:
        """The record as it is opened."""

    def row(self, row: Mapping[str, Any]) -> None:
        """One evaluation, also of those that a run that goes on has from before."""

    def ended(self, content: Mapping[str, Any]) -> None:
        """The record as it is closed: finished, diverged, failed, interrupted; running if it could not be written."""


class RunRecord:
    """One run's record, written so that a kill at any instant leaves either the old or the new state.

    Args:
        job: the run.
        facts: what the training knows: parameters, notes, environment, data_digest, semantics.
        rows: the evaluations of an interrupted run that goes on.
        listeners: who is told of a run on disk.
    """

    def __init__(
        self,
        job: Job,
        facts: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]] = (),
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.job, self.folder = job, job.folder
        self.rows: list[dict[str, Any]] = []
        self.content = opening(job) | dict(facts)
        self.listeners: list[Listener] = []
        if self.folder is not None:
            with self._storing():
                self._open(self.folder)
                for listener in listeners:
                    listener.started(self.content)
                    self.listeners.append(listener)
        for row in rows:
            self.row(row)

    def _open(self, folder: Path) -> None:
        """Write the opening, and remove what an earlier attempt left."""
        folder.mkdir(parents=True, exist_ok=True)
        self._save()
        files = [folder / name for name in ("metrics.csv", "weights.pt", inside.JSON, inside.NPZ)]
        for old in [*files, *folder.glob(".*")]:
            old.unlink(missing_ok=True)  # hidden ones are files that a kill left half written

    def row(self, row: Mapping[str, Any]) -> None:
        """Append one evaluation."""
        self.rows.append(dict(row))
        if self.folder is None:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        if len(self.rows) == 1:
            writer.writeheader()
        writer.writerow({key: _plain(value) for key, value in row.items()})
        with self._storing(), (self.folder / "metrics.csv").open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        for listener in self.listeners:
            listener.row(row)

    def checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep the point from which the run can go on."""
        if self.folder is not None:
            with self._storing():
                made_by = {"run_id": self.content["run_id"], "semantics": self.content["semantics"]}
                write_tensors(self.folder / CHECKPOINT, {**checkpoint, **made_by})

    def finish(
        self, status: str, results: Mapping[str, Any], seconds: float, weights: Any = None, error: str | None = None
    ) -> None:
        """Close the run with its status and its deterministic results."""
        self.content |= {"status": status, "results": dict(results), "error": error}
        steps = results.get("steps", 0)
        self.content["timing"] |= {
            "finished": now(),
            "seconds": round(seconds, 3),
            "steps_per_second": round(steps / seconds, 3) if seconds else None,
        }
        if self.folder is not None:
            with self._storing():
                if weights is not None and self.job.record.weights:
                    write_tensors(self.folder / "weights.pt", weights)
                self._save()
                if status in DONE:
                    (self.folder / CHECKPOINT).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Tell the listeners that this is the end, once."""
        listeners, self.listeners = self.listeners, []
        for listener in listeners:
            listener.ended(self.content)

    def _storing(self) -> contextlib.AbstractContextManager[None]:
        assert self.job.study is not None
        return storing(self.job.study)

    def _save(self) -> None:
        assert self.folder is not None
        _write(self.folder, self.content)


def fail(job: Job, error: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Record that a run failed before it could say anything itself."""
    record = {**opening(job), **facts, "status": "failed", "error": error}
    if job.study is not None and job.folder is not None:
        with storing(job.study):
            job.folder.mkdir(parents=True, exist_ok=True)
            _write(job.folder, record)
    return record


def _write(folder: Path, content: dict[str, Any]) -> None:
    """A run.json, or a ConfigError where a task or a cell gave what it cannot hold."""
    try:
        write_json(folder / "run.json", schema.written(content))
    except ValueError as error:
        raise ConfigError(f"{folder}: run.json cannot be written: {error}") from None


def _plain(value: Any) -> Any:
    return "" if value is None else repr(value) if isinstance(value, float) else value
