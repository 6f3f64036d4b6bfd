"""The numbers of an evaluation: those that training records, and those that a run read back gives again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from experiments.config.schema import Train
from experiments.tasks.base import Array, Batch, Scores, Task
from experiments.training.network import counted_steps
from experiments.training.streams import generator
from lstm_variants import State
from lstm_variants.cell import state_type

EVALUATION_BATCH = 128  # sequences evaluated at a time, where no state is carried


CARRIED = "carried."  # how the fields of a carried state are called among a run's weights


class Evaluated(Protocol):
    """What an evaluation needs of a network of M models."""

    def __call__(self, batches: Sequence[Batch], state: State | None) -> tuple[tuple[Tensor, ...], State]:
        """Each model's hidden states (T, B, H), and the final state, fields (M, L, B, H)."""

    def outputs(self, hidden: Sequence[Tensor], model: int, steps: Array | slice = slice(None)) -> Tensor:
        """The read-out (T', B, O) of one model at some steps."""


def lengths(task: Task) -> tuple[int, ...]:
    """The lengths at which a task is evaluated, its own first."""
    return tuple(dict.fromkeys((task.length, *task.eval_lengths)))


def evaluation_set(task: Task, train: Train, seed: int, length: int, split: str) -> list[Batch]:
    """The fixed evaluation set of a seed."""
    size = train.batch_size if task.carry else min(EVALUATION_BATCH, train.eval_size)
    return task.evaluation_batches(generator(seed, f"evaluation/{length}"), size, train.eval_size, length, split)


@torch.no_grad()
def scores(
    network: Evaluated,
    task: Task,
    sets: Sequence[Sequence[Batch]],
    state: State | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> list[Scores]:
    """Every model on its own evaluation set; streams go on from the carried state.

    Args:
        state: the carried state of a task that carries it, fields (M, L, B, H).
        go_on: called before every batch; may raise.
    """
    totals = [Scores() for _ in sets]
    for batches in zip(*sets, strict=True):
        go_on()
        hidden, state = network(batches, state if task.carry else None)
        for position, batch in enumerate(batches):
            steps = counted_steps(batch)
            totals[position].add(task.scores(network.outputs(hidden, position, steps), batch.at(steps)))
            if task.carry:
                cells = state.c[position].abs()
                totals[position].add({"mean_abs_cell": (cells.double().sum().item(), cells.numel())})
    return totals


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
    by_length = {length: scores(network, task, [batches], state)[0] for length, batches in sets.items()}
    return metrics(task, by_length) | probe(lambda: network, task, seed, state)


def saved(state: State) -> dict[str, Tensor]:
    """A carried state of one model, fields (1, L, B, H), as it stands among the weights: (L, B, H)."""
    return {f"{CARRIED}{name}": value[0].detach().cpu().clone() for name, value in state._asdict().items()}


def carried(weights: Mapping[str, Tensor]) -> State | None:
    """The state that :func:`saved` put among the weights, fields (1, L, B, H)."""
    fields = {k.removeprefix(CARRIED): v.unsqueeze(0) for k, v in weights.items() if k.startswith(CARRIED)}
    return state_type(tuple(fields)[2:])(**fields) if fields else None
