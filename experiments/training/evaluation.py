"""The numbers of an evaluation: those that training records, and those that a run read back gives again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from experiments.config.job import Job
from experiments.config.schema import Train
from experiments.tasks.base import Array, Batch, Scores, Task
from experiments.training.data import Scored, scored_as_one
from experiments.training.initial_memory import memory
from experiments.training.network import Network
from experiments.training.streams import generator
from lstm_variants import State
from lstm_variants.cell import state_type

EVALUATION_BATCH = 128  # sequences evaluated at a time, where no state is carried
SCORED_PLACES = 2**16  # sequences x the task's length scored at a time, about
CARRIED = "carried."  # how the fields of a carried state are called among a run's weights


class Evaluated(Protocol):
    """What an evaluation needs of a network of M models."""

    @property
    def readout_bias(self) -> Tensor:
        """(M, O)."""

    def __call__(self, batches: Sequence[Batch], state: State | None) -> tuple[tuple[Tensor, ...], State]:
        """Each model's hidden states (T, B, H), and the final state, fields (M, L, B, H)."""

    def outputs(self, hidden: Sequence[Tensor], model: int, steps: Array | slice = slice(None)) -> Tensor:
        """The read-out (T', B, O) of one model at some steps."""

    def all_outputs(self, hidden: Sequence[Tensor]) -> Tensor:
        """The read-out (M, T, B, O) of every model at every step."""


def lengths(task: Task) -> tuple[int, ...]:
    """The lengths at which a task is evaluated, its own first."""
    return tuple(dict.fromkeys((task.length, *task.eval_lengths)))


def evaluation_set(task: Task, train: Train, seed: int, length: int, split: str) -> list[Batch]:
    """The fixed evaluation set of a seed."""
    size = train.batch_size if task.carry else min(EVALUATION_BATCH, train.eval_size)
    return task.evaluation_batches(generator(seed, f"evaluation/{length}"), size, train.eval_size, length, split)


class Evaluation:
    """The evaluation sets of a stack's jobs, and what models measure on them.

    Args:
        jobs: the runs of the stack.
        go_on: called wherever an evaluation can be given up; may raise.
    """

    def __init__(self, jobs: Sequence[Job], go_on: Callable[[], None] = lambda: None) -> None:
        self.jobs, self.task, self.train, self.go_on = jobs, jobs[0].task, jobs[0].train, go_on
        self.sets = {length: self._sets(length) for length in lengths(self.task)}
        self._groups: dict[int, list[list[Scored]]] = {}
        self._alone: Network | None = None

    def _sets(self, length: int) -> list[list[Batch]]:
        """Each run's evaluation set; runs of one seed have the same one, drawn once."""
        by_seed = {job.seed: job for job in self.jobs}
        drawn = {seed: evaluation_set(self.task, self.train, seed, length, job.split) for seed, job in by_seed.items()}
        return [drawn[job.seed] for job in self.jobs]

    def batches(self, model: int) -> Iterator[Batch]:
        """All batches of one run, length after length."""
        for by_model in self.sets.values():
            yield from by_model[model]

    def _scored(self, length: int) -> list[list[Scored]]:
        """Each run's batches in groups that are scored as one."""
        if length not in self._groups:
            sets = self.sets[length]
            made = {id(batches): grouped(batches, length) for batches in sets}
            self._groups[length] = [made[id(batches)] for batches in sets]
        return self._groups[length]

    @torch.no_grad()
    def scores(self, network: Network, models: Sequence[int], state: State | None) -> dict[int, list[Scores]]:
        """By length, every model's scores on its own set.

        Args:
            network: of these models.
            models: their numbers among the jobs.
            state: the carried state of a task that carries it, from which streams go on, fields (M, L, B, H).
        """
        return {
            length: scores(network, self.task, [self._scored(length)[model] for model in models], state, self.go_on)
            for length in self.sets
        }

    def probe(self, network: Network, position: int, model: int, state: State | None) -> dict[str, float]:
        """The probe of the model at a position of the network; state as in :meth:`scores`."""
        carried = None
        if self.task.carry and state is not None:
            carried = type(state)(*(value[position : position + 1] for value in state))
        seed = self.jobs[model].seed
        return probe(lambda: self._only(network, position), self.task, seed, carried, self.go_on)

    @torch.no_grad()
    def _only(self, network: Network, position: int) -> Network:
        """One model of the network, in a network of its own that is kept for the next."""
        self._alone = self._alone or network.subset([position])
        values = network.state_dict()
        for name, value in self._alone.state_dict().items():
            value.copy_(values[name][position : position + 1])
        return self._alone

    def memory(self, network: Network, position: int, model: int) -> dict[str, float]:
        """What an untrained model keeps of its cell state; of a trained one nothing is asked."""
        if self.train.steps:
            return {}
        return memory(network.subset([position]), self.sets[self.task.length][model][0])


