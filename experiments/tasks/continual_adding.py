"""Continual adding: the sum of two marked values, segment after segment, with nothing reset in between.

>>> print(ContinualAdding(length=2, shortest=6, longest=9, flag=True).example())
value    .62  .09  .17  .98  .57  .26  .51  .94  .43  .19  .59  .04
marker     0    0    1    0    1    0    1    0    0    0    1    0
end        0    0    0    0    0    1    0    0    0    0    0    1
target     .    .    .    .    .  .74    .    .    .    .    . 1.11

Segments of L ~ U{shortest..longest} steps stand end to end, the state is carried from chunk to chunk and its gradient
cut there; the batch is parallel streams. In a segment: values U[0, 1], marks (1) at U{0..L/2-1} and U{L/2..L-1}; the
sum is due where the end flag stands, at the segment's last step. ``flag=false``: no third input, and the sum is due at
the second mark. ``length`` counts segments a chunk; shorter streams are padded at the end.

Denominator: segments. Chance MSE 1/6 (1/12 with ``flag=false``, where the second value is in view), within .04 in 7.8 %
(8 %); solved at 95 % within .04. A last step that is itself marked helps a little, as in adding: .1625 at 30..50 steps.
Source: ours, after Gers, Schmidhuber & Cummins 2000: a sum cannot be latched into h as continual Reber's one bit can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.tasks._marked import MarkedValues, two_marks
from experiments.tasks.base import Array, Batch, later, within


@dataclass(frozen=True, kw_only=True)
class ContinualAdding(MarkedValues):
    """Adding in endless segments.

    Attributes:
        shortest, longest: steps of a segment.
        flag: whether a third input flags a segment's end, where the sum is then due.
    """

    shortest: int
    longest: int
    flag: bool

    metric = "within_.04"
    direction = "max"
    unit = "share"
    carry = True
    solved = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("shortest", self.shortest >= 2, "2 or more")
        self.require("longest", self.longest >= self.shortest, f"shortest={self.shortest} or more")

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("value", "marker", "end") if self.flag else ("value", "marker")

    @property
    def chance_loss(self) -> float:
        return 1 / 6 if self.flag else 1 / 12

    @property
    def chance(self) -> float:
        return 0.0784 if self.flag else 0.08

    @property
    def lag(self) -> int:
        return self.longest

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also a segment's start, where a flag tells the end."""
        found = super().events(batch)
        if not self.flag:
            return found
        start = later(batch.counts) & batch.inside
        start[0] = True
        return {"segment start": start, **found}

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        lengths = generator.integers(self.shortest, self.longest + 1, (batch_size, length))
        totals, starts = lengths.sum(axis=1), lengths.cumsum(axis=1) - lengths
        first, second = (starts + mark for mark in two_marks(generator, lengths))
        end, column = starts + lengths - 1, np.arange(batch_size)[:, None]
        steps = int(totals.max())
        inside = within(totals, steps)
        values = generator.random((steps, batch_size), dtype=np.float32) * inside
        inputs = np.zeros((steps, batch_size, len(self.input_names)), dtype=np.float32)
        inputs[..., 0] = values
        inputs[first, column, 1] = inputs[second, column, 1] = 1
        if self.flag:
            inputs[end, column, 2] = 1
        due, targets = np.zeros(inside.shape, dtype=bool), np.zeros((steps, batch_size, 1), dtype=np.float32)
        asked = end if self.flag else second
        due[asked, column] = True
        targets[asked, column, 0] = values[first, column] + values[second, column]
        return Batch(inputs, targets, due, totals)
