"""Many runs: what is left to do, in which stacks, and doing it with one progress bar."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch
from tqdm import tqdm

from analysis.common import resources
from analysis.common.terminal import say
from experiments.config.job import Job
from experiments.config.schema import LARGEST_STACK, ConfigError, refuse
from experiments.store.files import storing, write_json
from experiments.store.locks import is_held
from experiments.store.record import read
from experiments.sweep.execute import Event, Run, stacks, standing
from experiments.sweep.workers import run_here, run_in_processes
from experiments.tracking import live
from lstm_variants import engines, make_cell
from lstm_variants.engines import native

MEANING = {
    "new": "new",
    "again": "to resume or do again",
    "queued": "queued or running on Slurm",
    "done": "done",
    "failed": "failed (retry=failed)",
    "stale": "stale (retry=stale)",
}
WORKER_BYTES = 400_000_000  # of a process that has imported torch and trains little nets
IMPOSSIBLE = 4  # times the memory of the machine: no estimate is as wrong
LOOK_AGAIN = 0.5  # seconds between looks at the runs of another process
SWEEP = "sweep.json"  # what a study's last sweep set out to do, for `status`


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

    def __str__(self) -> str:
        counts = Counter(self.standings.values())
        parts = [f"{counts[key]} {meaning}" for key, meaning in MEANING.items() if counts[key]]
        doing = f"to run: {len(self.todo)}, in stacks: {len(self.groups)}, workers: {self.workers}"
        return "\n".join([f"{', '.join(parts) or 'no runs'}; {doing}", *self._slower()])

    def _slower(self) -> list[str]:
        """Why some runs do not have the native engine, a line for each reason."""
        variants: dict[str, set[str]] = defaultdict(set)
        for job in self.todo:
            device = torch.device("cpu" if job.device == "auto" else job.device)
            reason = native.unfit(make_cell(job.variant.spec), device, torch.float32)
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
    for job in todo:
        _possible(job, memory, here)
    workers = min(workers or _workers(), max(1, len(todo)))
    memory = memory or (resources.memory_free() / workers if here else math.inf)
    size = min([largest, *(max(1, int(min(largest, _fitting(job, memory)))) for job in todo)])
    return Plan(standings, [_with_threads(group, workers) for group in stacks(todo, size, workers)], workers)


def _workers() -> int:
    """One per core, as far as their memory suffices."""
    return max(1, min(resources.cores(), resources.memory_free() // WORKER_BYTES))


def _fitting(job: Job, memory: float) -> float:
    """Runs whose training fits in half of a worker's memory."""
    return memory / 2 / _bytes(job)


def _bytes(job: Job) -> int:
    """What training takes: about 12 planes of T x B x H a layer."""
    steps, batch = max(job.task.lag, job.task.length), job.train.batch_size
    floats = steps * batch * (12 * job.hidden_size * job.model.layers + job.task.input_size + job.task.output_size)
    return 4 * floats


def _possible(job: Job, memory: float | None, here: bool) -> None:
    """Refuse a run that could not even hold its evaluation set or train where it is to be done."""
    if here and job.device == "cuda" and not torch.cuda.is_available():
        raise refuse("device", "cuda", "no CUDA device here; legal are auto, cpu")
    memory = memory or (resources.memory_limit() if here else math.inf)
    evaluated = 4 * job.train.eval_size * job.task.length * (job.task.input_size + 1)
    needed = evaluated if job.device == "cuda" else max(evaluated, _bytes(job))
    if needed > IMPOSSIBLE * memory:
        keys = ("task.length", "train.batch_size", "train.eval_size", "model.hidden_size", "model.layers")
        values = (job.task.length, job.train.batch_size, job.train.eval_size, job.hidden_size, job.model.layers)
        said = ", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        raise ConfigError(f"{said}: takes about {needed / 1e9:.3g} GB of memory, there are {memory / 1e9:.3g} GB")


