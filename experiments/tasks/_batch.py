"""What a task hands out and what is measured on it: batches, losses, metrics that add up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


class Batch(NamedTuple):
    """B sequences of T steps.

    Attributes:
        inputs: symbols (T, B) as integers, shown to the model one-hot, or values (T, B, I) as float32.
        targets: symbols (T, B) as integers, or values (T, B, O) as float32.
        mask: (T, B), true where a step counts in loss and metrics, which no padding does; None: all but padding.
        lengths: (B,) steps of each sequence, the rest is padding; None: all are T long.
        legal: (T, B, O), true for the outputs that are possible there, on tasks that score legality.
        events: (T, B), what the user's own data say happens at a step, as a number; 0: nothing.
    """

    inputs: Array
    targets: Array
    mask: Array | None = None
    lengths: Array | None = None
    legal: Array | None = None
    events: Array | None = None

    @property
    def data(self) -> tuple[Array | None, ...]:
        """What a net is trained and judged on: all but the events."""
        return self[:-1]

    @property
    def counts(self) -> Array:
        """(T, B), true where a step counts."""
        if self.mask is not None:
            return self.mask
        steps, batch_size = self.targets.shape[:2]
        return within(np.full(batch_size, steps) if self.lengths is None else self.lengths, steps)

    @property
    def inside(self) -> Array:
        """(T, B), true where a step is no padding."""
        steps, batch_size = self.inputs.shape[:2]
        return within(np.full(batch_size, steps) if self.lengths is None else self.lengths, steps)

    def at(self, steps: Array) -> Batch:
        """What loss and scores read (targets, mask, legal) at these steps only, for outputs at these steps only."""
        legal = None if self.legal is None else self.legal[steps]
        return self._replace(targets=self.targets[steps], mask=self.counts[steps], legal=legal)


class Reference(NamedTuple):
    """What a shortcut reaches.

    Attributes:
        score: the main metric.
        loss: the loss, None where it is not known.
    """

    score: float
    loss: float | None = None


class Scores(dict[str, tuple[float, float]]):
    """Metrics of one batch as (sum, count), so that batches add up exactly."""

    def add(self, other: Mapping[str, tuple[float, float]]) -> None:
        """Add the sums and counts of another batch."""
        for key, (total, count) in other.items():
            own_total, own_count = self.get(key, (0.0, 0.0))
            self[key] = (own_total + total, own_count + count)

    def means(self) -> dict[str, float]:
        """Sum / count of every metric."""
        return {key: total / count for key, (total, count) in self.items()}


def within(lengths: Array, steps: int) -> Array:
    """(T, B), true before each sequence's end."""
    return np.arange(steps)[:, None] < lengths


def share(holds: Tensor) -> tuple[float, float]:
    """How often something holds, as (sum, count)."""
    return holds.double().sum().item(), holds.numel()


def whole_sequences(outputs: Tensor, batch: Batch) -> tuple[float, float]:
    """How many sequences have the right symbol at every step that counts, as (sum, count)."""
    wrong = outputs.argmax(-1) != torch.from_numpy(batch.targets).to(outputs.device)
    return share(~(wrong & torch.from_numpy(batch.counts).to(outputs.device)).any(0))


def counted(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Outputs (N, O) and targets (N, ...) of the N steps that count."""
    targets = torch.from_numpy(batch.targets).to(outputs.device)
    if targets.is_floating_point():
        targets = targets.to(outputs.dtype)
    if batch.mask is None and batch.lengths is None:
        return outputs.flatten(0, 1), targets.flatten(0, 1)
    counts = torch.from_numpy(batch.counts).to(outputs.device)
    return outputs[counts], targets[counts]


def ordinal(happens: Array, since: Array | None = None) -> Array:
    """(T, B): the how manieth of its sequence an event is, from 1, since the last step of ``since``; 0 elsewhere."""
    count = happens.cumsum(axis=0)
    if since is not None:
        before = np.maximum.accumulate(np.where(since, count - happens, 0), axis=0)
        count = count - before
    return np.where(happens, count, 0)


def later(happens: Array, steps: int = 1) -> Array:
    """(T, B): true so many steps after an event."""
    moved = np.zeros_like(happens)
    moved[steps:] = happens[:-steps]
    return moved


def joined(pieces: Array, lengths: Array, streams: int) -> Array:
    """Lay pieces of unequal length end to end.

    Args:
        pieces: (N, L, ...), the first N / streams of them are the first stream's, and so on.
        lengths: (N,) steps of each piece.
        streams: B.

    Returns:
        (T, B, ...), zero past a stream's end.
    """
    totals = lengths.reshape(streams, -1).sum(axis=1)
    steps = int(totals.max())
    whole = np.zeros((streams, steps, *pieces.shape[2:]), dtype=pieces.dtype)
    whole[within(totals, steps).T] = pieces[within(lengths, pieces.shape[1]).T]
    return np.ascontiguousarray(whole.swapaxes(0, 1))


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean(-1)


def _bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1)


def _sigmoid_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return _mse(outputs.sigmoid(), targets)


LOSSES = {"cross_entropy": _cross_entropy, "mse": _mse, "bce": _bce, "sigmoid_mse": _sigmoid_mse}
YES_OR_NO = ("bce", "sigmoid_mse")  # losses of several outputs each of which is on or off
