"""One validated run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.config.identity import digest, run_name
from experiments.config.schema import ConfigError, Model, Record, Train, refuse
from experiments.tasks.base import Task
from lstm_variants import Init
from lstm_variants.catalogue.variants import Variant


class NotApplicableError(ConfigError):
    """A combination that makes no sense: skipped in a sweep, refused when asked for alone."""


@dataclass(frozen=True)
class Job:
    """One validated run.

    Attributes:
        overrides: the words that it was composed from.
        resolved: the whole configuration of variant, init, task, model and training.
        difference: what in it differs from the defaults; ``arm`` is the hash of it, ``run_id`` also that of the seed.
        contents: the task's data files, by the hash of what they hold.
        hidden_size: the one used, where ``model.size=parameters`` chooses it.
        reference_parameters: those of the complete LSTM at ``model.hidden_size``.
    """

    variant: Variant
    init: Init
    task_name: str
    task: Task
    model: Model
    train: Train
    record: Record
    seed: int
    study: Path | None
    phase: str | None
    engine: str
    device: str
    threads: int | None
    retry: str | None
    overrides: tuple[str, ...]
    resolved: dict[str, Any]
    arm: str
    run_id: str
    difference: dict[str, Any]
    contents: dict[str, str]
    hidden_size: int
    reference_parameters: int

    @property
    def split(self) -> str:
        """The split of real data on which the run is evaluated."""
        return split_of(self.phase)

    @property
    def folder(self) -> Path | None:
        """The run directory, None for a run in memory."""
        return None if self.study is None else self.study / self.run_id

    def with_seed(self, seed: int, phase: str | None) -> Job:
        """The same run with another seed, in a phase of a study; as if it had been composed so."""
        overrides = (*self.overrides, f"seed={seed}", f"phase={'null' if phase is None else phase}")
        run_id = run_id_of(self.task_name, self.variant, seed, self.difference)
        resolved = {**self.resolved, "seed": seed}
        return replace(self, seed=seed, phase=phase, overrides=overrides, resolved=resolved, run_id=run_id)


def split_of(phase: str | None) -> str:
    """Tuning reads the validation split, everything else the test split."""
    return "validation" if phase == "tune" else "test"


def run_id_of(task_name: str, variant: Variant, seed: int, difference: Mapping[str, Any]) -> str:
    """The name of a run, with the hash of what differs from the defaults."""
    return run_name(task_name, variant.name, seed, digest({**difference, "seed": seed}))


def stored(job: Job) -> Job:
    """The job, unless it is one in memory, of which a command would leave nothing.

    Raises:
        ConfigError: if it names no folder.
    """
    if job.study is None:
        raise refuse("study", None, "a folder is needed; in memory, runs are made from Python: experiments.run")
    return job


def distinct(jobs: Sequence[Job]) -> None:
    """Refuse the jobs of a sweep if two with different settings are one run: only one would be done.

    Raises:
        ConfigError: naming the key and its values.
    """
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.run_id, job)
        for key in ("study", "phase", "engine", "device", "threads", "retry", "record"):
            mine, theirs = getattr(job, key), getattr(other, key)
            if mine != theirs:
                raise refuse(key, f"{theirs},{mine}", f"is no axis: {job.run_id} is one run with either")
