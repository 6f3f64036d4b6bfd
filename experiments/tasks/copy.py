"""Copy: repeat ten symbols after a delay.

>>> print(Copy(length=5).example())
input   2183445128000090000000000
target  0000000000000002183445128

10 symbols of 1..8, T-1 blanks (0), the signal 9, 10 blanks: T+20 steps. The target is blank until the signal, then the
ten symbols. ``length`` is T.

Denominator: all T+20 steps for ``loss``, the ten recalled symbols for ``recall_loss`` and ``recall_accuracy``. Chance
10 ln 8/(T+20) nats, recall ln 8 and 1/8; solved at recall accuracy > .99 with a loss below 10 % of chance.
Source: Hochreiter & Schmidhuber 1997, in the layout of Arjovsky, Shah & Bengio 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.tasks._copying import ITEMS, Copying, chance_loss, copying
from experiments.tasks.base import Batch


@dataclass(frozen=True, kw_only=True)
class Copy(Copying):
    """Ten symbols after a fixed delay."""

    @property
    def chance_loss(self) -> float:
        return chance_loss(self.length + 2 * ITEMS)

    @property
    def lag(self) -> int:
        return self.length + ITEMS

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return copying(generator, np.full(batch_size, length - 1), length + 2 * ITEMS)
