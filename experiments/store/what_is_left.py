"""What is to be done about a run: nothing, since its record is there, or all of it, or the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.records.code_versions import outdated
from experiments.config.job import Job, split_of
from experiments.config.schema import ConfigError
from experiments.store.lookup import find, other_settings
from experiments.store.versions_and_sources import semantics
from experiments.training.streams import generator


def standing(job: Job) -> str:
    """What is to be done about a job: ``new``, ``done``, ``failed``, ``stale`` or ``again`` (it was cut off).

    Raises:
        ConfigError: if there is a record that cannot be read, or one of a newer schema.
    """
    record = find(job)
    if record is None:
        return "new"
    if _other_versions(job, record) or record["status"] == "stale":
        return "again" if job.retry == "stale" else "stale"
    if record["status"] == "failed":
        return "again" if job.retry == "failed" else "failed"
    _refuse_another_split(job, record)
    return "done" if record["status"] in ("finished", "diverged") else "again"


def _refuse_another_split(job: Job, record: dict[str, Any]) -> None:
    """Refuse a phase that evaluates on other data than the record: its numbers are no answer, and stay."""
    phase = record.get("phase")
    if split_of(phase) == job.split or _evaluated(job, split_of(phase)) == _evaluated(job, job.split):
        return
    now, before = (word or "null" for word in (job.phase, phase))
    raise ConfigError(
        f"phase={now}: {job.study}/{record['run_id']} was made with phase={before}, which evaluates on the "
        f"{split_of(phase)} split, not the {job.split} split: use another study="
    )


def _evaluated(job: Job, split: str) -> list[bytes]:
    """The evaluation set of a split."""
    size, length = job.train.eval_size, job.task.length
    batches = job.task.evaluation_batches(generator(job.seed, "split"), size, size, length, split)
    return [b"-" if array is None else array.tobytes() for batch in batches for array in batch]


def done(job: Job) -> dict[str, Any] | None:
    """The record of a run that is done, by today's versions; else None."""
    return find(job) if standing(job) == "done" else None


def _other_versions(job: Job, record: dict[str, Any]) -> list[str]:
    """What of a record's run is another today: cell, task or trainer, or a setting whose default was edited."""
    return [*outdated(record["semantics"], semantics(job)), *other_settings(job, record)]


def refuse_stale(jobs: Sequence[Job]) -> None:
    """Refuse to go on where the numbers of stale runs would be used.

    Raises:
        ConfigError: saying how many are stale, why, and what to do.
    """
    stale = [job for job in jobs if standing(job) == "stale"]
    if stale:
        parts = {part for job in stale for part in _other_versions(job, find(job) or {"semantics": {}})}
        why = f"another version of {' and '.join(sorted(parts))} made the numbers" if parts else "as recorded"
        first = f"{stale[0].run_id} is" if len(stale) == 1 else f"{len(stale)} runs, {stale[0].run_id} the first, are"
        raise ConfigError(f"{stale[0].study}: {first} stale ({why}): retry=stale makes them again")
