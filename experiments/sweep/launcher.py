"""Hydra's plugins: its sweeper expands a command line, its launcher hands the jobs to the sweep."""

from __future__ import annotations

import importlib
import math
import sys
import types
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.utils import instantiate

from experiments.config.compose import Composer, compose, expand_aliases
from experiments.config.hydra_setup import PLUGINS
from experiments.config.job import Job, NotApplicableError, distinct, stored
from experiments.config.schema import LARGEST_STACK, LARGEST_SWEEP, ConfigError, refuse
from experiments.store.what_is_left import done
from experiments.sweep.estimate import print_plan
from experiments.sweep.run_all import ending, run_all
from experiments.sweep.run_stack import Run
from experiments.sweep.slurm import Options, run_on_slurm

Plugins.instance()  # Hydra's scan must come before its sweeper and its launcher are imported
from hydra._internal.core_plugins.basic_launcher import BasicLauncher  # noqa: E402
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402

_stackable: set[Callable[..., Any]] = set()


def stackable(task_function: Callable[..., Any]) -> Callable[..., Any]:
    """Say that the launcher's stacks do what a task function does, job by job."""
    _stackable.add(task_function)
    return task_function


class StudySweeper(BasicSweeper):
    """Hydra's basic sweeper, but all jobs go to the launcher at once, and no folder is made before they are valid."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(None, params)

    def sweep(self, arguments: list[str]) -> Any:
        """Expand commas, ranges and globs, and launch the whole sweep."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(expand_aliases([*self._parse_config(), *arguments]))
        if (count := math.prod(map(_choices, overrides))) > LARGEST_SWEEP:
            raise ConfigError(f"{count} runs in a sweep: {LARGEST_SWEEP} at most; parts of it can share a study")
        for override in overrides:
            if override.is_interval_sweep():
                raise ConfigError(f"{override.input_line}: an interval has no end of values; give some")
            if override.is_discrete_sweep() and not any(True for _ in override.sweep_iterator()):
                raise ConfigError(f"{override.input_line}: no values, so there is nothing to run")
        (batch,) = self.split_arguments(overrides, None)
        returns = self.launcher.launch(batch, initial_job_idx=0)
        failures = [str(job._return_value) for job in returns if job.status == JobStatus.FAILED]
        if failures:
            print(f"error: {len(failures)} of {len(returns)} runs failed: {'; '.join(failures[:5])}", file=sys.stderr)
            sys.exit(1)
        return returns


def _choices(override: Override) -> int:
    """How many values a word of the command line stands for; 1 for a glob, which stands for files."""
    value = override.value()
    if isinstance(value, RangeSweep) and not value.step:
        raise ConfigError(f"{override.input_line}: a step other than 0 is needed")
    if isinstance(value, RangeSweep):
        return max(0, math.ceil(((value.stop or 0) - (value.start or 0)) / value.step))
    return len(value.list) if isinstance(value, ChoiceSweep) else 1


def _positive(key: str, value: Any) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise refuse(key, value, "a whole number, 1 or more, is needed")


