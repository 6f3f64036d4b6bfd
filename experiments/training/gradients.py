"""Losses and gradients of a stack at one step: by autograd, or by hand where the native engine runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Task
from experiments.training.data import StepData
from experiments.training.network import Network, counted_steps, entered
from experiments.training.stacked import StackedStep
from lstm_variants import State
from lstm_variants.engines import native_training

Gradients = tuple[Tensor, list[Tensor], State]
"""Each model's loss (M,), the gradients of their sum by the network's parameters, and the final state."""


def gradients(
    network: Network, task: Task, data: StepData, state: State | None, go_on: Callable[[], None]
) -> Gradients:
    """The losses of M models on their batches, and the gradients.

    Args:
        network: M models.
        task: whose loss it is.
        data: one batch of each model.
        state: where to start, None for the initial state.
        go_on: called between forward and backward pass; it may raise.
    """
    if network.by_hand and type(task).loss is Task.loss:
        stacked = data.stacked
        if _fits(task, stacked.targets, network):
            return _by_hand(network, task.loss_kind, stacked, state, go_on)
    return _by_autograd(network, task, data.batches, state, go_on)


def _fits(task: Task, targets: Array, network: Network) -> bool:
    """Whether the targets are what the native library takes; what else a task may have is autograd's."""
    if task.loss_kind == "cross_entropy":
        return targets.ndim == 1 and targets.dtype.kind in "iub"
    return targets.ndim == 2 and targets.shape[1] == network.readout_bias.shape[1]


@torch.no_grad()
def _by_hand(
    network: Network, loss: str, data: StackedStep, state: State | None, go_on: Callable[[], None]
) -> Gradients:
    x, lengths = entered(data.inputs, data.lengths, network.layer.input_size, network.readout_bias)
    hidden, last, backward = network.layer.forward_and_backward(x, state, lengths)
    go_on()
    rows, first, targets = (torch.from_numpy(array) for array in (data.rows, data.first, data.targets))
    targets = targets.to(torch.int64 if loss == "cross_entropy" else torch.float32)
    found = native_training.readout(hidden, network.readout_weight, network.readout_bias, loss, rows, first, targets)
    return found.losses, [found.weight, found.bias, *backward(found.hidden)], last


def _by_autograd(
    network: Network, task: Task, batches: Sequence[Batch], state: State | None, go_on: Callable[[], None]
) -> Gradients:
    hidden, last = network(batches, state)
    go_on()
    losses = torch.stack([model_loss(network, task, hidden, position, b) for position, b in enumerate(batches)])
    found = torch.autograd.grad(losses.sum(), list(network.parameters()))
    return losses.detach(), list(found), type(last)(*(value.detach() for value in last))


def model_loss(network: Network, task: Task, hidden: Sequence[Tensor], position: int, batch: Batch) -> Tensor:
    """One model's loss on its batch."""
    steps = counted_steps(batch)
    return task.loss(network.outputs(hidden, position, steps), batch.at(steps))
