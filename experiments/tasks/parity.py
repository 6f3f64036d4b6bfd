"""Parity: is the number of ones so far odd?

>>> print(Parity(length=12, target="each").example(seed=1))
input   0000011
target  0000010

Training: L ~ U{3..T} random bits a sequence, shorter ones padded at the end; target at t: the xor of bits 0..t, or with
``target=last`` only at the end. Evaluation: exactly the given length. ``length`` is T; 20 and 40 are usual.

Denominator: labelled steps. Chance ln 2 nats, accuracy 1/2. Solved when the last step is right in > .99 at twice the
training length (``last_accuracy_doubled``): the accuracy of all steps flatters.
Source: Hochreiter & Schmidhuber 1997 (section 5); lengths as in Deletang et al. 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Scores, Task, counted, share, within

PROBED = 256  # sequences at twice the length


@dataclass(frozen=True, kw_only=True)
class Parity(Task):
    """Running parity.

    Attributes:
        target: ``each`` step or the ``last`` one.
    """

    target: str

    min_length: ClassVar[int] = 3
    independent = True
    alphabet = "01"
    input_size = 2
    output_size = 2
    metric = "last_accuracy_doubled"
    direction = "max"
    unit = "share"
    chance_loss = math.log(2)
    chance = 0.5
    solved = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("target", self.target in ("each", "last"), "each or last")

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return self._of_lengths(generator, generator.integers(self.min_length, length + 1, batch_size))

    def evaluation_batches(
        self, generator: np.random.Generator, batch_size: int, size: int, length: int, split: str
    ) -> list[Batch]:
        lengths = np.full(batch_size, length)
        return [self._of_lengths(generator, lengths) for _ in range(max(1, round(size / batch_size)))]

    def _of_lengths(self, generator: np.random.Generator, lengths: Array) -> Batch:
        steps = int(lengths.max())
        inside = within(lengths, steps)
        bits = np.where(inside, generator.integers(0, 2, inside.shape), 0)
        mask = np.arange(steps)[:, None] == lengths - 1 if self.target == "last" else inside
        return Batch(bits, np.where(mask, bits.cumsum(axis=0) % 2, 0), mask, lengths)

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also the ones."""
        return {"one": (batch.inputs == 1) & batch.inside, **super().events(batch)}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``last_accuracy``: the accuracy of each sequence's last step."""
        scores = super().scores(outputs, batch)
        last = batch.counts & (batch.counts[::-1].cumsum(axis=0)[::-1] == 1)
        chosen, targets = counted(outputs, batch._replace(mask=last))
        scores["last_accuracy"] = share(chosen.argmax(-1) == targets)
        return scores

    def probe(self, run: Callable[[Batch], Tensor], generator: np.random.Generator) -> dict[str, float]:
        """``last_accuracy_doubled``: that of 256 sequences of twice the training length."""
        batch = self._of_lengths(generator, np.full(PROBED, 2 * self.length))
        return {"last_accuracy_doubled": self.scores(run(batch), batch).means()["last_accuracy"]}
