"""The training loop of a stack: M runs of one structure that differ only in numbers, as one batched program."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from experiments.config.device import device_of
from experiments.config.job import Job
from experiments.tasks.base import Task
from experiments.training import checkpoint, evaluation
from experiments.training.data import StepData, TrainingData
from experiments.training.evaluation import Evaluation
from experiments.training.gradients import gradients
from experiments.training.network import Network
from experiments.training.optimiser import Optimiser
from experiments.training.streams import generator
from lstm_variants import State
from lstm_variants.dropout import Dropout

DIGESTED_BATCHES = 3  # training batches in the data digest


@dataclass
class Progress:
    """One model of a stack: its rows so far and how it stands."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    status: str = "running"
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    steps: int = 0
    solved_at: int | None = None
    steps_to_solve: int | None = None
    final: dict[str, Any] = field(default_factory=dict)

    @property
    def last_row(self) -> int | None:
        """The step of the last evaluation."""
        return self.rows[-1]["step"] if self.rows else None

    def take(self, row: dict[str, Any], task: Task) -> bool:
        """Keep a row, unless it is not finite; note the first of two successive evaluations past the threshold."""
        metrics = {key.removeprefix("eval/"): value for key, value in row.items() if key.startswith("eval/")}
        self.losses, self.norms = [], []
        if not math.isfinite(metrics["loss"]):
            self.status = "diverged"
            return False
        self.rows.append(row)
        if not task.is_solved(metrics):
            self.solved_at = None
        elif self.solved_at is None:
            self.solved_at = row["step"]
        elif self.steps_to_solve is None:
            self.steps_to_solve = self.solved_at
        return True


class _StoppedError(Exception):
    """Asked to stop in the middle of a step or an evaluation, which is given up: nothing of it is kept."""


