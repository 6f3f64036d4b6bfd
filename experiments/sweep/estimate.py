"""How long a sweep would take and how much disk, from a few steps of each structure, measured here and now."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tabulate import tabulate
from tqdm import tqdm

from analysis.common import resources
from experiments.config.job import Job
from experiments.sweep.grouping import structure
from experiments.sweep.plan import Plan, make_plan
from experiments.training import torch_defaults
from experiments.training.loop import Training

TIMED_STEPS = 3  # steps timed of each structure, after one that warms up
RECORD_BYTES = 6_000  # run.json
ROW_BYTES = 100  # a row of metrics.csv
MIRROR_BYTES = 30_000  # a run's wandb files
Timed = dict[tuple[object, ...], float]  # structure and size of a stack -> seconds


@dataclass(frozen=True)
class Row:
    """One structure's share of a plan."""

    name: str
    runs: int
    stacks: list[int]
    seconds: float
    bytes: float


def print_plan(jobs: Sequence[Job], not_applicable: int, workers: int | None, largest: int) -> None:
    """Print counts, stacks, and estimated time and disk."""
    plan = make_plan(jobs, workers, largest)
    print(plan)
    if not_applicable:
        print(f"{not_applicable} not applicable")
    rows = estimate(plan)
    if not rows:
        return
    table = [(row.name, row.runs, _sizes(row.stacks), _duration(row.seconds), _size(row.bytes)) for row in rows]
    print(tabulate(table, ("structure", "runs", "stacks", "one worker's time", "disk")))
    print(_total(rows, plan.workers))


def cost(plan: Plan, timed: Timed) -> str:
    """Time and disk of a plan in one line. timed: what other plans of the same sweep have timed already."""
    return _total(estimate(plan, timed), plan.workers)


def _total(rows: Sequence[Row], workers: int) -> str:
    time_needed = _duration(sum(row.seconds for row in rows) / workers)
    return f"about {time_needed} on {workers} workers and {_size(sum(row.bytes for row in rows))}"


def estimate(plan: Plan, timed: Timed | None = None) -> list[Row]:
    """Time and disk of each structure, from a few steps measured here and now, in memory."""
    timed = {} if timed is None else timed
    groups: dict[str, list[list[Job]]] = defaultdict(list)
    for group in plan.groups:
        groups[f"{group[0].variant.name} {group[0].task_name} H={group[0].hidden_size}"].append(group)
    before = torch.get_num_threads()
    shown = tqdm(groups.items(), desc="timing a few steps", leave=False, disable=None)
    with torch_defaults.defaults():
        rows = [_row(name, same, timed) for name, same in shown]
    torch.set_num_threads(before)
    return rows


def _row(name: str, same: Sequence[list[Job]], timed: Timed) -> Row:
    """Stacks of one size and structure are timed once, whatever their phase."""
    seconds = size = 0.0
    for stack in same:
        kind = structure(replace(stack[0], phase=None)), len(stack)
        if kind not in timed:
            timed[kind] = _seconds(stack)
        seconds += timed[kind]
        size += len(stack) * _bytes(stack[0])
    return Row(name, sum(map(len, same)), [len(stack) for stack in same], seconds, size)


def _seconds(stack: Sequence[Job]) -> float:
    train = stack[0].train
    torch.set_num_threads(stack[0].threads or resources.cores())
    training = Training([replace(job, study=None) for job in stack])
    a_step, an_evaluation = training.time(TIMED_STEPS)
    return train.steps * a_step + (1 + train.steps / train.eval_every) * an_evaluation


def _bytes(job: Job) -> float:
    """A run's directory: those of the study's finished runs on average, else from its sizes."""
    done = [path.parent for path in (job.study or Path()).glob(f"{job.task_name}-*/run.json")] if job.study else []
    weights = 4 * (job.reference_parameters + job.task.output_size * (job.hidden_size + 1))
    rows = ROW_BYTES * (2 + job.train.steps / job.train.eval_every)
    if done:
        return MIRROR_BYTES + sum(f.stat().st_size for run in done for f in run.iterdir() if f.is_file()) / len(done)
    return RECORD_BYTES + len(json.dumps(job.resolved)) + weights + rows + MIRROR_BYTES


def _sizes(stacks: Sequence[int]) -> str:
    return " + ".join(f"{stacks.count(size)} of {size}" for size in sorted(set(stacks), reverse=True))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
