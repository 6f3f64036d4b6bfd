"""Counting: which symbols may follow in a^n b^n, or in a^n b^n c^n?

>>> usual = dict(start=True, alpha=1.0, beta=1.0, strings=None, squared=False, asked=100, score="largest_n")
>>> print(Counting(length=3, letters=2, **usual).example(seed=1))
input    S  a  a  b  b
target   a ab ab  b  T

S, then n times each letter, n ~ U{1..N}; target: the set of the symbols that may come next, T at the end. n is unknown
while the a's last, so that a and b may both follow. ``length`` is N, the largest n of training (10 in the paper);
sequences are padded at the end.

Denominator: steps; binary cross entropy in nats, summed over the outputs. Chance: who sees only the last symbol does
not know when the b's (c's) end. ``largest_n``: the largest n such that 1..n are all accepted, every output on the right
side of .5 at every step, at most 100; a memoryless net reaches 1. Solved when it reaches N.
Source: Gers & Schmidhuber 2001.

As in Suzgun, Belinkov & Shieber 2019: ``letters=3 start=false squared=true strings=1000 score=e1``, the mean squared
error of the outputs' sigmoids, on a fixed list of strings, scored by the smallest n that is not accepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from experiments.tasks.base import Array, Batch, Task, within


@dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """Counting two or three letters.

    Attributes:
        letters: 2 (a^n b^n) or 3 (a^n b^n c^n).
        start: whether a symbol S comes before the first a.
        alpha, beta: n - 1 is beta-binomial with these on 0..N-1, uniform with 1 and 1.
        strings: how many there are to train on, the same for every seed, in one order over and over; None: new ones.
        squared: whether the loss is the mean squared error of the outputs' sigmoids, not the cross entropy.
        asked: the largest n that the score asks for, in one batch: memory grows with its square.
        score: ``largest_n``, or ``e1``, the smallest n that is not accepted, ``asked`` + 1 where all are.
    """

    letters: int
    start: bool
    alpha: float
    beta: float
    strings: int | None
    squared: bool
    asked: int
    score: str

    independent = True
    direction = "max"
    unit = "n"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("letters", self.letters in (2, 3), "2 or 3")
        for key in ("alpha", "beta"):
            value = getattr(self, key)
            self.require(key, math.isfinite(value) and value > 0, "a finite number above 0")
        self.require("strings", self.strings is None or 1 <= self.strings <= 10**6, "1 to 1000000, or null,")
        self.require("asked", 1 <= self.asked <= 2000, "1 to 2000 (memory grows with its square)")
        self.require("score", self.score in ("largest_n", "e1"), "largest_n or e1")

    @property
    def loss_kind(self) -> str:
        return "sigmoid_mse" if self.squared else "bce"

    @property
    def metric(self) -> str:
        return self.score

    @property
    def chance(self) -> float:
        return 1.0 if self.score == "largest_n" else 2.0

    @property
    def alphabet(self) -> str:
        return "Sabc"[not self.start : self.letters + 1]

    @property
    def target_alphabet(self) -> str:
        return "abc"[: self.letters] + "T"

    @property
    def input_size(self) -> int:
        return self.letters + self.start

    @property
    def output_size(self) -> int:
        return self.letters + 1

    @property
    def chance_loss(self) -> float:
        mean = 1 + (self.length - 1) * self.alpha / (self.alpha + self.beta)
        end = 1 / mean  # how often a b is the last one
        if self.squared:
            unknown = end * (1 - end) / self.output_size
        else:
            unknown = -(end * math.log(end) + (1 - end) * math.log(1 - end)) if end < 1 else 0.0
        return (self.letters - 1) * mean * 2 * unknown / (self.start + self.letters * mean)

    @property
    def solved(self) -> float:
        return float(self.length + (self.score == "e1"))

    @property
    def lag(self) -> int:
        return self.letters * self.length

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return self._batch(self._draw(generator, batch_size, length))

    def training_batch(self, generator: np.random.Generator, batch_size: int) -> Batch:
        if self.strings is None:
            return super().training_batch(generator, batch_size)
        return self._batch(generator.choice(self._listed, batch_size))

    def in_order(self, first: int, count: int) -> Batch | None:
        if self.strings is None:
            return None
        return self._batch(self._listed[np.arange(first, first + count) % self.strings])

    @cached_property
    def _listed(self) -> Array:
        """n of every string of the fixed list."""
        assert self.strings is not None
        return self._draw(np.random.Generator(np.random.Philox(0)), self.strings, self.length)

    def _draw(self, generator: np.random.Generator, count: int, largest: int) -> Array:
        """So many n, 1 to ``largest``."""
        if self.alpha == self.beta == 1:
            return generator.integers(1, largest + 1, count)
        return 1 + generator.binomial(largest - 1, generator.beta(self.alpha, self.beta, count))

    def _batch(self, n: Array) -> Batch:
        lengths = self.start + self.letters * n
        t = np.arange(not self.start, int(lengths.max()) + (not self.start))[:, None]  # 0 is the place of S
        inside = within(lengths, len(t))
        symbols = np.where(inside, sum(t > k * n for k in range(self.letters)), 0)  # 0 S, 1 a, 2 b, 3 c
        following = [(t >= k * n) & (t < (k + 1) * n) for k in range(self.letters)]  # a, b, ..., and at the end T
        for either in following[:2]:
            either |= symbols == 1  # while the a's last
        targets = np.stack([*following, t >= self.letters * n], axis=-1)
        targets[~inside] = True, *[False] * self.letters
        if not self.start:
            symbols = np.where(inside, symbols - 1, 0)
        return Batch(symbols, targets.astype(np.float32), inside, lengths)

    def events(self, batch: Batch) -> dict[str, Array]:
        """Where another letter begins, and where a string's end is to be told."""
        before = np.concatenate([batch.inputs[:1], batch.inputs[:-1]])
        turn = (batch.inputs != before) & (before >= self.start) & batch.inside
        return {"new letter": turn, "end due": (batch.targets[..., -1] > 0) & batch.inside}

    def probe(self, run: Callable[[Batch], Tensor], generator: np.random.Generator) -> dict[str, float]:
        """``largest_n``: every n up to it is accepted; or ``e1``, the n after it. 1 to ``asked`` are asked for."""
        batch = self._batch(np.arange(1, self.asked + 1))
        outputs = run(batch).cpu().numpy()
        right = np.where(batch.targets > 0, outputs > 0, outputs < 0)  # 0 says neither yes nor no
        accepted = (right.all(axis=-1) | ~batch.counts).all(axis=0)
        return {self.score: float(np.logical_and.accumulate(accepted).sum() + (self.score == "e1"))}
