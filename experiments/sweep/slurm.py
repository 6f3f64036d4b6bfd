"""hydra/launcher=slurm: stacks as tasks of a Slurm job array, submitted and awaited through submitit.

A task can be done again at any time: it looks which of its runs are left, and goes on from their checkpoints. Which
task holds which runs is written down (slurm_queue.py) under a lock of the study, so that the same command submits only
what no task holds. If it is killed while it submits, tasks may be left that nothing knows of; a run's own lock and its
record (execute.py) then keep it from being done twice.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pickle
import shlex
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from analysis.common.terminal import as_typed
from experiments.config.extensions_option import used_extensions
from experiments.config.job import Job
from experiments.config.schema import LARGEST_STACK, ConfigError, refuse
from experiments.store.locks import lock
from experiments.store.lookup import find
from experiments.store.what_is_left import standing
from experiments.sweep import signals
from experiments.sweep.plan import Plan, make_plan
from experiments.sweep.run_all import announce, ending
from experiments.sweep.run_stack import InterruptedRunError, Run
from experiments.sweep.slurm_queue import (
    FOLDER,
    Queued,
    ask,
    hold,
    job_name,
    largest_array,
    last_line,
    partitions,
    queue,
    summary,
)
from experiments.sweep.slurm_task import Task

ENDING = 60.0  # seconds at most that a cancelled task may take to end (Slurm's KillWait and a margin)
OFTEN, SELDOM = 0.5, 30.0  # seconds between looks at the queue, at first and in the end
JOBS = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")  # what describes a job, and what rather says where the cluster is
CLUSTERS = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_TIME_FORMAT")
PATIENCE = 20  # looks in a row that may fail: a minute and a half at first, ten in the end


@dataclass
class Options:
    """What ``hydra.launcher.KEY=`` may say; docs/scaling.md tells when to change what."""

    _target_: str = "hydra_plugins.gates.SlurmLauncher"
    detach: bool = False  # submit and return
    partition: str | None = None  # None: the cluster's default
    time: int = 60  # minutes after which a task goes back to the queue, from its runs' checkpoints
    signal: int = 120  # seconds before that at which the runs checkpoint
    requeue: int = 10  # how often a task goes back; then its runs wait for the same command
    cpus: int = 2  # cores of a task
    memory: float | None = None  # GB of a task; None: the cluster's default
    tasks: int | None = None  # array tasks; None: one a stack, as far as MaxArraySize allows
    parallelism: int | None = None  # tasks at once; None: as many as the cluster lets run
    sbatch: Any = None  # a mapping, more options of sbatch: {account: mine, gres: "gpu:1"}
    stack: int = LARGEST_STACK  # runs in a stack
    dry_run: bool = False

    def check(self) -> None:
        """Refuse what cannot be, by name."""
        for key in ("time", "signal", "cpus", "memory", "tasks", "parallelism", "stack"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise refuse(f"hydra.launcher.{key}", value, "a number above 0 is needed")
        if self.signal >= 60 * self.time:
            raise refuse("hydra.launcher.signal", self.signal, f"less than the {60 * self.time} s of time is needed")
        if self.memory is not None and self.memory * 1024 < 1:  # Slurm takes 0 for all that the node has
            raise refuse("hydra.launcher.memory", self.memory, "at least 0.001 GB is needed")
        if not isinstance(self.sbatch, Mapping | None):
            raise refuse("hydra.launcher.sbatch", self.sbatch, "a mapping is needed: {account: mine}")

    @property
    def bytes(self) -> float | None:
        """A task's memory."""
        return None if self.memory is None else self.memory * 2**30


