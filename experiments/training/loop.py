"""The training loop of a stack: M runs of one structure that differ only in numbers, as one batched program."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.config.job import Job
from experiments.tasks.base import Batch, Scores
from experiments.training import evaluation
from experiments.training.network import Network, counted_steps
from experiments.training.optimiser import Optimiser
from experiments.training.retention import memory
from experiments.training.streams import generator
from lstm_variants import State
from lstm_variants.cell import state_type

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
        self.device = _device(job.device)
        self.network = self._new_network()
        self.optimiser = Optimiser(list(self.network.parameters()), [j.train for j in jobs])
        self.evaluation = {length: self._evaluation_sets(length) for length in evaluation.lengths(self.task)}
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
            self._restore(checkpoints)

    def _new_network(self) -> Network:
        job, jobs = self.jobs[0], self.jobs
        sizes = (self.task.input_size, job.hidden_size, self.task.output_size, job.model.layers)
        network = Network(job.variant.spec, *sizes, models=len(jobs), engine=job.engine).to(self.device)
        layer, readout = ([generator(j.seed, stream) for j in jobs] for stream in ("init", "readout"))
        network.reset_parameters([j.init for j in jobs], layer, readout)
        return network

    def _evaluation_sets(self, length: int) -> list[list[Batch]]:
        """Each run's evaluation set; runs of one seed have the same one, drawn once."""
        by_seed = {job.seed: job for job in self.jobs}
        drawn = {
            seed: evaluation.evaluation_set(self.task, self.train, seed, length, job.split)
            for seed, job in by_seed.items()
        }
        return [drawn[job.seed] for job in self.jobs]

    def _batch(self, job: Job, step: int) -> Batch:
        return self.task.training_batch(generator(job.seed, "train", step), self.train.batch_size)

    def digest(self, model: int) -> str:
        """A hash of the first training batches and the evaluation sets."""
        first = [self._batch(self.jobs[model], step) for step in range(DIGESTED_BATCHES)]
        sets = [batch for by_model in self.evaluation.values() for batch in by_model[model]]
        hasher = hashlib.sha256()
        for batch in (*first, *sets):
            for array in batch.data:
                hasher.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()[:16]

    def run(self, checkpoint_every: float = math.inf) -> list[Progress]:
        """Train until every model is ``finished`` or ``diverged``, or until asked to stop.

        Args:
            checkpoint_every: seconds between checkpoints.
        """
        before, started = self.seconds, time.perf_counter()
        saved = started
        try:
            self._evaluate(self.done)
            while self.alive and self.done < self.train.steps:
                self._step(self.done)
                self._evaluate(self.done)
                now = time.perf_counter()
                self.seconds = before + now - started
                self._go_on()
                if now - saved > checkpoint_every:
                    self._checkpoint()
                    saved = now
            self._end(self.alive, "finished")
            self.seconds = before + time.perf_counter() - started
        except _StoppedError:
            self.seconds = before + time.perf_counter() - started
            self._checkpoint()
        return self.models

    def _go_on(self) -> None:
        """Called where what is going on can be given up: half a step, an evaluation, the last metrics."""
        if self.stopping:
            raise _StoppedError

    def _end(self, models: Sequence[int], status: str) -> None:
        """Close some models and let them leave the stack."""
        positions = {model: self.alive.index(model) for model in models}
        finals = {m: self._final(p) for m, p in positions.items()} if status == "finished" else {}
        for model, position in positions.items():
            self.models[model].final = finals.get(model, {})
            self.models[model].status = status
            carried = self._carried(position)
            self._weights[model] = self.network.model(position) | (evaluation.saved(carried) if carried else {})
        keep = [position for position, model in enumerate(self.alive) if model not in models]
        if keep and len(keep) < len(self.alive):
            self.network = self.network.subset(keep)
            self.optimiser = self.optimiser.subset(list(self.network.parameters()), keep)
            self.state = None if self.state is None else type(self.state)(*(value[keep] for value in self.state))
        self.alive = [self.alive[position] for position in keep]

    def _final(self, position: int) -> dict[str, Any]:
        """A model's last evaluation, with the metrics that are measured at the end only."""
        probed = {} if self._always_probed else self._probe(position)
        return {**self.models[self.alive[position]].rows[-1], **probed, **self._memory(position)}

    def _batches(self, step: int) -> list[Batch]:
        """Each model's batch; runs of one seed see the same one, drawn once."""
        jobs = [self.jobs[model] for model in self.alive]
        drawn = {seed: self._batch(job, step) for seed, job in {job.seed: job for job in jobs}.items()}
        return [drawn[job.seed] for job in jobs]

    def _step(self, step: int) -> None:
        batches = self._batches(step)
        layer = self.network.layer
        layer.noise = [generator(self.jobs[m].seed, "noise", step) for m in self.alive] if layer.spec.noisy else None
        hidden, last = self.network(batches, self.state if self.task.carry else None)
        self._go_on()
        losses = torch.stack([self._loss(hidden, position, batch) for position, batch in enumerate(batches)])
        gradients = torch.autograd.grad(losses.sum(), self.optimiser.parameters)
        layer.noise = None
        norms = self.optimiser.step(gradients).tolist()
        if self.task.carry:
            self.state = type(last)(*(value.detach() for value in last))
        values = losses.tolist()
        for model, loss, norm in zip(self.alive, values, norms, strict=True):
            progress = self.models[model]
            progress.losses.append(loss)
            progress.norms.append(norm)
            progress.steps = step + 1
        self.done = step + 1
        self.on_step(step + 1, sum(values) / len(values))
        finite = [math.isfinite(loss) and math.isfinite(norm) for loss, norm in zip(values, norms, strict=True)]
        if not all(finite):
            self._end([model for model, sound in zip(self.alive, finite, strict=True) if not sound], "diverged")

    def _loss(self, hidden: Sequence[Tensor], position: int, batch: Batch) -> Tensor:
        steps = counted_steps(batch)
        return self.task.loss(self.network.outputs(hidden, position, steps), batch.at(steps))

    def _evaluate(self, step: int) -> None:
        """Evaluate if it is time to; models leave that have diverged or, if told to stop then, solved it."""
        due = step % self.train.eval_every == 0 or step == self.train.steps
        lacking = [model for model in self.alive if self.models[model].last_row != step]
        if due and lacking:  # after an interruption some may have their row
            self._measure(step, lacking)
            self._end([model for model in self.alive if self.models[model].status == "diverged"], "diverged")
        if self.train.stop_at_solved:
            solved = [model for model in self.alive if self.models[model].steps_to_solve is not None]
            self._end(solved, "finished")

    @torch.no_grad()
    def _measure(self, step: int, models: Sequence[int]) -> None:
        by_length = {
            length: self._scores([sets[model] for model in self.alive]) for length, sets in self.evaluation.items()
        }
        self._always_probed = self.task.metric not in by_length[self.task.length][0]
        rows = {model: self._row(step, self.alive.index(model), by_length) for model in models}
        for model, row in rows.items():
            self.models[model].losses, self.models[model].norms = [], []
            self._judge(model, row)

    def _row(self, step: int, position: int, by_length: Mapping[int, Sequence[Scores]]) -> dict[str, Any]:
        """What an evaluation found of a model."""
        progress = self.models[self.alive[position]]
        row: dict[str, Any] = {"step": step}
        row["train/loss"], row["train/gradient_norm"] = _mean(progress.losses), _mean(progress.norms)
        row |= evaluation.metrics(self.task, {length: scores[position] for length, scores in by_length.items()})
        return row | (self._probe(position) if self._always_probed else {})

    def _scores(self, sets: Sequence[Sequence[Batch]]) -> list[Scores]:
        """Every model on its own evaluation set; streams go on from the carried state, which training keeps."""
        return evaluation.scores(self.network, self.task, sets, self.state, self._go_on)

    def _probe(self, position: int) -> dict[str, float]:
        """Metrics of a whole evaluation run by one model alone, from the carried state where there is one."""
        seed = self.jobs[self.alive[position]].seed
        return evaluation.probe(
            lambda: self.network.subset([position]), self.task, seed, self._carried(position), self._go_on
        )

    def _carried(self, position: int) -> State | None:
        """What one model carries from batch to batch, fields (1, L, B, H)."""
        if not self.task.carry or self.state is None:
            return None
        return type(self.state)(*(value[position : position + 1] for value in self.state))

    def _memory(self, position: int) -> dict[str, float]:
        """What an untrained model keeps of its cell state; of a trained one nothing is asked."""
        if self.train.steps:
            return {}
        return memory(self.network.subset([position]), self.evaluation[self.task.length][self.alive[position]][0])

    def _judge(self, model: int, row: dict[str, Any]) -> None:
        """Keep a row, unless it is not finite; note the first of two successive evaluations past the threshold."""
        progress = self.models[model]
        metrics = {key.removeprefix("eval/"): value for key, value in row.items() if key.startswith("eval/")}
        if not math.isfinite(metrics["loss"]):
            progress.status = "diverged"
            return
        progress.rows.append(row)
        self.on_row(model, row)
        if not self.task.is_solved(metrics):
            progress.solved_at = None
        elif progress.solved_at is None:
            progress.solved_at = row["step"]
        elif progress.steps_to_solve is None:
            progress.steps_to_solve = progress.solved_at

    def weights(self, model: int) -> dict[str, Tensor]:
        """The parameters and buffers of an ended model, without the model axis, and what it carried at the end."""
        return self._weights[model]

    def _checkpoint(self) -> None:
        """Hand out, for every model still training, all that going on from here needs."""
        for position, model in enumerate(self.alive):
            carried = None if self.state is None else {k: v[position] for k, v in self.state._asdict().items()}
            checkpoint = {
                "step": self.done,
                "seconds": self.seconds,
                "network": self.network.model(position),
                "moments": [[moment[position].clone() for moment in slot] for slot in self.optimiser.moments],
                "carried": carried,
                "progress": asdict(self.models[model]),
            }
            self.on_checkpoint(model, checkpoint)

    @torch.no_grad()
    def _restore(self, checkpoints: Sequence[Mapping[str, Any]]) -> None:
        first = checkpoints[0]
        self.done, self.seconds, self.optimiser.done = first["step"], first["seconds"], first["step"]
        self.models = [Progress(**checkpoint["progress"]) for checkpoint in checkpoints]
        stacked = {name: torch.stack([c["network"][name] for c in checkpoints]) for name in first["network"]}
        self.network.load_state_dict(stacked)
        for k, slot in enumerate(self.optimiser.moments):
            for n, moment in enumerate(slot):
                moment.copy_(torch.stack([c["moments"][k][n] for c in checkpoints]))
        if first["carried"] is not None:
            fields = {name: torch.stack([c["carried"][name] for c in checkpoints]) for name in first["carried"]}
            self.state = state_type(tuple(fields)[2:])(**{n: v.to(self.device) for n, v in fields.items()})


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
    """``auto`` is the CPU: no engine of ours has been measured to be faster on a GPU."""
    return torch.device("cpu" if name == "auto" else name)
