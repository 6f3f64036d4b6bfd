"""Continual temporal order: at each B name the order of the three X, Y since the last one, with nothing reset.

>>> print(ContinualTemporalOrder(length=2, string_length=12).example())
input   EXbbcXaXcbcBEYcabXaXdbaB
target  ...........0...........4

Strings of temporal order with three symbols (T = ``string_length``, L ~ U{T..T+T/10} steps: E, noise, X or Y at
.10-.20, .33-.43 and .66-.76 of T, B) stand end to end; the state is carried from chunk to chunk and its gradient cut
there; the batch is parallel streams. ``length`` counts strings a chunk; shorter streams are padded at the end.

Denominator: strings (the loss stands at each B). Chance ln 8 nats, accuracy 1/8; knowing only the last
symbol ln 4, 1/4. Solved at accuracy > .95.
Source: Gers, Schmidhuber & Cummins 2000.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from experiments.tasks._temporal_order import ALPHABET, MIN_LENGTH, named_symbols, ordered_strings
from experiments.tasks.base import Array, Batch, Reference, Task, joined

STREAMS = 10  # of the run to the first error
CAP = 100  # strings at which such a run stops


@dataclass(frozen=True, kw_only=True)
class ContinualTemporalOrder(Task):
    """Endless temporal-order strings.

    Attributes:
        string_length: T, steps of the shortest string.
    """

    string_length: int

    independent = True
    alphabet = ALPHABET
    target_alphabet = ""
    input_size = len(ALPHABET)
    output_size = 8
    metric = "accuracy"
    direction = "max"
    unit = "share"
    carry = True
    chance_loss = math.log(8)
    chance = 1 / 8
    solved = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("string_length", self.string_length >= MIN_LENGTH, f"{MIN_LENGTH} or more")

    @property
    def references(self) -> Mapping[str, Reference]:
        return {"only the last symbol": Reference(1 / 4, math.log(4))}

    @property
    def lag(self) -> int:
        return self.string_length

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also each string's start and its X and Y in their order; the class is due at its end."""
        return named_symbols(batch, 3) | super().events(batch)

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        strings, classes, lengths = ordered_strings(generator, batch_size * length, self.string_length, symbols=3)
        inputs, ends = joined(strings, lengths, batch_size), lengths.reshape(batch_size, length).cumsum(axis=1)
        due = ends - 1, np.arange(batch_size)[:, None]
        targets, mask = np.zeros_like(inputs), np.zeros(inputs.shape, dtype=bool)
        targets[due], mask[due] = classes.reshape(batch_size, length), True
        return Batch(inputs, targets, mask, ends[:, -1])

    def probe(self, run: Callable[[Batch], Tensor], generator: np.random.Generator) -> dict[str, float]:
        """``strings_to_error``: strings before the first wrong class, mean of 10 streams, each stopped at 100."""
        strings, alive = np.zeros(STREAMS), np.ones(STREAMS, dtype=bool)
        while (alive & (strings < CAP)).any():
            batch = self.sample(generator, STREAMS, self.length)
            right = run(batch).argmax(-1).cpu().numpy() == batch.targets
            verdicts = right.T[batch.counts.T].reshape(STREAMS, self.length)  # one for each string, in order
            free = np.logical_and.accumulate(verdicts, axis=1).sum(axis=1)
            strings += np.where(alive, free, 0)
            alive &= free == self.length
        return {"strings_to_error": float(np.minimum(strings, CAP).mean())}
