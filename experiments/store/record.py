"""The run record: a directory is the truth, wandb mirrors it. See ``docs/record.md`` for every key."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import platform
import socket
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
import torch

from analysis.common.command_line import CommandError
from analysis.records import inside, schema
from analysis.records.read import UnreadableError, read_content
from experiments.config.extensions import used_extensions
from experiments.config.identity import folder_name
from experiments.config.job import Job
from experiments.config.schema import ConfigError
from experiments.store.files import read_tensors, storing, write_json, write_tensors
from experiments.tracking.live import Mirror
from lstm_variants.spec import flatten

DONE = ("finished", "diverged", "failed", "stale")
CHECKPOINT = "checkpoint.pt"


class RunRecord:
    """One run's record, written so that a kill at any instant leaves either the old or the new state.

    Args:
        job: the run.
        facts: what the training knows: parameters, notes, environment, data_digest, semantics.
        rows: the evaluations of an interrupted run that goes on.
    """

    def __init__(self, job: Job, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()) -> None:
        self.job, self.folder = job, job.folder
        self.rows: list[dict[str, Any]] = []
        self.content = _opening(job) | dict(facts)
        self.mirror: Mirror | None = None
        if self.folder is not None:
            with self._storing():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._save()
                files = [self.folder / name for name in ("metrics.csv", "weights.pt", inside.JSON, inside.NPZ)]
                for old in [*files, *self.folder.glob(".*")]:
                    old.unlink(missing_ok=True)  # hidden ones are files that a kill left half written
                self.mirror = Mirror(job, self.content)
        for row in rows:
            self.row(row)

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
        if self.mirror:
            self.mirror.log(row)

    def checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep the point from which the run can go on."""
        if self.folder is not None:
            with self._storing():
                whose = {"run_id": self.content["run_id"], "semantics": self.content["semantics"]}
                write_tensors(self.folder / CHECKPOINT, {**checkpoint, **whose})

    def finish(
        self, status: str, results: Mapping[str, Any], seconds: float, weights: Any = None, error: str | None = None
    ) -> None:
        """Close the run with its status and its deterministic results."""
        self.content |= {"status": status, "results": dict(results), "error": error}
        steps = results.get("steps", 0)
        self.content["timing"] |= {
            "finished": _now(),
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
        """Close the mirror."""
        mirror, self.mirror = self.mirror, None
        if mirror:
            mirror.finish(self.content)

    def _storing(self) -> contextlib.AbstractContextManager[None]:
        assert self.job.study is not None
        return storing(self.job.study)

    def _save(self) -> None:
        assert self.folder is not None
        _write(self.folder, self.content)


def read_checkpoint(job: Job, semantics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The point from which a run can go on; None where there is none that can be used."""
    path = None if job.folder is None else job.folder / CHECKPOINT
    if path is None or not path.is_file() or other_settings(job, find(job) or {}):
        return None
    try:
        checkpoint = read_tensors(path)
    except ConfigError:
        return None
    whose = (job.run_id, semantics)
    usable = isinstance(checkpoint, dict) and (checkpoint.get("run_id"), checkpoint.get("semantics")) == whose
    usable = usable and isinstance(checkpoint.get("step"), int)
    return checkpoint if usable else None


def _opening(job: Job) -> dict[str, Any]:
    task = job.task
    return {
        "schema": schema.VERSION,
        "run_id": job.run_id,
        "arm": job.arm,
        "study": "" if job.study is None else folder_name(job.study),
        "phase": job.phase,
        "variant": job.variant.name,
        "label": job.variant.label,
        "cite": job.variant.cite,
        "task": {
            "name": job.task_name,
            "length": task.length,
            "lengths": sorted({task.length, *task.eval_lengths}),
            "metric": task.metric,
            "direction": task.direction,
            "chance": task.chance,
            "chance_loss": task.chance_loss,
            "references": {name: reference._asdict() for name, reference in task.references.items()},
            "solved": task.solved,
            "unit": task.unit,
            "content": job.contents,
        },
        "seed": job.seed,
        "config": {"said": list(job.overrides), "resolved": job.resolved, "extensions": used_extensions()},
        "status": "running",
        "error": None,
        "results": {},
        "timing": {"started": _now(), "finished": None, "seconds": None, "steps_per_second": None},
    }


def place(job: Job) -> Path | None:
    """The folder of the same run, under whatever readable name, or None."""
    if job.study is None or job.folder is None:
        return None
    suffix = job.run_id.rpartition("-")[2]
    folders = [job.folder, *sorted(path.parent for path in job.study.glob(f"*-{suffix}/run.json"))]
    return next((folder for folder in folders if (folder / "run.json").exists()), None)


def find(job: Job) -> dict[str, Any] | None:
    """The record of the same run, or None.

    Raises:
        ConfigError: if it cannot be read, is of a newer schema, or is that of another run.
    """
    folder = place(job)
    if folder is None:
        return None
    record = read(folder / "run.json")
    if str(record["run_id"]).rpartition("-")[2] != job.run_id.rpartition("-")[2]:
        raise ConfigError(f"{folder} holds the record of another run, {record['run_id']}; move it away to run this")
    return record


def other_settings(job: Job, record: Mapping[str, Any]) -> list[str]:
    """The settings that the record of a run has otherwise: no hash shows that a default has been edited since."""
    try:
        before, now = (_settings(resolved) for resolved in (record["config"]["resolved"], job.resolved))
    except (KeyError, TypeError, AttributeError):
        return []
    files = {f"task.{key}" for key in job.contents}
    return sorted(key for key in before.keys() & now.keys() - files if not _alike(before[key], now[key]))


def _settings(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return flatten({part: resolved[part] for part in ("task", "model", "train")})


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are two spellings of one: 2016 and "2016", null and an empty list."""
    return one == other or str(one) == str(other) or (one in (None, []) and other in (None, []))


def read(path: Path) -> dict[str, Any]:
    """A run.json.

    Raises:
        ConfigError: if it cannot be read, or is of a newer schema.
    """
    try:
        return read_content(path.parent)
    except CommandError as error:
        raise ConfigError(str(error)) from None
    except UnreadableError as reason:
        raise ConfigError(
            f"{path}: cannot be read as a run record ({reason}); move it away to run this again"
        ) from None


def fail(job: Job, error: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Record that a run failed before it could say anything itself."""
    record = {**_opening(job), **facts, "status": "failed", "error": error}
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    return "" if value is None else repr(value) if isinstance(value, float) else value


@functools.cache
def machine() -> dict[str, Any]:
    """What every run of this process shares: versions, platform, commit."""
    commit, dirty = _commit()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "gates": _version(),
        "platform": platform.platform(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "host": socket.gethostname(),
        "commit": commit,
        "dirty": dirty,
    }


def _version() -> str | None:
    """The installed version; None for a checkout that is only on the path."""
    try:
        return version("gates")
    except PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    """The checkout's commit and whether files differ from it; None where this is an installation.

    An installation may lie inside a repository of the user's, whose commit says nothing of files it does not hold.
    """
    try:
        _git("ls-files", "--error-unmatch", __file__)
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
