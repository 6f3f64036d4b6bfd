"""Temporal order: name the order of two (or three) symbols X, Y that stand far apart among noise.

>>> print(TemporalOrder(length=20, symbols=2).example())
input   EdbbYcaadcXcdbacabaB
target  ...................2

L ~ U{T..T+T/10} steps: E, noise of {a, b, c, d}, B. X or Y stands at U[.10 T, .20 T] and U[.50 T, .60 T]; with
``symbols=3`` at .10-.20, .33-.43 and .66-.76. The class is due at B: X and Y as binary digits, XX = 0, XY = 1, YX = 2,
YY = 3. ``length`` is T; 100 in the paper.

Denominator: sequences (the loss stands at the last step). Chance ln 4 (ln 8) nats, accuracy 1/4 (1/8); knowing only the
last symbol ln 2 (ln 4), 1/2 (1/4). Solved at accuracy > .99.
Source: Hochreiter & Schmidhuber 1997, experiments 6a and 6b.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.tasks._temporal_order import ALPHABET, MIN_LENGTH, named_symbols, ordered_strings
from experiments.tasks.base import Array, Batch, Reference, Task


@dataclass(frozen=True, kw_only=True)
class TemporalOrder(Task):
    """The order of X and Y.

    Attributes:
        symbols: 2 or 3 of them.
    """

    symbols: int

    min_length: ClassVar[int] = MIN_LENGTH
    independent = True
    alphabet = ALPHABET
    target_alphabet = ""
    input_size = len(ALPHABET)
    metric = "accuracy"
    direction = "max"
    unit = "share"
    solved = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("symbols", self.symbols in (2, 3), "2 or 3")

    @property
    def output_size(self) -> int:
        return int(2**self.symbols)

    @property
    def chance_loss(self) -> float:
        return self.symbols * math.log(2)

    @property
    def chance(self) -> float:
        return float(2**-self.symbols)

    @property
    def references(self) -> Mapping[str, Reference]:
        unknown = self.symbols - 1
        return {"only the last symbol": Reference(2.0**-unknown, unknown * math.log(2))}

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also the X and Y in their order."""
        return named_symbols(batch, self.symbols) | super().events(batch)

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        strings, classes, lengths = ordered_strings(generator, batch_size, length, self.symbols)
        mask = np.arange(strings.shape[1])[:, None] == lengths - 1
        return Batch(np.ascontiguousarray(strings.T), np.where(mask, classes, 0), mask, lengths)
