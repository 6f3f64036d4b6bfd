"""Running one stack: its runs are trained side by side, and each has its record."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from filelock import Timeout

from analysis.common import resources
from experiments.config.job import Job
from experiments.config.schema import ConfigError
from experiments.inspection import files
from experiments.store.files import StorageError, storing
from experiments.store.locks import lock
from experiments.store.lookup import read_checkpoint
from experiments.store.machine_and_commit import machine
from experiments.store.new_record import network
from experiments.store.record import RunRecord, fail
from experiments.store.what_is_left import standing
from experiments.sweep import signals
from experiments.sweep.grouping import stacks
from experiments.tasks import file_contents
from experiments.tasks.base import TaskError
from experiments.tracking.live import Mirror
from experiments.training import torch_defaults
from experiments.training.loop import Progress, Training, results
from lstm_variants import SpecError

Event = dict[str, Any]
Checkpoints = dict[str, dict[str, Any]]  # by run_id


class InterruptedRunError(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP came; every run has checkpointed.

    Attributes:
        signum: the signal.
        runs: the records closed so far.
    """

    def __init__(self, signum: int, runs: list[Run] | None = None) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum, self.runs = signum, runs or []


@dataclass
class Run:
    """An ended run: its record, its rows and its weights."""

    record: dict[str, Any]
    rows: list[dict[str, Any]]
    weights: dict[str, torch.Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """To be pickled: the weights by value, for the process that made them may end, as arrays, which is quicker."""
        weights = {name: value.numpy() for name, value in self.weights.items()} if self.weights else None
        return {**vars(self), "weights": weights}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        arrays = state["weights"]
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()} if arrays else None
        vars(self).update(state, weights=weights)

    @property
    def status(self) -> str:
        """finished, diverged, failed or interrupted."""
        return str(self.record["status"])

    @property
    def score(self) -> float | None:
        """The final value of the task's main metric."""
        score = self.record["results"].get("score")
        return None if score is None else float(score)

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per evaluation."""
        return pd.DataFrame(self.rows)

    def __repr__(self) -> str:
        metric = self.record["task"]["metric"]
        score = "none" if self.score is None else f"{self.score:.4g}"
        return f"Run({self.record['run_id']}: {self.status}, {metric} {score})"


def execute(jobs: Sequence[Job], on_event: Callable[[Event], None] = lambda event: None) -> list[Run]:
    """Train one stack and keep every job's record. A failure ends in the records, not in an exception.

    A run that another process is working on, or has done in the meantime, is left to it. A signal that ends the command
    ends in a checkpoint and the status ``interrupted``. A stack that does not fit in memory is tried in halves.
    What the caller has set in torch (a default dtype or device, autocast ...) changes nothing.
    """
    runs: list[Run] = []
    with torch_defaults.defaults(), contextlib.ExitStack() as held:
        mine = [job for job in jobs if _claim(job, held)]
        checkpoints = _checkpoints(mine)  # another process may have moved some of them on
        steps = {run_id: checkpoint["step"] for run_id, checkpoint in checkpoints.items()}
        for group in stacks(mine, steps, len(jobs), 1):
            runs += _train(group, checkpoints, on_event)
    on_event({"done": [job.run_id for job in jobs]})
    return runs


def _claim(job: Job, held: contextlib.ExitStack) -> bool:
    """Take a run's lock until the stack ends; False if it is taken, or the run done."""
    if job.study is None:
        return True
    try:
        with storing(job.study):
            held.enter_context(lock(job.study, job.run_id))
    except Timeout:
        return False
    return standing(job) in ("new", "again")


def _checkpoints(jobs: Sequence[Job]) -> Checkpoints:
    """The points from which runs can go on."""
    return {job.run_id: checkpoint for job in jobs if (checkpoint := read_checkpoint(job))}


