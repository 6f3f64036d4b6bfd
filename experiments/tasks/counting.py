"""Counting: which symbols may follow in a^n b^n, or in a^n b^n c^n?

>>> print(Counting(length=3, letters=2).example(seed=1))
input    S  a  a  b  b
target   a ab ab  b  T

S, then n times each letter, n ~ U{1..N}; target: the set of the symbols that may come next, T at the end. n is unknown
while the a's last, so that a and b may both follow. ``length`` is N, the largest n of training (10 in the paper);
sequences are padded at the end.

Denominator: steps; binary cross entropy in nats, summed over the outputs. Chance: who sees only the last symbol does
not know when the b's (c's) end. ``largest_n``: the largest n such that 1..n are all accepted, every output on the right
side of .5 at every step, at most 100; a memoryless net reaches 1. Solved when it reaches N.
Source: Gers & Schmidhuber 2001.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from experiments.tasks.base import Array, Batch, Task, within

CAP = 100  # the largest n asked for


@dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """Counting two or three letters.

    Attributes:
        letters: 2 (a^n b^n) or 3 (a^n b^n c^n).
    """

    letters: int

    independent = True
    loss_kind = "bce"
    metric = "largest_n"
    direction = "max"
    unit = "n"
    chance = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("letters", self.letters in (2, 3), "2 or 3")

    @property
    def alphabet(self) -> str:
        return "Sabc"[: self.letters + 1]

    @property
    def target_alphabet(self) -> str:
        return "abc"[: self.letters] + "T"

    @property
    def input_size(self) -> int:
        return self.letters + 1

    @property
    def output_size(self) -> int:
        return self.letters + 1

    @property
    def chance_loss(self) -> float:
        mean = (1 + self.length) / 2
        end = 1 / mean  # how often a b is the last one
        entropy = -(end * math.log(end) + (1 - end) * math.log(1 - end)) if end < 1 else 0.0
        return (self.letters - 1) * mean * 2 * entropy / (1 + self.letters * mean)

    @property
    def solved(self) -> float:
        return float(self.length)

    @property
    def lag(self) -> int:
        return self.letters * self.length

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return self._strings(generator.integers(1, length + 1, batch_size))

    def _strings(self, n: Array) -> Batch:
        lengths = 1 + self.letters * n
        t = np.arange(int(lengths.max()))[:, None]
        inside = within(lengths, len(t))
        symbols = np.where(inside, sum(t > k * n for k in range(self.letters)), 0)  # 0 S, 1 a, 2 b, 3 c
        following = [(t >= k * n) & (t < (k + 1) * n) for k in range(self.letters)]  # a, b, ..., and at the end T
        for either in following[:2]:
            either |= symbols == 1  # while the a's last
        targets = np.stack([*following, t >= self.letters * n], axis=-1)
        targets[~inside] = True, *[False] * self.letters
        return Batch(symbols, targets.astype(np.float32), inside, lengths)

    def events(self, batch: Batch) -> dict[str, Array]:
        """Where another letter begins, and where a string's end is to be told."""
        before = np.concatenate([batch.inputs[:1], batch.inputs[:-1]])
        turn = (batch.inputs != before) & (before > 0) & batch.inside
        return {"new letter": turn, "end due": (batch.targets[..., -1] > 0) & batch.inside}

    def probe(self, run: Callable[[Batch], Tensor], generator: np.random.Generator) -> dict[str, float]:
        """``largest_n``: every n up to it is accepted; 1..100 are asked for."""
        batch = self._strings(np.arange(1, CAP + 1))
        outputs = run(batch).cpu().numpy()
        right = np.where(batch.targets > 0, outputs > 0, outputs < 0)  # 0 says neither yes nor no
        accepted = (right.all(axis=-1) | ~batch.counts).all(axis=0)
        return {"largest_n": float(np.logical_and.accumulate(accepted).sum())}
