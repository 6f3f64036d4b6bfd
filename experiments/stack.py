"""Which runs may share one batched program, and running them so."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from experiments.configs import Job, layer_parameters
from experiments.record import RunRecord, find, machine
from experiments.train import VERSION, Progress, Training, results
from lstm_variants import GatedRNN, make_cell

Event = dict[str, Any]
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
    shape = (job.variant.spec, job.task_name, job.task, job.hidden_size, job.model.layers)
    return (*shape, train, job.engine, job.device, job.threads, str(job.study), job.phase)


def stacks(jobs: Sequence[Job], largest: int, workers: int) -> list[list[Job]]:
    """Jobs grouped by structure, at most ``largest`` in a stack, and no fewer stacks than workers if it can be had."""
    groups: dict[tuple[Any, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[structure(job)].append(job)
    size = largest
    while size > 1 and sum(-(-len(group) // size) for group in groups.values()) < workers:
        size = (size + 1) // 2
    return [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]


def execute(jobs: Sequence[Job], on_event: Callable[[Event], None] = lambda event: None) -> list[Run]:
    """Train one stack and keep every job's record. A failure ends in the records, not in an exception."""
    torch.set_num_threads(jobs[0].threads or os.cpu_count() or 1)
    training = Training(jobs)
    records = [RunRecord(job, _facts(training, m)) for m, job in enumerate(jobs)]
    training.on_row = lambda model, row: records[model].row(row)
    training.on_step = _throttled(on_event, jobs)
    status, error = "failed", None
    try:
        training.run()
    except KeyboardInterrupt:
        status, error = "interrupted", "interrupted from the keyboard"
    except Exception as caught:
        error = f"{type(caught).__name__}: {str(caught).splitlines()[0] if str(caught) else ''}"
    runs = [_close(training, m, record, status, error) for m, record in enumerate(records)]
    on_event({"done": [run.record["run_id"] for run in runs]})
    return runs


def _close(training: Training, model: int, record: RunRecord, status: str, error: str | None) -> Run:
    progress: Progress = training.models[model]
    if progress.status == "running":
        progress.status = status
    ended = progress.status in ("finished", "diverged")
    weights = training.weights(model) if progress.status == "finished" else None
    outcome = results(progress, training.task.metric) if ended else {}
    record.finish(progress.status, outcome, training.seconds, weights, None if ended else error)
    return Run(record.content, record.rows, weights)


def _facts(training: Training, model: int) -> dict[str, Any]:
    job, layer = training.jobs[model], training.network.layer
    size = layer_parameters(layer.cell, job.task.input_size, job.hidden_size, job.model.layers)
    readout = job.task.output_size * (job.hidden_size + 1)
    return {
        "parameters": {
            "layer": size,
            "total": size + readout,
            "hidden_size": job.hidden_size,
            "reference": job.reference_parameters,
        },
        "notes": job.init.notes(layer.cell),
        "environment": {
            **machine(),
            "device": str(training.device),
            "threads": torch.get_num_threads(),
            "engine": layer.engine,
            "engine_reason": layer.engine_reason,
        },
        "semantics": {"cell": layer.cell.version, "task": job.task.version, "trainer": VERSION},
        "data_digest": training.digest(model),
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
            on_event({"stack": jobs[0].run_id, "name": name, "runs": len(jobs), "step": step, "loss": loss})

    return on_step


def standing(job: Job) -> str:
    """What is to be done about a job: ``new``, ``done``, ``failed``, ``stale`` or ``again`` (it was cut off)."""
    record = find(job)
    if record is None:
        return "new"
    semantics = {"cell": make_cell(job.variant.spec).version, "task": job.task.version, "trainer": VERSION}
    if record.get("semantics") != semantics or record["status"] == "stale":
        return "again" if job.retry == "stale" else "stale"
    if record["status"] in ("finished", "diverged"):
        return "done"
    if record["status"] == "failed":
        return "again" if job.retry == "failed" else "failed"
    return "again"


def load_layer(record: dict[str, Any], spec: Any, task: Any, weights: dict[str, torch.Tensor]) -> GatedRNN:
    """The trained layer of a run."""
    resolved = record["config"]["resolved"]
    size, layers = record["parameters"]["hidden_size"], resolved["model"]["layers"]
    layer = GatedRNN(spec, task.input_size, size, layers)
    layer.load_state_dict({k.removeprefix("layer."): v for k, v in weights.items() if k.startswith("layer.")})
    return layer
