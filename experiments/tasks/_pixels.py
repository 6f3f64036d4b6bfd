"""Digits read step by step, then named: what the digit tasks share, and those of images read by pixel or by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.tasks._splits import Sequences, SplitTask, shuffled
from experiments.tasks.base import Array


@dataclass(frozen=True, kw_only=True)
class TenClasses(SplitTask):
    """Sequences that are one of ten digits, due at the last step."""

    metric = "accuracy"
    direction = "max"
    unit = "share"
    chance_loss = math.log(10)
    chance = 0.1
    output_size = 10


@dataclass(frozen=True, kw_only=True)
class PixelTask(TenClasses):
    """Images of ten classes.

    Attributes:
        permuted: whether the pixels of every image stand in one fixed random order.
    """

    permuted: bool

    side: ClassVar[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        pixels = self.side**2
        self.require("length", self.length in (pixels, self.side), f"{pixels} (pixels) or {self.side} (rows)")

    @property
    def input_size(self) -> int:
        return self.side**2 // self.length

    def sequences(self, images: Array, labels: Array) -> Sequences:
        """Images (N, pixels), values 0..1, and labels (N,) as one split."""
        order = shuffled(self.side**2, "permutation") if self.permuted else np.arange(self.side**2)
        steps = images[:, order].reshape(-1, self.input_size).astype(np.float32)
        return Sequences(steps, labels.astype(np.int64), np.full(len(images), self.length), labelled=True)
