"""What a study has of a run: its record, under whatever folder's name, and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.common.command_line import CommandError
from analysis.records.read import UnreadableError, read_content
from experiments.config.job import Job
from experiments.config.schema import ConfigError
from experiments.store.files import read_tensors, refuse_archive
from experiments.store.versions_and_sources import semantics
from lstm_variants.spec import flatten

CHECKPOINT = "checkpoint.pt"


def place(job: Job) -> Path | None:
    """The folder of the same run, under whatever readable name, or None.

    Raises:
        ConfigError: if the study is an archive.
    """
    if job.study is None or job.folder is None:
        return None
    refuse_archive(job.study)
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
        before, now = (_flat(resolved) for resolved in (record["config"]["resolved"], job.resolved))
    except (KeyError, TypeError, AttributeError):
        return []
    files = {f"task.{key}" for key in job.contents}
    return sorted(key for key in before.keys() & now.keys() - files if not _alike(before[key], now[key]))


def _flat(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return flatten({part: resolved[part] for part in ("task", "model", "train")})


def _alike(first: Any, second: Any) -> bool:
    """Whether two values are two spellings of one: 2016 and "2016", null and an empty list."""
    return first == second or str(first) == str(second) or (first in (None, []) and second in (None, []))


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


def read_checkpoint(job: Job) -> dict[str, Any] | None:
    """The point from which a run can go on; None where there is none that can be used."""
    path = None if job.folder is None else job.folder / CHECKPOINT
    if path is None or not path.is_file() or other_settings(job, find(job) or {}):
        return None
    try:
        checkpoint = read_tensors(path)
    except ConfigError:
        return None
    made_by = (job.run_id, semantics(job))
    usable = isinstance(checkpoint, dict) and (checkpoint.get("run_id"), checkpoint.get("semantics")) == made_by
    usable = usable and isinstance(checkpoint.get("step"), int)
    return checkpoint if usable else None