class Bar:
    """Runs done of how many, the current stacks' step and loss, time left."""

    def __init__(self, jobs: Sequence[Job], show: bool) -> None:
        self.steps = {job.run_id: 0 for job in jobs}
        self.total, self.finished = len(jobs), 0
        total = sum(job.train.steps for job in jobs)
        style = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}"
        self.bar = tqdm(
            total=total, disable=None if show else True, bar_format=style, file=sys.stderr, dynamic_ncols=True
        )
        self._describe()

    def __call__(self, event: Event) -> None:
        """Show a step or the end of a stack."""
        if "done" in event:
            self.finished += len(event["done"])
            self._describe()
            return
        forward = sum(event["step"] - self.steps[run_id] for run_id in event["stack"])
        self.steps.update(dict.fromkeys(event["stack"], event["step"]))
        now = f"{event['name']} x{len(event['stack'])} step {event['step']} loss {event['loss']:.3g}"
        self.bar.set_postfix_str(now, refresh=False)
        self.bar.update(forward)

    def _describe(self) -> None:
        self.bar.set_description_str(f"runs {self.finished}/{self.total}")


def run_all(
    jobs: Sequence[Job], workers: int | None = None, largest: int = LARGEST_STACK, show: bool = True
) -> list[Run]:
    """Run what is not done yet, in stacks shared by worker processes, until all of it has ended.

    Runs that another process is making are waited for; if it lets go of one before it has ended, it is made here.

    Args:
        jobs: validated jobs.
        workers: processes; None for one per core. With 1 everything runs in this process.
        largest: runs in a stack.
        show: print what is to do and a progress bar.

    Returns:
        The runs made now, in no particular order.
    """
    plan = make_plan(jobs, workers, largest)
    if show:
        say(str(plan))
        if replaced := sum(map(_replaces, plan.todo)):
            say(f"{replaced} of these have a record of other data under the same name; it stays")
    if not plan.groups:
        return []
    _prepare_engines(plan, show)
    announce(plan)
    made = _make(plan, show)
    while left := _left(plan.todo, made):
        free = _let_go_of(left)
        made += _make(make_plan(free, workers, largest), show)
    return made


def _make(plan: Plan, show: bool) -> list[Run]:
    """The runs of a plan that no other process is making."""
    bar = Bar(plan.todo, show)
    try:
        with live.sweep():
            here = plan.workers == 1
            return run_here(plan.groups, bar) if here else run_in_processes(plan.groups, plan.workers, bar)
    finally:
        bar.bar.close()


def _left(jobs: Sequence[Job], made: Sequence[Run]) -> list[Job]:
    """What was not made here and has not ended."""
    mine = {run.record["run_id"] for run in made}
    return [job for job in jobs if job.run_id not in mine and standing(job) in ("new", "again")]


def _let_go_of(jobs: Sequence[Job]) -> list[Job]:
    """Wait until other processes have ended all these runs or let go of some, and return those."""
    say(f"waiting for {len(jobs)} runs that another process is making")
    while left := _left(jobs, []):
        if free := [job for job in left if job.study is None or not is_held(job.study, job.run_id)]:
            return free
        time.sleep(LOOK_AGAIN)
    return []


def _prepare_engines(plan: Plan, show: bool) -> None:
    """Compile what is to be compiled, and say what runs slowly, before processes start and a bar is drawn."""
    for group in plan.groups:
        job = group[0]
        device = torch.device("cuda" if job.device == "cuda" else "cpu")
        engines.choose(job.engine, make_cell(job.variant.spec), device, torch.float32)
    if show and any(job.device == "cuda" for job in plan.todo):
        say("device=cuda: not measured on this hardware; the CPU's native engine may be faster")


def _replaces(job: Job) -> bool:
    """Whether the study has the same run on files of another content, as before they were replaced."""
    if job.study is None or not job.contents:
        return False
    for path in job.study.glob(f"{job.run_id.rpartition('-')[0]}-*/run.json"):
        with contextlib.suppress(ConfigError):
            record = read(path)
            if record["config"]["resolved"] == json.loads(json.dumps(job.resolved)) and path.parent != job.folder:
                return True
    return False


def announce(plan: Plan) -> None:
    """Leave in the study's folder what the sweep sets out to do."""
    for study in {job.study for job in plan.todo if job.study is not None}:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with storing(study):
            study.mkdir(parents=True, exist_ok=True)
            write_json(study / SWEEP, {"run_ids": list(plan.standings), "started": started, "workers": plan.workers})


def _with_threads(group: Sequence[Job], workers: int) -> list[Job]:
    """Cores shared between workers, so that runs do not fight."""
    share = max(1, resources.cores() // workers)
    return [replace(job, threads=job.threads or share) for job in group]
