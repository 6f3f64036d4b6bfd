"""Which runs may share one batched program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.config.job import Job

NUMBERS = {"lr": 0.0, "weight_decay": 0.0, "clip": None, "momentum": 0.0}  # what may differ inside a stack


def structure(job: Job) -> tuple[Any, ...]:
    """What two runs must have in common to share a stack: all but seed, initial values and a few numbers."""
    train = tuple(sorted(vars(replace(job.train, **NUMBERS)).items()))  # type: ignore[arg-type]
    data = (job.task_name, job.task, tuple(sorted(job.contents.items())))
    shape = (job.variant.spec, *data, job.hidden_size, job.model.layers, job.model.dropout)
    return (*shape, train, job.engine, job.device, job.threads, str(job.study), job.phase)


def stacks(jobs: Sequence[Job], steps: Mapping[str, int], largest: int, workers: int) -> list[list[Job]]:
    """Jobs grouped by structure, at most ``largest`` in a stack, and no fewer stacks than workers if it can be had.

    The most work comes first, so that the workers end together.

    Args:
        jobs: the runs.
        steps: run_id -> the step of its checkpoint, for runs that go on from one.
        largest: runs in a stack.
        workers: processes that share the stacks.
    """
    groups: dict[tuple[Any, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[*structure(job), steps.get(job.run_id, 0)].append(job)
    size = largest
    while size > 1 and sum(-(-len(group) // size) for group in groups.values()) < workers:
        size = (size + 1) // 2
    parts = [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]
    return sorted(parts, key=_work, reverse=True)


def balanced(parts: Sequence[list[Job]], workers: int) -> list[list[Job]]:
    """The same stacks for workers that would not all have one at the end: the last ones are cut, for all to share.

    Seven equal stacks take two workers as long as eight; with the last one in halves, as long as seven and a half.
    """
    last = len(parts) % workers
    if len(parts) < workers or not last:
        return list(parts)
    cuts = workers // last
    halves = [group[at::cuts] for group in parts[-last:] for at in range(min(cuts, len(group)))]
    return [*parts[:-last], *halves]


def _work(group: Sequence[Job]) -> int:
    """A stack's work, up to a factor that all stacks share."""
    job = group[0]
    return len(group) * job.train.steps * job.train.batch_size * job.task.lag * job.hidden_size * job.model.layers