class StackedLauncher(BasicLauncher):
    """Runs of one structure share a batched program; stacks go to worker processes.

    The jobs of another application's task function run one after another, as with Hydra's basic launcher.
    """

    def __init__(self, workers: int | None = None, stack: int | None = None, dry_run: bool = False) -> None:
        super().__init__()
        self.workers, self.dry_run = workers, dry_run
        self.stack = LARGEST_STACK if stack is None else stack

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Validate every job, then run them; one JobReturn per job, in order."""
        if self.task_function not in _stackable:
            return super().launch(job_overrides, initial_job_idx)
        setup_globals()
        self.check()
        jobs = self._validated(job_overrides)
        applicable = [stored(job) for job in jobs if job is not None]
        distinct(applicable)
        if not applicable:
            raise ConfigError(f"nothing to run: none of the {len(jobs)} combinations makes sense")
        if self.dry_run:
            print_plan(applicable, len(jobs) - len(applicable), self.workers, self.stack)
            return []
        made = self.run(applicable)
        if made is None:
            return []
        runs = {run.record["run_id"]: run for run in made}
        return [
            _job_return(overrides, job, runs.get(job.run_id) if job else None)
            for overrides, job in zip(job_overrides, jobs, strict=True)
        ]

    def check(self) -> None:
        """Refuse impossible settings by name."""
        for key in ("workers", "stack"):
            _positive(f"hydra.launcher.{key}", getattr(self, key))

    def run(self, jobs: Sequence[Job]) -> Sequence[Run] | None:
        """Make what is not made yet, and return it; None if it was left to a cluster."""
        made = run_all(jobs, self.workers, self.stack)
        print(ending(jobs[0].study, made))
        return made

    def _validated(self, job_overrides: Sequence[Sequence[str]]) -> list[Job | None]:
        """Every job, None for one that is not applicable, which is said once for all its seeds."""
        assert self.hydra_context is not None
        assert self.config is not None
        loader, config = self.hydra_context.config_loader, self.config
        composer = Composer(lambda overrides: loader.load_sweep_config(config, overrides))
        jobs: list[Job | None] = []
        left_out: Counter[tuple[str, str]] = Counter()
        for overrides in job_overrides:
            try:
                jobs.append(composer.job(overrides))
            except NotApplicableError as reason:
                left_out[str(reason), " ".join(o for o in overrides if not o.startswith("seed="))] += 1
                jobs.append(None)
        for (reason_text, overrides_text), count in left_out.items():
            print(f"not applicable: {overrides_text} ({count} of the jobs): {reason_text}", file=sys.stderr)
        return jobs


class SlurmLauncher(StackedLauncher):
    """The same, with the stacks as tasks of a Slurm job array."""

    def __init__(self, **options: Any) -> None:
        self.options = Options(**options)
        super().__init__(self.options.tasks, self.options.stack, self.options.dry_run)

    def run(self, jobs: Sequence[Job]) -> Sequence[Run] | None:
        return run_on_slurm(jobs, self.options)


def chosen(words: Sequence[str]) -> StackedLauncher:
    """The launcher that ``hydra/launcher=`` and ``hydra.launcher.KEY=`` ask for, outside of a Hydra application.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    register()
    hydra = compose(words).hydra
    if not str(hydra.launcher._target_).startswith(PLUGINS):
        raise refuse("hydra/launcher", hydra.runtime.choices["hydra/launcher"], "legal are slurm, stacked")
    launcher: StackedLauncher = instantiate(hydra.launcher)
    launcher.check()
    return launcher


def _job_return(overrides: Sequence[str], job: Job | None, run: Run | None) -> JobReturn:
    """What became of a job: its score, its failure, or None for what is not applicable; done before counts as done."""
    returned = JobReturn(overrides=overrides, task_name="run", status=JobStatus.COMPLETED)
    returned.return_value = None
    if job is None:
        return returned
    returned.working_dir = None if job.folder is None else str(job.folder)
    record = run.record if run else done(job) or {"results": {}}
    returned.return_value = record["results"].get("score")
    if run is not None and run.status in ("failed", "interrupted"):
        returned.status = JobStatus.FAILED
        returned.return_value = RuntimeError(f"{job.run_id}: {record['error']}")
    return returned


def register() -> None:
    """Give Hydra the launchers and the sweeper; call before ``hydra.main`` runs."""
    ConfigStore.instance().store(group="hydra/launcher", name="slurm", provider="gates", node=Options)
    try:
        namespace: Any = importlib.import_module("hydra_plugins")
    except ModuleNotFoundError:
        namespace = sys.modules["hydra_plugins"] = types.ModuleType("hydra_plugins")
        namespace.__path__ = []
    module = types.ModuleType(PLUGINS)
    for plugin in (StackedLauncher, SlurmLauncher, StudySweeper):
        setattr(module, plugin.__name__, plugin)
        plugin.__module__ = module.__name__
        Plugins.instance().register(plugin)
    namespace.gates = sys.modules[module.__name__] = module
