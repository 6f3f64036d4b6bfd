"""Many runs: what is left to do, in stacks, in worker processes, with one progress bar; and Hydra's door to it."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from tqdm import tqdm

from experiments.configs import (
    LARGEST_STACK,
    Job,
    NotApplicableError,
    expand_aliases,
    resolve,
)
from experiments.stack import Event, Run, stacks, standing
from experiments.workers import run_here, run_in_processes

Plugins.instance()  # Hydra's scan must come before its sweeper is imported
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402


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
        if "begun" in event:
            return
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
    """Run what is not done yet, in stacks shared by worker processes.

    Args:
        jobs: validated jobs.
        workers: processes; None for one per core. With 1 everything runs in this process.
        largest: runs in a stack.
        show: print what is to do and a progress bar.
    """
    jobs = list({job.run_id: job for job in jobs}.values())
    counts = Counter(standing(job) for job in jobs)
    todo = [job for job in jobs if standing(job) in ("new", "again")]
    workers = min(workers or os.cpu_count() or 1, max(1, len(todo)))
    groups = [_with_threads(group, workers) for group in stacks(todo, largest, workers)]
    if show:
        print(_summary(counts, groups, workers), file=sys.stderr)
    if not todo:
        return []
    bar = Bar(todo, show)
    try:
        return run_here(groups, bar) if workers == 1 else run_in_processes(groups, workers, bar)
    finally:
        bar.bar.close()


def _with_threads(group: Sequence[Job], workers: int) -> list[Job]:
    """Cores shared between workers, so that runs do not fight."""
    share = max(1, (os.cpu_count() or 1) // workers)
    return [replace(job, threads=job.threads or share) for job in group]


def _summary(counts: Counter[str], groups: Sequence[Sequence[Job]], workers: int) -> str:
    words = {
        "new": "new",
        "again": "to do again",
        "done": "done",
        "failed": "failed (retry=failed)",
        "stale": "stale (retry=stale)",
    }
    parts = [f"{counts[key]} {word}" for key, word in words.items() if counts[key]]
    runs = sum(len(group) for group in groups)
    return f"{', '.join(parts)}; to run: {runs}, in stacks: {len(groups)}, workers: {workers}"


class StudySweeper(BasicSweeper):
    """Hydra's basic sweeper, but all jobs go to the launcher at once, and no folder is made before they are valid."""

    def sweep(self, arguments: list[str]) -> Any:
        """Expand commas, ranges and globs, and launch the whole sweep."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(expand_aliases([*self._parse_config(), *arguments]))
        (batch,) = self.split_arguments(overrides, None)
        returns = self.launcher.launch(batch, initial_job_idx=0)
        failures = [str(job._return_value) for job in returns if job.status == JobStatus.FAILED]
        if failures:
            print(f"error: {len(failures)} of {len(returns)} runs failed: {'; '.join(failures[:5])}", file=sys.stderr)
            sys.exit(1)
        return returns


class StackedLauncher(Launcher):
    """Runs of one structure share a batched program; stacks go to worker processes."""

    def __init__(self, workers: int | None = None, stack: int = LARGEST_STACK) -> None:
        self.workers, self.stack = workers, stack

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        """Keep Hydra's context."""
        self.loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Validate every job, then run them; one JobReturn per job, in order."""
        setup_globals()
        composed = [self.loader.load_sweep_config(self.config, list(overrides)) for overrides in job_overrides]
        jobs: list[Job | None] = []
        for config, overrides in zip(composed, job_overrides, strict=True):
            try:
                jobs.append(resolve(config, overrides))
            except NotApplicableError as reason:
                print(f"not applicable: {' '.join(overrides)}: {reason}", file=sys.stderr)
                jobs.append(None)
        runs = run_all([job for job in jobs if job is not None], self.workers, self.stack)
        by_id = {run.record["run_id"]: run for run in runs}
        return [
            _job_return(config, overrides, by_id.get(job.run_id) if job else None)
            for config, overrides, job in zip(composed, job_overrides, jobs, strict=True)
        ]


def _job_return(config: DictConfig, overrides: Sequence[str], run: Run | None) -> JobReturn:
    returned = JobReturn(overrides=overrides, cfg=config, status=JobStatus.COMPLETED)
    returned.return_value = run.score if run else None
    if run is not None and run.status in ("failed", "interrupted"):
        returned.status = JobStatus.FAILED
        returned.return_value = RuntimeError(f"{run.record['run_id']}: {run.record['error']}")
    return returned


def register() -> None:
    """Give Hydra the launcher and the sweeper; call before ``hydra.main`` runs."""
    try:
        namespace: Any = importlib.import_module("hydra_plugins")
    except ModuleNotFoundError:
        namespace = sys.modules["hydra_plugins"] = types.ModuleType("hydra_plugins")
        namespace.__path__ = []
    module = types.ModuleType("hydra_plugins.gates")
    for plugin in (StackedLauncher, StudySweeper):
        setattr(module, plugin.__name__, plugin)
        plugin.__module__ = module.__name__
        Plugins.instance().register(plugin)
    namespace.gates = sys.modules[module.__name__] = module
