"""Sequences of values two of which are marked: what adding, multiplication and continual adding share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Scores, Task, counted, later, ordinal, share

MIN_LENGTH_1997 = 22  # so that both marks have all their places


class MarkedValues(Task):
    """A function of the two marked values, as a regression."""

    independent = True
    loss_kind = "mse"
    output_size = 1

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("value", "marker")

    @property
    def input_size(self) -> int:
        return len(self.input_names)

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also the marks, the first and the second since the last sum was due."""
        marks = ordinal(batch.inputs[..., 1] == 1, since=later(batch.counts))
        return {"first mark": marks == 1, "second mark": marks == 2, **super().events(batch)}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``within_.04``: the share of targets met within .04."""
        scores = super().scores(outputs, batch)
        chosen, targets = counted(outputs, batch)
        scores["within_.04"] = share((chosen - targets).abs() < 0.04)
        return scores


def at_the_end(values: Array, markers: Array, target: Array, lengths: Array) -> Batch:
    """Inputs (value, marker), both (T, B), and the target (B,) at each sequence's last step."""
    steps = len(values)
    mask = np.arange(steps)[:, None] == lengths - 1
    targets = np.where(mask, target, 0)[..., None].astype(np.float32)
    inputs = np.stack([values, markers], axis=-1).astype(np.float32)
    return Batch(inputs, targets, mask, None if (lengths == steps).all() else lengths)


def two_marks(generator: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
    """A place in each sequence's first half, U{0..L/2-1}, and one in its second, U{L/2..L-1}."""
    return generator.integers(0, lengths // 2), generator.integers(lengths // 2, lengths)


def layout_1997(
    generator: np.random.Generator, batch_size: int, length: int, low: float, first: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Values U[low, 1] and markers (T, B), the marked X1 and X2, lengths; an X1 that stands at step 0 is ``first``."""
    lengths = generator.integers(length, length + length // 10 + 1, batch_size)
    steps, columns = int(lengths.max()), np.arange(batch_size)
    inside = np.arange(steps)[:, None] < lengths
    values = np.where(inside, generator.uniform(low, 1, (steps, batch_size)), 0)
    i1 = generator.integers(0, 10, batch_size)
    i2 = generator.integers(0, length // 2 - 2, batch_size)
    i2 += i2 >= i1  # uniform on the places other than i1
    values[0, i1 == 0] = first
    markers = np.zeros((steps, batch_size))
    markers[0] = markers[lengths - 1, columns] = -1
    markers[i1, columns] = markers[i2, columns] = 1
    return values, markers, values[i1, columns], values[i2, columns], lengths
