"""Associative recall: pairs of key and value first, then keys, each asking for its value.

>>> print(AssociativeRecall(length=12, symbols=20, pairs=3, fill="blank").example())
input    9 10  1 12  4 19  1  0  4  0  9  0
target   .  .  .  .  .  . 12  . 19  . 10  .

V = ``symbols``: keys 1..V/2-1, values V/2..V-1, no repeats in a sequence. k = ``pairs`` pairs fill the first 2k steps;
then key j stands at 2k + 2 g_j, g distinct in 0..(L-2k)/2-1, drawn with weight (g+1)^(a-1), a = .01; its value is the
target there. ``fill``: what stands in the other steps, ``blank`` (0) or ``random`` symbols of 0..V-1 as in the source's
code, but for the sequence's own keys, so that a key stands with its value and where it is asked for, and nowhere else.
``length`` is L; 4k <= L < V.

Denominator: the k queries. Chance ln(V/2) nats, accuracy 2/V; who knows the k values of the sequence and not which key
each belongs to reaches ln k and 1/k. Solved at accuracy > .95.
Source: Arora et al. 2023 (multi-query associative recall, Zoology).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.tasks.base import Array, Batch, Reference, Task

POWER = 0.01  # a


@dataclass(frozen=True, kw_only=True)
class AssociativeRecall(Task):
    """Many queries of key and value.

    Attributes:
        symbols: V, even.
        pairs: k.
        fill: ``blank`` or ``random``.
    """

    symbols: int
    pairs: int
    fill: str

    min_length: ClassVar[int] = 4
    independent = True
    metric = "accuracy"
    direction = "max"
    unit = "share"
    solved = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        shortest, longest = min((self.length, *self.eval_lengths)), max((self.length, *self.eval_lengths))
        self.require("fill", self.fill in ("blank", "random"), "blank or random")
        self.require("symbols", self.symbols % 2 == 0 and self.symbols > longest, f"an even number above {longest}")
        self.require("pairs", 1 <= self.pairs <= shortest // 4, f"1 to {shortest // 4} (a quarter of the length)")

    @property
    def input_size(self) -> int:
        return self.symbols

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance_loss(self) -> float:
        return math.log(self.symbols / 2)

    @property
    def chance(self) -> float:
        return 2 / self.symbols

    @property
    def references(self) -> Mapping[str, Reference]:
        return {"values without their keys": Reference(1 / self.pairs, math.log(self.pairs))}

    def events(self, batch: Batch) -> dict[str, Array]:
        """The pairs of key and value; a value is due at each query."""
        steps = np.arange(len(batch.inputs))[:, None]
        key, value = ((steps < 2 * self.pairs) & (steps % 2 == k) for k in (0, 1))
        shape = batch.inputs.shape
        return {"key": np.broadcast_to(key, shape), "value": np.broadcast_to(value, shape), **super().events(batch)}

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        half, pairs, columns = self.symbols // 2, self.pairs, np.arange(batch_size)
        keys = 1 + _distinct(generator, np.ones(half - 1), pairs, batch_size)
        values = half + _distinct(generator, np.ones(half), pairs, batch_size)
        gaps = _distinct(generator, np.arange(1.0, (length - 2 * pairs) // 2 + 1) ** (POWER - 1), pairs, batch_size)
        inputs = np.zeros((length, batch_size), dtype=np.int64)
        if self.fill == "random":
            inputs = _others(generator.integers(0, self.symbols - pairs, inputs.shape), keys)
        inputs[: 2 * pairs : 2], inputs[1 : 2 * pairs : 2] = keys, values
        queries = 2 * pairs + 2 * gaps
        inputs[queries, columns] = keys
        targets, mask = np.zeros_like(inputs), np.zeros(inputs.shape, dtype=bool)
        targets[queries, columns] = values
        mask[queries, columns] = True
        return Batch(inputs, targets, mask)


def _distinct(generator: np.random.Generator, weights: Array, count: int, batch_size: int) -> Array:
    """(count, B) distinct indices a column, one after the other by weight: the first arrivals of a race."""
    arrivals = generator.standard_exponential((len(weights), batch_size)) * (1 / weights[:, None])
    arrivals = np.ascontiguousarray(arrivals.T)
    first = arrivals.argpartition(count - 1, axis=1)[:, :count]
    order = np.take_along_axis(arrivals, first, axis=1).argsort(axis=1)
    return np.ascontiguousarray(np.take_along_axis(first, order, axis=1).T)


def _others(numbers: Array, keys: Array) -> Array:
    """Numbers (T, B) as places in the list of all symbols but the keys (k, B) of a sequence."""
    for key in np.sort(keys, axis=0):
        numbers = numbers + (numbers >= key)
    return numbers
