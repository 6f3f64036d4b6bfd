"""The training loop of a stack: M runs of one structure that differ only in numbers, as one batched program."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.configs import Job
from experiments.model import Network, counted_steps
from experiments.optimiser import Optimiser
from experiments.streams import generator
from experiments.tasks.base import Batch, Scores
from lstm_variants import State

VERSION = 1  # raised by a change that alters results
EVALUATION_BATCH = 128  # sequences evaluated at a time, where no state is carried
DIGESTED_BATCHES = 3  # training batches in the data digest


@dataclass
class Progress:
    """One model of a stack: its rows so far and how it stands."""

    rows: list[dict[str, float | int | None]] = field(default_factory=list)
    status: str = "running"
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    steps_to_solve: int | None = None
    solved_at: int | None = None
    steps: int = 0
    final: dict[str, float | int | None] = field(default_factory=dict)


class Training:
    """Train the jobs of a stack side by side.

    A run's metrics and weights do not depend on who shares its stack: data, initial weights, losses, gradient norms
    and evaluations are computed model by model, the layer and the optimiser keep each model's bits its own.

    Args:
        jobs: runs that agree in all but seed, learning rate, weight decay, clip, momentum and initial values.
        on_row: called with (model, row) after each evaluation.
        on_step: called with (step, mean loss) after each step.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        on_row: Callable[[int, dict[str, Any]], None] = lambda model, row: None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> None:
        self.jobs, self.task, self.train = list(jobs), jobs[0].task, jobs[0].train
        self.on_row, self.on_step = on_row, on_step
        self.device = _device(jobs[0].device)
        job = jobs[0]
        sizes = (self.task.input_size, job.hidden_size, self.task.output_size, job.model.layers)
        self.network = Network(job.variant.spec, *sizes, models=len(jobs), engine=job.engine).to(self.device)
        self.network.reset_parameters(
            [j.init for j in jobs],
            [generator(j.seed, "init") for j in jobs],
            [generator(j.seed, "readout") for j in jobs],
        )
        self.parameters = list(self.network.parameters())
        self.optimiser = Optimiser(self.parameters, [j.train for j in jobs])
        self.evaluation = {length: [self._evaluation_set(j, length) for j in jobs] for length in self._lengths()}
        self.models = [Progress() for _ in jobs]
        self.state: State | None = None
        self.seconds = 0.0
        self._always_probed = False  # whether the main metric comes from the task's probe

    def _lengths(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys((self.task.length, *self.task.eval_lengths)))

    def _evaluation_set(self, job: Job, length: int) -> list[Batch]:
        size = self.train.batch_size if self.task.carry else min(EVALUATION_BATCH, self.train.eval_size)
        split = "validation" if job.phase == "tune" else "test"
        return self.task.evaluation_batches(
            generator(job.seed, f"evaluation/{length}"), size, self.train.eval_size, length, split
        )

    def _batch(self, job: Job, step: int) -> Batch:
        return self.task.training_batch(generator(job.seed, "train", step), self.train.batch_size)

    def digest(self, model: int) -> str:
        """A hash of the first training batches and the evaluation sets."""
        first = [self._batch(self.jobs[model], step) for step in range(DIGESTED_BATCHES)]
        sets = [batch for length in self._lengths() for batch in self.evaluation[length][model]]
        hasher = hashlib.sha256()
        for batch in (*first, *sets):
            for array in batch:
                hasher.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()[:16]

    def run(self) -> list[Progress]:
        """Train to the end; every model ends ``finished`` or ``diverged``."""
        started = time.perf_counter()
        self._evaluate(0)
        for step in range(self.train.steps):
            self._step(step)
            if (step + 1) % self.train.eval_every == 0 or step + 1 == self.train.steps:
                self._evaluate(step + 1)
            if not self._running():
                break
        for model in self._running():
            self.models[model].status = "finished"
        for model, progress in enumerate(self.models):
            if progress.status == "finished":
                probed = {} if self._always_probed else self._probe(model)
                progress.final = {**progress.rows[-1], **probed}
        self.seconds = time.perf_counter() - started
        return self.models

    def _running(self) -> list[int]:
        return [m for m, progress in enumerate(self.models) if progress.status == "running"]

    def _batches(self, step: int) -> list[Batch]:
        """Each model's batch; runs of one seed see the same one, drawn once."""
        by_seed = {job.seed: job for job in self.jobs}
        drawn = {seed: self._batch(job, step) for seed, job in by_seed.items()}
        return [drawn[job.seed] for job in self.jobs]

    def _step(self, step: int) -> None:
        batches = self._batches(step)
        if self.network.layer.spec.noisy:
            self.network.layer.noise = [generator(job.seed, "noise", step) for job in self.jobs]
        hidden, last = self.network(batches, self.state if self.task.carry else None)
        losses = [self._loss(hidden, m, batch) for m, batch in enumerate(batches)]
        gradients = torch.autograd.grad(torch.stack(losses).sum(), self.parameters)
        self.network.layer.noise = None
        norms = self.optimiser.step(gradients).tolist()
        if self.task.carry:
            self.state = type(last)(*(value.detach() for value in last))
        running = self._running()
        for m in running:
            self._account(m, step, losses[m].item(), norms[m])
        self.on_step(step + 1, sum(losses[m].item() for m in running) / len(running))

    def _loss(self, hidden: Tensor, model: int, batch: Batch) -> Tensor:
        steps = counted_steps(batch)
        return self.task.loss(self.network.outputs(hidden, model, steps), batch.at(steps))

    def _account(self, model: int, step: int, loss: float, norm: float) -> None:
        progress = self.models[model]
        progress.losses.append(loss)
        progress.norms.append(norm)
        progress.steps = step + 1
        if not (math.isfinite(loss) and math.isfinite(norm)):
            progress.status = "diverged"

    @torch.no_grad()
    def _evaluate(self, step: int) -> None:
        by_length = {length: self._scores(sets) for length, sets in self.evaluation.items()}
        self._always_probed = self.task.metric not in by_length[self.task.length][0]
        for m in self._running():
            progress = self.models[m]
            row: dict[str, float | int | None] = {"step": step}
            row["train/loss"] = _mean(progress.losses)
            row["train/gradient_norm"] = _mean(progress.norms)
            for length, scores in by_length.items():
                prefix = "eval" if length == self.task.length else f"eval@{length}"
                row.update({f"{prefix}/{name}": value for name, value in scores[m].means().items()})
            if self._always_probed:
                row.update(self._probe(m))
            progress.losses.clear()
            progress.norms.clear()
            progress.rows.append(row)
            self._judge(progress, row)
            if progress.status != "diverged":
                self.on_row(m, row)

    def _scores(self, sets: Sequence[Sequence[Batch]]) -> list[Scores]:
        """Every model on its own evaluation set; streams go on from the carried state, which training keeps."""
        totals = [Scores() for _ in self.jobs]
        state = self.state
        for batches in zip(*sets, strict=True):
            hidden, last = self.network(batches, state if self.task.carry else None)
            state = last
            for m, batch in enumerate(batches):
                steps = counted_steps(batch)
                totals[m].add(self.task.scores(self.network.outputs(hidden, m, steps), batch.at(steps)))
        return totals

    @torch.no_grad()
    def _probe(self, model: int) -> dict[str, float]:
        """Metrics of a whole evaluation run by one model alone, from the carried state where there is one."""
        alone = self.network.single(model)
        state: State | None = None

        def run(batch: Batch) -> Tensor:
            nonlocal state
            if self.task.carry and state is None and self.state is not None:
                streams = torch.arange(batch.inputs.shape[1]) % self.train.batch_size
                state = type(self.state)(*(value[model : model + 1, :, streams] for value in self.state))
            hidden, state = alone([batch], state if self.task.carry else None)
            return alone.outputs(hidden, 0)

        metrics = self.task.probe(run, generator(self.jobs[model].seed, "probe"))
        return {f"eval/{name}": value for name, value in metrics.items()}

    def _judge(self, progress: Progress, row: dict[str, Any]) -> None:
        """Note divergence, and the first of two successive evaluations past the solved threshold."""
        metrics = {key.removeprefix("eval/"): value for key, value in row.items() if key.startswith("eval/")}
        if not math.isfinite(metrics["loss"]):
            progress.status = "diverged"
            progress.rows.pop()
            return
        if progress.steps_to_solve is not None or not self.task.is_solved(metrics):
            progress.solved_at = None
        elif progress.solved_at is None:
            progress.solved_at = row["step"]
        else:
            progress.steps_to_solve = progress.solved_at
            if self.train.stop_at_solved:
                progress.status = "finished"

    def weights(self, model: int) -> dict[str, Tensor]:
        """One model's parameters and buffers, without the model axis."""
        return {name: value[model].detach().cpu().clone() for name, value in self.network.state_dict().items()}


def results(progress: Progress, metric: str) -> dict[str, Any]:
    """The deterministic results of an ended run."""
    final = {key: value for key, value in progress.final.items() if key != "step"}
    score = None if progress.status == "diverged" else final.get(f"eval/{metric}")
    return {
        "score": score,
        "steps": progress.steps,
        "steps_to_solve": progress.steps_to_solve,
        "solved": progress.status != "diverged" and progress.steps_to_solve is not None,
        "final": final,
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