class Training:
    """Train the jobs of a stack side by side.

    A run's metrics and weights do not depend on who shares its stack: data, initial weights, losses, gradient norms
    and evaluations are computed model by model, the layer and the optimiser keep each model's bits its own. A model
    that has ended leaves the stack.

    Args:
        jobs: runs that agree in all but seed, learning rate, weight decay, clip, momentum and initial values.
        checkpoints: where each run goes on, all at one step, or None to begin.
    """

    def __init__(self, jobs: Sequence[Job], checkpoints: Sequence[Mapping[str, Any]] | None = None) -> None:
        job = jobs[0]
        self.jobs, self.task, self.train = list(jobs), job.task, job.train
        self.device = device_of(job.device)
        self.network = self._new_network()
        parameters, by_hand = list(self.network.parameters()), self.network.by_hand
        self.optimiser = Optimiser(parameters, [j.train for j in jobs], native=by_hand)
        self.data = TrainingData(self.task, self.train.batch_size)
        self.evaluation = Evaluation(self.jobs, self._go_on)
        self.models = [Progress() for _ in jobs]
        self.alive = list(range(len(jobs)))  # the jobs in the network, in its order
        self.state: State | None = None
        self.done, self.seconds = 0, 0.0  # training steps, also those before an interruption
        self.stopping = 0  # a signal's number, set from outside: checkpoint and stop
        self.on_row: Callable[[int, dict[str, Any]], None] = lambda model, row: None
        self.on_step: Callable[[int, float], None] = lambda step, loss: None
        self.on_checkpoint: Callable[[int, dict[str, Any]], None] = lambda model, checkpoint: None
        self._weights: dict[int, dict[str, Tensor]] = {}
        self._always_probed = False  # whether the main metric comes from the task's probe
        if checkpoints is not None:
            self.done, self.seconds = checkpoints[0]["step"], checkpoints[0]["seconds"]
            self.models = [Progress(**each["progress"]) for each in checkpoints]
            self.state = checkpoint.restore(checkpoints, self.network, self.optimiser)

    def _new_network(self) -> Network:
        job, jobs = self.jobs[0], self.jobs
        sizes = (self.task.input_size, job.hidden_size, self.task.output_size, job.model.layers)
        network = Network(job.variant.spec, *sizes, models=len(jobs), engine=job.engine).to(self.device)
        layer, readout = ([generator(j.seed, stream) for j in jobs] for stream in ("init", "readout"))
        network.reset_parameters([j.init for j in jobs], layer, readout)
        return network

    def run(self, checkpoint_every: float = math.inf) -> list[Progress]:
        """Train until every model is ``finished`` or ``diverged``, or until asked to stop.

        Args:
            checkpoint_every: seconds between checkpoints.
        """
        before, started = self.seconds, time.perf_counter()
        saved = started
        try:
            self.evaluate(self.done)
            while self.alive and self.done < self.train.steps:
                self.step(self.done)
                self.evaluate(self.done)
                now = time.perf_counter()
                self.seconds = before + now - started
                self._go_on()
                if now - saved > checkpoint_every:
                    self.checkpoint()
                    saved = now
            self._end(self.alive, "finished")
            self.seconds = before + time.perf_counter() - started
        except _StoppedError:
            self.seconds = before + time.perf_counter() - started
            self.checkpoint()
        return self.models

    def step(self, step: int) -> None:
        """Train every model on its batch of this step; those whose loss or gradient is not finite leave."""
        state = self.state if self.task.carry else None
        data = StepData(self.data, [self.jobs[model].seed for model in self.alive], step)
        with self._noise(step):
            losses, found, last = gradients(self.network, self.task, data, state, self._go_on)
        norms = self.optimiser.step(found)
        self.state = last if self.task.carry else None
        self.done = step + 1
        self._note(losses.tolist(), norms.tolist())

    @contextlib.contextmanager
    def _noise(self, step: int) -> Iterator[None]:
        """Inside this context the network has the noise of a training step, of every model its own."""
        layer, dropout = self.network.layer, self.jobs[0].model.dropout
        layer.noise = self._generators("noise", step) if layer.spec.noisy else None
        layer.dropout = Dropout(dropout, self._generators("dropout", step)) if dropout else None
        try:
            yield
        finally:
            layer.noise = layer.dropout = None

    def _generators(self, stream: str, step: int) -> list[np.random.Generator]:
        return [generator(self.jobs[model].seed, stream, step) for model in self.alive]

    def _note(self, losses: Sequence[float], norms: Sequence[float]) -> None:
        """Keep each model's loss and gradient norm of the step that is done."""
        diverged = []
        for model, loss, norm in zip(self.alive, losses, norms, strict=True):
            progress = self.models[model]
            progress.losses.append(loss)
            progress.norms.append(norm)
            progress.steps = self.done
            if not (math.isfinite(loss) and math.isfinite(norm)):
                diverged.append(model)
        self.on_step(self.done, sum(losses) / len(losses))
        if diverged:
            self._end(diverged, "diverged")

    def evaluate(self, step: int) -> None:
        """Evaluate if it is time to; models leave that have diverged or, if told to stop then, solved it."""
        due = step % self.train.eval_every == 0 or step == self.train.steps
        lacking = [model for model in self.alive if self.models[model].last_row != step]
        if due and lacking:  # after an interruption some may have their row
            self._measure(step, lacking)
            self._end([model for model in self.alive if self.models[model].status == "diverged"], "diverged")
        if self.train.stop_at_solved:
            solved = [model for model in self.alive if self.models[model].steps_to_solve is not None]
            self._end(solved, "finished")

    def _measure(self, step: int, models: Sequence[int]) -> None:
        by_length = self.evaluation.scores(self.network, self.alive, self.state)
        self._always_probed = self.task.metric not in by_length[self.task.length][0]
        rows = {}
        for model in models:
            position, progress = self.alive.index(model), self.models[model]
            rows[model] = {
                "step": step,
                "train/loss": _mean(progress.losses),
                "train/gradient_norm": _mean(progress.norms),
                **evaluation.metrics(self.task, {length: own[position] for length, own in by_length.items()}),
                **(self._probe(position) if self._always_probed else {}),
            }
        for model, row in rows.items():
            if self.models[model].take(row, self.task):
                self.on_row(model, row)

    def _probe(self, position: int) -> dict[str, float]:
        return self.evaluation.probe(self.network, position, self.alive[position], self.state)

    def _end(self, models: Sequence[int], status: str) -> None:
        """Close some models and let them leave the stack."""
        if not models:
            return
        positions = {model: self.alive.index(model) for model in models}
        finals = {m: self._final(p) for m, p in positions.items()} if status == "finished" else {}
        for model, position in positions.items():
            self.models[model].final = finals.get(model, {})
            self.models[model].status = status
            self._weights[model] = self.network.model(position) | self._carried(position)
        keep = [position for position, model in enumerate(self.alive) if model not in models]
        if keep:
            self.network = self.network.subset(keep)
            self.optimiser = self.optimiser.subset(list(self.network.parameters()), keep)
            self.state = None if self.state is None else type(self.state)(*(value[keep] for value in self.state))
        self.alive = [self.alive[position] for position in keep]
        self.data.keep([self.jobs[model].seed for model in self.alive])

    def _final(self, position: int) -> dict[str, Any]:
        """A model's last evaluation, with the metrics that are measured at the end only."""
        model = self.alive[position]
        probed = {} if self._always_probed else self._probe(position)
        return {**self.models[model].rows[-1], **probed, **self.evaluation.memory(self.network, position, model)}

    def _carried(self, position: int) -> dict[str, Tensor]:
        """What a model's streams carry, as it stands among its weights."""
        if self.state is None:
            return {}
        return evaluation.saved(type(self.state)(*(value[position : position + 1] for value in self.state)))

    def _go_on(self) -> None:
        """Called where what is going on can be given up: half a step, an evaluation, the last metrics."""
        if self.stopping:
            raise _StoppedError

    def checkpoint(self) -> None:
        """Hand out, for every model still training, all that going on from here needs."""
        for position, model in enumerate(self.alive):
            stack = (self.network, self.optimiser, self.state, position)
            self.on_checkpoint(model, checkpoint.taken(*stack, asdict(self.models[model]), self.seconds))

    def weights(self, model: int) -> dict[str, Tensor]:
        """The parameters and buffers of an ended model, without the model axis, and what it carried at the end."""
        return self._weights[model]

    def digest(self, model: int) -> str:
        """A hash of the first training batches and the evaluation sets."""
        first = [self.data.batch(self.jobs[model].seed, step) for step in range(DIGESTED_BATCHES)]
        hasher = hashlib.sha256()
        for batch in (*first, *self.evaluation.batches(model)):
            for array in batch.data:
                hasher.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()[:16]

    def time(self, steps: int) -> tuple[float, float]:
        """Seconds of a training step and of an evaluation, measured on the first steps of this training."""
        self.step(0)
        started = time.perf_counter()
        for step in range(1, steps + 1):
            self.step(step)
        stepped = time.perf_counter()
        self.evaluation.scores(self.network, self.alive, self.state)
        return (stepped - started) / steps, time.perf_counter() - stepped


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
