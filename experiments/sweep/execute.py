"""Which runs may share one batched program, and running them so."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from filelock import Timeout

from analysis.common import resources
from analysis.records.versions import Version, outdated, today
from experiments.config.job import Job, split_of
from experiments.config.resolve import layer_parameters
from experiments.config.schema import ConfigError
from experiments.inspection import files
from experiments.store.files import StorageError, storing
from experiments.store.locks import lock
from experiments.store.record import RunRecord, fail, find, machine, other_settings, read_checkpoint
from experiments.sweep import signals
from experiments.tasks._files import contents
from experiments.tasks.base import TaskError
from experiments.training import torch_defaults
from experiments.training.loop import Progress, Training, results
from experiments.training.streams import generator
from lstm_variants import CellSpec, SpecError, make_cell, user_folders

Event = dict[str, Any]


class InterruptedRunError(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP came; every run has checkpointed.

    Attributes:
        signum: the signal.
        runs: the records closed so far.
    """

    def __init__(self, signum: int, runs: list[Run] | None = None) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum, self.runs = signum, runs or []


CARRIED = "carried from batch to batch, its gradient cut between them"
NUMBERS = {"lr": 0.0, "weight_decay": 0.0, "clip": None, "momentum": 0.0}  # what may differ inside a stack


@dataclass
class Run:
    """An ended run: its record, its rows and its weights."""

    record: dict[str, Any]
    rows: list[dict[str, Any]]
    weights: dict[str, torch.Tensor] | None = None

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


def structure(job: Job) -> tuple[Any, ...]:
    """What two runs must have in common to share a stack: all but seed, initial values and a few numbers."""
    train = tuple(sorted(vars(replace(job.train, **NUMBERS)).items()))  # type: ignore[arg-type]
    data = (job.task_name, job.task, tuple(sorted(job.contents.items())))
    shape = (job.variant.spec, *data, job.hidden_size, job.model.layers)
    checkpoint = read_checkpoint(job, semantics(job))
    step = 0 if checkpoint is None else checkpoint["step"]
    return (*shape, train, job.engine, job.device, job.threads, str(job.study), job.phase, step)


