"""Variable copy: repeat ten symbols after a delay that differs from sequence to sequence.

>>> print(VariableCopy(length=5).example())
input   18344512850900000000000000
target  00000000000018344512850000

N ~ U{1..T}: 10 symbols of 1..8, N blanks (0), the signal 9, 10 blanks, then T-N blanks: T+21 steps whatever N. The
target is blank but for the ten steps after the signal. ``length`` is T.

Denominator: all T+21 steps for ``loss``, the ten recalled symbols for ``recall_loss`` and ``recall_accuracy``. Chance
10 ln 8/(T+21) nats, recall ln 8 and 1/8; solved at recall accuracy > .99 with a loss below 10 % of chance.
Source: Tallec & Ollivier 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.tasks._copying import ITEMS, Copying, chance_loss, copying
from experiments.tasks.base import Batch


@dataclass(frozen=True, kw_only=True)
class VariableCopy(Copying):
    """Ten symbols after a random delay."""

    @property
    def chance_loss(self) -> float:
        return chance_loss(self.length + 2 * ITEMS + 1)

    @property
    def lag(self) -> int:
        return self.length + ITEMS + 1

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return copying(generator, generator.integers(1, length + 1, batch_size), length + 2 * ITEMS + 1)