def _train(jobs: Sequence[Job], checkpoints: Checkpoints, on_event: Callable[[Event], None]) -> list[Run]:
    torch.set_num_threads(jobs[0].threads or resources.cores())
    try:
        return _attempt(jobs, checkpoints, on_event)
    except _TooLargeError:
        pass  # leaving the handler frees what the attempt held
    halves = jobs[: len(jobs) // 2], jobs[len(jobs) // 2 :]
    return [run for half in halves for run in _train(half, _checkpoints(half), on_event)]


class _TooLargeError(Exception):
    """A stack of several runs does not fit in memory."""


def _attempt(jobs: Sequence[Job], checkpoints: Checkpoints, on_event: Callable[[Event], None]) -> list[Run]:
    try:
        training = _prepared(jobs, checkpoints)
        _refuse_replaced(jobs)
        facts = [_facts(training, model) for model in range(len(jobs))]
    except Exception as caught:
        error = _reason(caught, jobs)
        return [failed(job, error) for job in jobs]
    records: list[RunRecord] = []
    try:
        for model, job in enumerate(jobs):
            records.append(RunRecord(job, facts[model], training.models[model].rows, [Mirror(job)]))
        runs = _recorded(training, records, on_event)
    except BaseException:
        for record in records:
            record.close()
        raise
    if training.stopping:
        raise InterruptedRunError(training.stopping, runs)
    return runs


def _prepared(jobs: Sequence[Job], checkpoints: Checkpoints) -> Training:
    """From the checkpoints if every run has one that fits, else from the beginning."""
    if all(job.run_id in checkpoints for job in jobs):
        with contextlib.suppress(Exception):  # one that does not fit can raise anything
            return Training(jobs, [checkpoints[job.run_id] for job in jobs])
    return Training(jobs)


def _refuse_replaced(jobs: Sequence[Job]) -> None:
    """Refuse runs whose data, which have been read by now, are others than when the runs were set out."""
    for job in jobs:
        if job.contents and file_contents(job.task.files) != job.contents:
            raise ConfigError(f"{job.run_id}: the files of task.{', task.'.join(job.contents)} have just been replaced")


def _recorded(training: Training, records: Sequence[RunRecord], on_event: Callable[[Event], None]) -> list[Run]:
    training.on_row = lambda model, row: records[model].row(row)
    training.on_step = _throttled(on_event, training.jobs)
    training.on_checkpoint = lambda model, checkpoint: records[model].checkpoint(checkpoint)
    error = None
    stop: Callable[[int], None] = lambda signum: setattr(training, "stopping", signum)  # noqa: E731
    with signals.handled(stop):  # until the records are closed: a second signal must not cut that short
        try:
            training.run(training.jobs[0].record.checkpoint_every)
        except Exception as caught:
            error = _reason(caught, training.jobs)
        return [_close(training, model, record, error) for model, record in enumerate(records)]


def _reason(error: Exception, jobs: Sequence[Job]) -> str:
    """Why the runs failed, in one line; raises what is no failure of theirs."""
    if isinstance(error, StorageError | ConfigError | SpecError | TaskError):
        raise error
    if len(jobs) > 1 and _out_of_memory(error):
        raise _TooLargeError from None
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def failed(job: Job, error: str) -> Run:
    """A run that could not begin, or that no process survived, with its record."""
    where = {"device": job.device, "threads": job.threads, "engine": job.engine, "engine_reason": None}
    facts = {**network(job), "environment": {**machine(), **where}, "data_digest": None}
    return Run(fail(job, error, facts), [])


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)


def _close(training: Training, model: int, record: RunRecord, error: str | None) -> Run:
    progress: Progress = training.models[model]
    if progress.status == "running":
        progress.status = "failed" if error else "interrupted"
    ended = progress.status in ("finished", "diverged")
    weights = training.weights(model) if progress.status == "finished" else None
    outcome = results(progress, training.task.metric) if ended else {}
    if weights is not None and training.jobs[model].record.inside and training.jobs[model].phase != "tune":
        _look_inside(training.jobs[model], record, weights)
    record.finish(progress.status, outcome, training.seconds, weights, None if ended else error)
    return Run(record.content, record.rows, weights)


def _look_inside(job: Job, record: RunRecord, weights: Mapping[str, torch.Tensor]) -> None:
    """Keep what is found inside the trained net beside its record; a run whose net cannot be looked at is whole."""
    if job.folder is None:
        return
    try:
        trained = files.Trained.from_weights(weights, job.task, job.resolved, job.phase)
        files.write(job.folder, record.content, weights, files.inspected(trained, files.SEQUENCES), files.SEQUENCES)
    except StorageError:
        raise
    except Exception as error:
        record.content["notes"].append(f"inside: {type(error).__name__}: {next(iter(str(error).splitlines()), '')}")


def _facts(training: Training, model: int) -> dict[str, Any]:
    layer = training.network.layer
    environment = {
        **machine(),
        "device": str(training.device),
        "threads": torch.get_num_threads(),
        "engine": layer.engine,
        "engine_reason": layer.engine_reason,
    }
    return {**network(training.jobs[model]), "environment": environment, "data_digest": training.digest(model)}


def _throttled(on_event: Callable[[Event], None], jobs: Sequence[Job]) -> Callable[[int, float], None]:
    """Report a step at most five times a second."""
    last = 0.0
    name = f"{jobs[0].variant.name} {jobs[0].task_name}"

    def on_step(step: int, loss: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.2 or step == jobs[0].train.steps:
            last = now
            on_event({"stack": [job.run_id for job in jobs], "name": name, "step": step, "loss": loss})

    return on_step