def run_on_slurm(jobs: Sequence[Job], options: Options) -> list[Run] | None:
    """Submit what is neither done nor queued, and wait for it unless told to detach.

    Returns:
        The runs submitted now or earlier, as their records say; None if detached.

    Raises:
        ConfigError: without Slurm or submitit, for an unknown partition, and for what sbatch refuses.
        InterruptedRunError: on SIGINT, SIGTERM or SIGHUP, after the tasks submitted here were cancelled.
    """
    options.check()
    study = _study(jobs)
    _usable(options)
    jobs = [replace(job, threads=job.threads or options.cpus) for job in jobs]
    submitted: list[str] = []
    with _interruptible(submitted):
        plan = _submit_missing(jobs, study, options, submitted)
        if options.detach:
            shown = as_typed(f"python -m experiments.status study={study}")
            print(f"{shown}  # the same command again submits what is missing")
            return None
        if held := sum(state == "queued" for state in plan.standings.values()):
            print(f"waiting for {held} runs that earlier tasks hold; logs in {study / FOLDER}")
        awaited = [job for job in jobs if plan.standings[job.run_id] in ("new", "again", "queued")]
        _wait(study, awaited)
    runs = [_outcome(job) for job in awaited]
    print(ending(study, runs))
    return runs


def _study(jobs: Sequence[Job]) -> Path:
    studies = {job.study for job in jobs}
    study = studies.pop() if len(studies) == 1 else None
    if study is None:
        raise ConfigError("study: hydra/launcher=slurm needs one folder, on a file system that all nodes see")
    return study


def _usable(options: Options) -> None:
    for program in ("sbatch", "srun", "squeue", "scontrol", "sinfo"):
        if shutil.which(program) is None:
            raise ConfigError(f"hydra/launcher=slurm: no {program} on PATH; run this on a machine of the cluster")
    if find_spec("submitit") is None:
        raise ConfigError('hydra/launcher=slurm: submitit is not installed: pip install -e ".[slurm]"')
    legal = partitions()
    if options.partition not in (None, *legal):
        raise refuse("hydra.launcher.partition", options.partition, f"legal are {', '.join(legal)}")


def _submit_missing(jobs: Sequence[Job], study: Path, options: Options, submitted: list[str]) -> Plan:
    """Submit what is neither done nor queued; the names of the new tasks are added to those submitted."""
    with lock(study, "slurm", seconds=-1):  # the same command waits here, and finds what this one submits
        held = {run_id for task in _settled(study) for run_id in task.run_ids}
        plan = make_plan(jobs, options.tasks or 1, options.stack, queued=held, memory=options.bytes, here=False)
        tasks = _tasks(plan.groups, min(options.tasks or len(plan.groups), largest_array()))
        print(replace(plan, workers=len(tasks)), file=sys.stderr)
        if tasks:
            announce(plan)
            with _signals_wait():
                submitted += _submit(tasks, study, options)
            print(f"submitted: {len(plan.todo)} runs as Slurm tasks {', '.join(submitted)}; logs in {study / FOLDER}")
    return plan


def _settled(study: Path) -> list[Queued]:
    """The queue once tasks that are about to end have ended."""
    deadline = time.monotonic() + ENDING
    tasks = queue(study)
    while any(task.state == "COMPLETING" for task in tasks) and time.monotonic() < deadline:
        time.sleep(OFTEN)
        tasks = queue(study)
    return tasks


def _tasks(groups: Sequence[Sequence[Job]], count: int) -> list[list[Job]]:
    """Stacks dealt out to at most ``count`` tasks; they come with the most work first."""
    return [[job for group in groups[first::count] for job in group] for first in range(min(count, len(groups)))]


def _submit(tasks: Sequence[Sequence[Job]], study: Path, options: Options) -> list[str]:
    """The names of the new tasks."""
    import submitit

    executor = submitit.SlurmExecutor(folder=study.resolve() / FOLDER, python=interpreter())
    executor.update_parameters(**_parameters(study, options))
    shared = (used_extensions(), options.stack, options.bytes, options.requeue)
    try:
        with _outside_of_a_job(), contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it raises
            submitted = executor.submit_array([Task(pickle.dumps(list(task)), *shared) for task in tasks])
    except submitit.core.utils.FailedJobError as error:
        raise ConfigError(f"hydra/launcher=slurm: {last_line(str(error))}") from None
    names = [job.job_id for job in submitted]
    hold(study, {name: [job.run_id for job in task] for name, task in zip(names, tasks, strict=True)})
    return names


