"""Adding: remember two marked values and give their sum at the end.

::

    value    .41 .93 .20 .75 .06 .58
    marker    0   1   0   0   0   1
    target                          1.51        (.93 + .58, T = 6)

Layout ``2016`` (Arjovsky et al. 2016): values U[0, 1], marks at U{0..T/2-1} and U{T/2..T-1}; chance is the variance of
the sum, MSE 1/6; solved at MSE < .01.

Layout ``1997`` (Hochreiter & Schmidhuber 1997, experiment 4): L ~ U{T..T+T/10} steps, values U[-1, 1], marks at
i1 ~ U{0..9} and i2 ~ U{0..T/2-2} other than i1, marker -1 at the first and last step where not marked; the first value
counts 0 if it stands at step 0; target .5 + (X1 + X2)/4; chance 19/480; solved when 99 % are within .04.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Scores, Task, counted


@dataclass(frozen=True, kw_only=True)
class Adding(Task):
    """Adding in the layout of 2016 or 1997."""

    layout: str

    loss_kind: ClassVar[str] = "mse"
    metric: ClassVar[str] = "loss"
    unit: ClassVar[str] = "MSE"
    min_length: ClassVar[int] = 4
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("layout", self.layout in ("2016", "1997"), "2016 or 1997")
        self.require("length", self.layout == "2016" or self.length >= 24, "24 or more with layout=1997")

    @property
    def chance(self) -> float:
        return 1 / 6 if self.layout == "2016" else 19 / 480

    @property
    def solved(self) -> float:
        return 0.01

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return (self._sample_2016 if self.layout == "2016" else self._sample_1997)(generator, batch_size, length)

    def _sample_2016(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        values = generator.random((length, batch_size))
        columns = np.arange(batch_size)
        first = generator.integers(0, length // 2, batch_size)
        second = generator.integers(length // 2, length, batch_size)
        markers = np.zeros_like(values)
        markers[first, columns] = markers[second, columns] = 1
        total = values[first, columns] + values[second, columns]
        return _at_the_end(values, markers, total, np.full(batch_size, length))

    def _sample_1997(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        raise NotImplementedError

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        scores = super().scores(outputs, batch)
        chosen, targets = counted(outputs, batch)
        close = (chosen - targets).abs() < 0.04
        scores["within_.04"] = (close.double().sum().item(), close.numel())
        return scores


def _at_the_end(values: Array, markers: Array, total: Array, lengths: Array) -> Batch:
    """Inputs (value, marker) and the target at each sequence's last step."""
    steps, batch_size = values.shape
    mask = np.arange(steps)[:, None] == lengths - 1
    targets = np.where(mask, total, 0.0)[..., None].astype(np.float32)
    inputs = np.stack([values, markers], axis=-1).astype(np.float32)
    return Batch(inputs, targets, mask, None if (lengths == steps).all() else lengths)