def grouped(batches: list[Batch], length: int) -> list[Scored]:
    """An evaluation set in groups that are scored as one; how many follows from the task and the batch alone."""
    at_once = max(1, SCORED_PLACES // (batches[0].inputs.shape[1] * length))
    return [scored_as_one(batches[first : first + at_once]) for first in range(0, len(batches), at_once)]


@torch.no_grad()
def scores(
    network: Evaluated,
    task: Task,
    sets: Sequence[Sequence[Scored]],
    state: State | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> list[Scores]:
    """Every model on its own evaluation set; streams go on from the carried state.

    Args:
        state: the carried state of a task that carries it, fields (M, L, B, H).
        go_on: called before every batch; may raise.
    """
    totals = [Scores() for _ in sets]
    for groups in zip(*sets, strict=True):
        outputs, cells, state = _outputs(network, task, groups, state, go_on)
        for position, group in enumerate(groups):
            go_on()
            totals[position].add(task.scores(outputs[position][group.steps], group.whole))
            if task.carry:
                sizes = cells[position].abs()
                totals[position].add({"mean_abs_cell": (sizes.double().sum().item(), sizes.numel())})
    return totals


def _outputs(
    network: Evaluated, task: Task, groups: Sequence[Scored], state: State | None, go_on: Callable[[], None]
) -> tuple[Tensor, Tensor, State | None]:
    """Every model's outputs on a group, its batches side by side (M, T, B, O); the cells after each; the state."""
    steps = max(len(batch.inputs) for group in groups for batch in group.batches)
    width = sum(batch.inputs.shape[1] for batch in groups[0].batches)
    found = network.readout_bias.new_zeros(len(groups), steps, width, network.readout_bias.shape[1])
    cells, first = [], 0
    for batches in zip(*(group.batches for group in groups), strict=True):
        go_on()
        hidden, state = network(batches, state if task.carry else None)
        columns = batches[0].inputs.shape[1]
        found[:, : len(hidden[0]), first : first + columns] = network.all_outputs(hidden)
        cells.append(state.c)
        first += columns
    return found, torch.stack(cells, dim=1) if task.carry else found, state


def metrics(task: Task, by_length: Mapping[int, Scores]) -> dict[str, float]:
    """The means of the scores, named as a record names them: ``eval/loss``, ``eval@200/loss``."""
    return {
        f"{'eval' if length == task.length else f'eval@{length}'}/{name}": value
        for length, found in by_length.items()
        for name, value in found.means().items()
    }


@torch.no_grad()
def probe(
    network: Callable[[], Evaluated],
    task: Task,
    seed: int,
    state: State | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Metrics of a whole evaluation run by one model alone, from the carried state where there is one.

    Args:
        network: makes the network of that model, if the task has a probe.
        state: of the training streams, fields (1, L, B, H).
    """
    alone: Evaluated | None = None
    going: State | None = None

    def run(batch: Batch) -> Tensor:
        nonlocal alone, going
        go_on()
        alone = alone or network()
        if task.carry and going is None and state is not None:
            streams = torch.arange(batch.inputs.shape[1]) % state.h.shape[-2]
            going = type(state)(*(value[:, :, streams] for value in state))
        hidden, going = alone([batch], going if task.carry else None)
        return alone.outputs(hidden, 0)

    found = task.probe(run, generator(seed, "probe"))
    return {f"eval/{name}": value for name, value in found.items()}


def everything(
    network: Evaluated, task: Task, train: Train, seed: int, split: str, state: State | None = None
) -> dict[str, float]:
    """All metrics of a last evaluation of one model, at every length, as a record names them.

    Args:
        state: of the training streams, fields (1, L, B, H).
    """
    sets = {length: evaluation_set(task, train, seed, length, split) for length in lengths(task)}
    by_length = {length: scores(network, task, [grouped(s, length)], state)[0] for length, s in sets.items()}
    return metrics(task, by_length) | probe(lambda: network, task, seed, state)


def saved(state: State) -> dict[str, Tensor]:
    """A carried state of one model, fields (1, L, B, H), as it stands among the weights: (L, B, H)."""
    return {f"{CARRIED}{name}": value[0].detach().cpu().clone() for name, value in state._asdict().items()}


def carried(weights: Mapping[str, Tensor]) -> State | None:
    """The state that :func:`saved` put among the weights, fields (1, L, B, H)."""
    fields = {k.removeprefix(CARRIED): v.unsqueeze(0) for k, v in weights.items() if k.startswith(CARRIED)}
    return state_type(tuple(fields)[2:])(**fields) if fields else None