def stacks(jobs: Sequence[Job], largest: int, workers: int) -> list[list[Job]]:
    """Jobs grouped by structure, at most ``largest`` in a stack, and no fewer stacks than workers if it can be had.

    The most work comes first, so that the workers end together.
    """
    groups: dict[tuple[Any, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[structure(job)].append(job)
    size = largest
    while size > 1 and sum(-(-len(group) // size) for group in groups.values()) < workers:
        size = (size + 1) // 2
    parts = [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]
    return sorted(parts, key=_work, reverse=True)


def _work(group: Sequence[Job]) -> int:
    """A stack's work, up to a factor that all stacks share."""
    job = group[0]
    return len(group) * job.train.steps * job.train.batch_size * job.task.lag * job.hidden_size * job.model.layers


def semantics(job: Job) -> dict[str, Version]:
    """The versions of cell, task and trainer: a change of one alters results."""
    return today(job.variant.spec.cell, job.task_name, job.resolved["task"], sources(job))


def sources(job: Job) -> dict[str, str]:
    """The user's own files that a run rests on, see :func:`own_sources`."""
    return own_sources(job.variant.spec, (job.init.rule, job.init.recurrent), job.task_name)


def own_sources(spec: CellSpec, inits: Sequence[str], task: str) -> dict[str, str]:
    """The user's own files, one a line, of a task, and of a cell with its activations and its initialisation."""
    used = {spec.squash, *(spec[slot].activation for slot in spec.learned)}
    cell = [("cells", spec.cell), *(("activations", name) for name in sorted(used))]
    cell += [("inits", name) for name in dict.fromkeys(inits)]
    files = {"cell": cell, "task": [("tasks", task)]}
    own = {part: [str(path) for one in named for path in user_folders.sources(*one)] for part, named in files.items()}
    return {part: "\n".join(paths) for part, paths in own.items() if paths}


def execute(jobs: Sequence[Job], on_event: Callable[[Event], None] = lambda event: None) -> list[Run]:
    """Train one stack and keep every job's record. A failure ends in the records, not in an exception.

    A run that another process is working on, or has done in the meantime, is left to it. A signal that ends the command
    ends in a checkpoint and the status ``interrupted``. A stack that does not fit in memory is tried in halves.
    What the caller has set in torch (a default dtype or device, autocast ...) changes nothing.
    """
    runs: list[Run] = []
    with torch_defaults.defaults(), contextlib.ExitStack() as held:
        mine = [job for job in jobs if _claim(job, held)]
        for group in stacks(mine, len(jobs), 1):  # another process may have moved some of them on
            runs += _train(group, on_event)
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


def _train(jobs: Sequence[Job], on_event: Callable[[Event], None]) -> list[Run]:
    torch.set_num_threads(jobs[0].threads or resources.cores())
    try:
        return _attempt(jobs, on_event)
    except _TooLargeError:
        pass  # leaving the handler frees what the attempt held
    half = len(jobs) // 2
    return _train(jobs[:half], on_event) + _train(jobs[half:], on_event)


class _TooLargeError(Exception):
    """A stack of several runs does not fit in memory."""


def _attempt(jobs: Sequence[Job], on_event: Callable[[Event], None]) -> list[Run]:
    try:
        training = _prepared(jobs)
        _refuse_replaced(jobs)
        facts = [_facts(training, model) for model in range(len(jobs))]
    except Exception as caught:
        error = _reason(caught, jobs)
        return [failed(job, error) for job in jobs]
    records: list[RunRecord] = []
    try:
        for model, job in enumerate(jobs):
            records.append(RunRecord(job, facts[model], training.models[model].rows))
        runs = _recorded(training, records, on_event)
    except BaseException:
        for record in records:
            record.close()
        raise
    if training.stopping:
        raise InterruptedRunError(training.stopping, runs)
    return runs


def _prepared(jobs: Sequence[Job]) -> Training:
    """From the checkpoints if every run has one that fits, else from the beginning."""
    checkpoints = [checkpoint for job in jobs if (checkpoint := read_checkpoint(job, semantics(job)))]
    if len(checkpoints) == len(jobs):
        with contextlib.suppress(Exception):  # one that does not fit can raise anything
            return Training(jobs, checkpoints)
    return Training(jobs)


def _refuse_replaced(jobs: Sequence[Job]) -> None:
    """Refuse runs whose data, which have been read by now, are others than when the runs were set out."""
    for job in jobs:
        if job.contents and contents(job.task.files) != job.contents:
            raise ConfigError(f"{job.run_id}: the files of task.{', task.'.join(job.contents)} have just been replaced")


def _recorded(training: Training, records: Sequence[RunRecord], on_event: Callable[[Event], None]) -> list[Run]:
    training.on_row = lambda model, row: records[model].row(row)
    training.on_step = _throttled(on_event, training.jobs)
    training.on_checkpoint = lambda model, checkpoint: records[model].checkpoint(checkpoint)
    error = None
    with signals.handled(
        lambda signum: setattr(training, "stopping", signum)
    ):  # until the records are closed: a second signal must not cut that short
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
    facts = {**_known(job), "environment": {**machine(), **where}, "data_digest": None}
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
    if weights is not None and training.jobs[model].record.inside:
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
    return {**_known(training.jobs[model]), "environment": environment, "data_digest": training.digest(model)}


def _known(job: Job) -> dict[str, Any]:
    """What a record says that can be known without training."""
    cell = make_cell(job.variant.spec)
    size = layer_parameters(cell, job.task.input_size, job.hidden_size, job.model.layers)
    readout = job.task.output_size * (job.hidden_size + 1)
    return {
        "parameters": {
            "layer": size,
            "total": size + readout,
            "hidden_size": job.hidden_size,
            "reference": job.reference_parameters,
        },
        "state": CARRIED if job.task.carry else "new for every batch",
        "notes": job.init.notes(cell),
        "sources": sources(job),
        "semantics": semantics(job),
    }


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


def standing(job: Job) -> str:
    """What is to be done about a job: ``new``, ``done``, ``failed``, ``stale`` or ``again`` (it was cut off).

    Raises:
        ConfigError: if there is a record that cannot be read, or one of a newer schema.
    """
    record = find(job)
    if record is None:
        return "new"
    if _other_versions(job, record) or record["status"] == "stale":
        return "again" if job.retry == "stale" else "stale"
    if record["status"] == "failed":
        return "again" if job.retry == "failed" else "failed"
    _refuse_another_split(job, record)
    return "done" if record["status"] in ("finished", "diverged") else "again"


def _refuse_another_split(job: Job, record: dict[str, Any]) -> None:
    """Refuse a phase that evaluates on other data than the record: its numbers are no answer, and stay."""
    phase = record.get("phase")
    if split_of(phase) == job.split or _evaluated(job, split_of(phase)) == _evaluated(job, job.split):
        return
    said, before = ("null" if one is None else one for one in (job.phase, phase))
    raise ConfigError(
        f"phase={said}: {job.study}/{record['run_id']} was made with phase={before}, which evaluates on the "
        f"{split_of(phase)} split, not the {job.split} split: use another study="
    )


def _evaluated(job: Job, split: str) -> list[bytes]:
    """The evaluation set of a split."""
    size, length = job.train.eval_size, job.task.length
    batches = job.task.evaluation_batches(generator(job.seed, "split"), size, size, length, split)
    return [b"-" if array is None else array.tobytes() for batch in batches for array in batch]


def done(job: Job) -> dict[str, Any] | None:
    """The record of a run that is done, by today's versions; else None."""
    return find(job) if standing(job) == "done" else None


def _other_versions(job: Job, record: dict[str, Any]) -> list[str]:
    """What of a record's run is another today: cell, task or trainer, or a setting whose default was edited."""
    return [*outdated(record["semantics"], semantics(job)), *other_settings(job, record)]


def refuse_stale(jobs: Sequence[Job]) -> None:
    """Refuse to go on where the numbers of stale runs would be used.

    Raises:
        ConfigError: saying how many are stale, why, and what to do.
    """
    stale = [job for job in jobs if standing(job) == "stale"]
    if stale:
        parts = {part for job in stale for part in _other_versions(job, find(job) or {"semantics": {}})}
        why = f"another version of {' and '.join(sorted(parts))} made the numbers" if parts else "as recorded"
        first = f"{stale[0].run_id} is" if len(stale) == 1 else f"{len(stale)} runs, {stale[0].run_id} the first, are"
        raise ConfigError(f"{stale[0].study}: {first} stale ({why}): retry=stale makes them again")