def interpreter() -> str:
    """The words that start Python in a task: it finds modules where this process does, not in its current folder."""
    library = (sysconfig.get_path("stdlib"), f"python{sys.version_info.major}{sys.version_info.minor}.zip")
    before = itertools.takewhile(
        lambda folder: not folder.endswith(library), sys.path
    )  # what follows is every Python's
    path = os.pathsep.join(map(os.path.abspath, before))
    return shlex.join(["env", f"PYTHONPATH={path}", sys.executable, "-P"])


@contextlib.contextmanager
def _outside_of_a_job() -> Iterator[None]:
    """Without the variables of the Slurm job that this command may be in: sbatch and the tasks would take them over."""
    inherited = [name for name in os.environ if name.startswith(JOBS) and name not in CLUSTERS]
    before = {name: os.environ.pop(name) for name in inherited}
    try:
        yield
    finally:
        os.environ.update(before)


def _parameters(study: Path, options: Options) -> dict[str, Any]:
    parameters = {
        "job_name": job_name(study),
        "partition": options.partition,
        "time": options.time,
        "cpus_per_task": options.cpus,
        "mem": None if options.memory is None else f"{round(options.memory * 1024)}M",
        "array_parallelism": options.parallelism or sys.maxsize,
        "stderr_to_stdout": True,
        "srun_args": [f"--cpus-per-task={options.cpus}"],  # srun does not take it from sbatch any more
        "additional_parameters": {"requeue": True, "signal": f"TERM@{options.signal}", **(options.sbatch or {})},
    }
    return {key: value for key, value in parameters.items() if value is not None}


def _wait(study: Path, jobs: Sequence[Job]) -> None:
    """Show progress until no task holds one of the runs.

    Raises:
        ConfigError: if Slurm no longer answers, and for a record that cannot be read.
    """
    left, pause, failures = list(jobs), OFTEN, 0
    mine = {job.run_id for job in jobs}
    with tqdm(total=len(jobs), desc="runs", unit="run", disable=None, file=sys.stderr) as bar:
        while left:
            try:
                tasks = [task for task in queue(study) if not mine.isdisjoint(task.run_ids)]
            except ConfigError as error:  # a busy controller: look again
                failures += 1
                if failures == PATIENCE:
                    raise ConfigError(f"{error}; the tasks go on, the same command waits for them again") from None
            else:
                failures = 0
                waiting = {run_id for task in tasks if task.state == "PENDING" for run_id in task.run_ids}
                left = [job for job in left if job.run_id in waiting or standing(job) in ("new", "again")]
                bar.set_postfix_str(summary(tasks), refresh=False)
                bar.update(len(jobs) - len(left) - bar.n)
                if not tasks:
                    break
            time.sleep(pause)
            pause = min(SELDOM, 1.2 * pause)


@contextlib.contextmanager
def _interruptible(names: Sequence[str]) -> Iterator[None]:
    """A signal that ends the command cancels these tasks: their runs checkpoint and end."""

    def cancel(signum: int) -> None:
        with contextlib.suppress(ConfigError):
            if names:
                ask("scancel", *names)
        raise InterruptedRunError(signum)

    with signals.handled(cancel):
        yield


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that end the command are acted on afterwards; a program started meanwhile, sbatch, does not get them."""
    came: list[int] = []
    with signals.handled(came.append):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ending())
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if came:
        signal.raise_signal(came[0])


def _outcome(job: Job) -> Run:
    """A run whose task has ended, from its record."""
    record = find(job) or {"results": {}, "status": "running"}
    if record["status"] in ("running", "interrupted"):
        error = f"its Slurm task ended first, see {job.study}/{FOLDER}; the same command goes on"
        record |= {"status": "interrupted", "error": error}
    return Run({**record, "run_id": job.run_id}, [])
