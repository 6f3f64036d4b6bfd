"""Timing: measure the time between two spikes.

>>> print(Timing(length=70, layout="report").example())
spike   0100000000000000000000000000000100000000000000000000000000000000000000
target  ...............................0......................................

Spikes (1, else 0) at t1 ~ U{0..T-1-60} and t1+D, D ~ U{30..60}; at the second the target is (D-30)/30. ``length`` is T.
``layout=report`` is the only layout: the interval is reported at the second spike.

Denominator: sequences (the loss stands at the second spike). Chance is that of a clock which counts the steps from the
beginning and has forgotten the first spike: at step s only the D with s - D in 0..T-1-60 are possible. Its best guess
has an MSE of .079 at T=200 (without a clock 80/900 = .089; .054 at T=100, 0 at T=61, where the clock tells all), and is
within .49 steps in (T-30)/(31(T-60)), 3.9 % at T=200 (without a clock 1/31). Solved at 99 % within .49/30, half a step.
Source: Gers, Schraudolph & Schmidhuber 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Scores, Task, counted, share

SHORTEST, LONGEST = 30, 60


@dataclass(frozen=True, kw_only=True)
class Timing(Task):
    """The interval of two spikes.

    Attributes:
        layout: ``report``.
    """

    layout: str

    min_length: ClassVar[int] = LONGEST + 1
    independent = True
    loss_kind = "mse"
    input_names = ("spike",)
    input_size = 1
    output_size = 1
    metric = "within_.49_step"
    direction = "max"
    unit = "share"
    solved = 0.99
    lag = LONGEST

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("layout", self.layout == "report", "report")

    @property
    def chance_loss(self) -> float:
        intervals = self._possible_intervals()
        variances = (intervals**2 - 1) / 12 / SHORTEST**2
        return float((intervals * variances).sum() / intervals.sum())

    @property
    def chance(self) -> float:
        intervals = self._possible_intervals()
        return len(intervals) / float(intervals.sum())

    def _possible_intervals(self) -> Array:
        """For each step at which the second spike can be, how many equally likely intervals can have led there."""
        return np.convolve(np.ones(self.length - LONGEST), np.ones(LONGEST - SHORTEST + 1))

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        columns = np.arange(batch_size)
        first = generator.integers(0, length - LONGEST, batch_size)
        interval = generator.integers(SHORTEST, LONGEST + 1, batch_size)
        second = np.zeros((length, batch_size), dtype=bool)
        second[first + interval, columns] = True
        spikes = second.astype(np.float32)
        spikes[first, columns] = 1
        targets = np.where(second, (interval - SHORTEST) / SHORTEST, 0).astype(np.float32)
        return Batch(spikes[..., None], targets[..., None], second)

    def events(self, batch: Batch) -> dict[str, Array]:
        """The first spike; the interval is due at the second."""
        return {"first spike": (batch.inputs[..., 0] == 1) & ~batch.counts, **super().events(batch)}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``within_.49_step``: the share of intervals met within .49 steps."""
        scores = super().scores(outputs, batch)
        chosen, targets = counted(outputs, batch)
        scores["within_.49_step"] = share((chosen - targets).abs() < 0.49 / SHORTEST)
        return scores
