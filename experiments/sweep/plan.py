"""What is left to do of many runs, in which stacks, as far as memory allows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import torch

from analysis.common import resources
from experiments.config.device import device_of
from experiments.config.job import Job
from experiments.config.schema import LARGEST_STACK, ConfigError, refuse
from experiments.store.lookup import read_checkpoint
from experiments.store.what_is_left import standing
from experiments.sweep.grouping import balanced, stacks
from experiments.sweep.workers import number_of_workers
from lstm_variants import make_cell
from lstm_variants.engines import native

MEANING = {
    "new": "new",
    "again": "to resume or do again",
    "queued": "queued or running on Slurm",
    "done": "done",
    "failed": "failed (retry=failed)",
    "stale": "stale (retry=stale)",
}
IMPOSSIBLE = 4  # times the memory of the machine: no estimate is as wrong


@dataclass(frozen=True)
class Plan:
    """What a sweep has to do.

    Attributes:
        standings: run_id -> new, again, queued, done, failed or stale.
        groups: the runs to do, as stacks in the order in which they start.
        workers: processes.
    """

    standings: dict[str, str]
    groups: list[list[Job]]
    workers: int

    @property
    def todo(self) -> list[Job]:
        """The runs to do."""
        return [job for group in self.groups for job in group]

    @property
    def counts(self) -> str:
        """How many runs stand how."""
        counts = Counter(self.standings.values())
        return ", ".join(f"{counts[key]} {meaning}" for key, meaning in MEANING.items() if counts[key]) or "no runs"

    def __str__(self) -> str:
        doing = f"to run: {len(self.todo)}, in stacks: {len(self.groups)}, workers: {self.workers}"
        return "\n".join([f"{self.counts}; {doing}", *self.slower])

    @property
    def slower(self) -> list[str]:
        """Why some runs do not have the native engine, a line for each reason."""
        variants: dict[str, set[str]] = defaultdict(set)
        for job in self.todo:
            reason = native.unfit(make_cell(job.variant.spec), device_of(job.device), torch.float32)
            if job.engine == "auto" and reason:
                variants[reason].add(job.variant.name)
        return [f"reference engine for {', '.join(sorted(names))}: {reason}" for reason, names in variants.items()]


def make_plan(
    jobs: Sequence[Job],
    workers: int | None = None,
    largest: int = LARGEST_STACK,
    queued: Container[str] = (),
    memory: float | None = None,
    here: bool = True,
) -> Plan:
    """Sort out what is done and put the rest in stacks.

    Args:
        jobs: validated jobs.
        workers: processes; None for one per core that may be used, fewer where memory is short.
        largest: runs in a stack, fewer where memory is short.
        queued: run ids that are not to be done here, unless they are done already.
        memory: bytes of a worker; None for its share of what is free here.
        here: whether the runs are done on this machine. If not, its memory and its devices say nothing about them.
    """
    unique = {job.run_id: job for job in jobs}
    standings = {run_id: standing(job) for run_id, job in unique.items()}
    todo = [job for run_id, job in unique.items() if standings[run_id] in ("new", "again")]
    standings |= {job.run_id: "queued" for job in todo if job.run_id in queued}
    todo = [job for job in todo if job.run_id not in queued]
    limit = memory or (resources.memory_limit() if here else math.inf)
    for job in todo:
        _possible(job, limit, here)
    workers = min(workers or number_of_workers(), max(1, len(todo)))
    memory = memory or (resources.memory_free() / workers if here else math.inf)
    size = min([largest, *(max(1, int(min(largest, _fitting(job, memory)))) for job in todo)])
    steps = {job.run_id: checkpoint["step"] for job in todo if (checkpoint := read_checkpoint(job))}
    groups = stacks(todo, steps, size, workers)
    if here:
        groups = balanced(groups, workers)
    return Plan(standings, [_with_threads(group, workers) for group in groups], workers)


def _fitting(job: Job, memory: float) -> float:
    """Runs whose training fits in half of a worker's memory."""
    return memory / 2 / _bytes(job)


def _bytes(job: Job) -> int:
    """What training takes: about 12 planes of T x B x H a layer, with dropout two more."""
    steps, batch = max(job.task.lag, job.task.length), job.train.batch_size
    planes = 14 if job.model.dropout else 12
    floats = steps * batch * (planes * job.hidden_size * job.model.layers + job.task.input_size + job.task.output_size)
    return 4 * floats


def _possible(job: Job, memory: float, here: bool) -> None:
    """Refuse a run that could not even hold its evaluation set or train where it is to be done."""
    if here and job.device == "cuda" and not torch.cuda.is_available():
        raise refuse("device", "cuda", "no CUDA device here; legal are auto, cpu")
    evaluated = 4 * job.train.eval_size * job.task.length * (job.task.input_size + 1)
    needed = evaluated if job.device == "cuda" else max(evaluated, _bytes(job))
    if needed > IMPOSSIBLE * memory:
        keys = ("task.length", "train.batch_size", "train.eval_size", "model.hidden_size", "model.layers")
        values = (job.task.length, job.train.batch_size, job.train.eval_size, job.hidden_size, job.model.layers)
        sizes = ", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        raise ConfigError(f"{sizes}: takes about {needed / 1e9:.3g} GB of memory, there are {memory / 1e9:.3g} GB")


def _with_threads(group: Sequence[Job], workers: int) -> list[Job]:
    """Cores shared between workers, so that runs do not fight."""
    share = max(1, resources.cores() // workers)
    return [replace(job, threads=job.threads or share) for job in group]
