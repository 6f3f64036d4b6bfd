"""Doing what a plan says is left, with one progress bar, until all of it has ended."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from analysis.common.terminal import as_typed, say
from experiments.config.device import device_of
from experiments.config.job import Job
from experiments.config.schema import LARGEST_STACK, ConfigError
from experiments.store.files import storing, write_json
from experiments.store.locks import is_held
from experiments.store.lookup import read
from experiments.store.what_is_left import standing
from experiments.sweep.plan import Plan, make_plan
from experiments.sweep.run_stack import Event, Run
from experiments.sweep.workers import run_here, run_in_processes
from experiments.tracking import live
from lstm_variants import engines, make_cell
from lstm_variants.gate import DESCRIPTION
from lstm_variants.spec import flatten

LOOK_AGAIN = 0.5  # seconds between looks at the runs of another process
SWEEP = "sweep.json"  # what a study's last sweep set out to do, for `status`


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
        engines.choose(job.engine, make_cell(job.variant.spec), device_of(job.device), torch.float32)
    if show and any(job.device == "cuda" for job in plan.todo):
        say("device=cuda: not measured on this hardware; the CPU's native engine may be faster")


def _replaces(job: Job) -> bool:
    """Whether the study has the same run on files of another content, as before they were replaced."""
    if job.study is None or not job.contents:
        return False
    for path in job.study.glob(f"{job.run_id.rpartition('-')[0]}-*/run.json"):
        with contextlib.suppress(ConfigError):
            settings = _settings(read(path)["config"]["resolved"])
            if settings == _settings(json.loads(json.dumps(job.resolved))) and path.parent != job.folder:
                return True
    return False


def _settings(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that make a run what it is: all but what its variant is called and where it is from."""
    return {key: value for key, value in flatten(resolved).items() if key.removeprefix("variant.") not in DESCRIPTION}


def announce(plan: Plan) -> None:
    """Leave in the study's folder what the sweep sets out to do."""
    for study in {job.study for job in plan.todo if job.study is not None}:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with storing(study):
            study.mkdir(parents=True, exist_ok=True)
            write_json(study / SWEEP, {"run_ids": list(plan.standings), "started": started, "workers": plan.workers})


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


def ending(study: Path | None, runs: Sequence[Run]) -> str:
    """What became of the runs of a sweep, and which command shows it."""
    counts = Counter(run.status for run in runs)
    ended = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return as_typed(f"ended: {ended or 'nothing was left to run'}; python -m experiments.status study={study}")
