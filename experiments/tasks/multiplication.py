"""Multiplication: remember two marked values and give their product at the end.

>>> print(Multiplication(length=22).example())
value     1 .47 .09 .98 .26 .94 .19 .04 .06 .78 .45 .97 .96 .14 .19 .72 .29 .11 .04 .26 .12 .40
marker    1   0   0   1   0   0   0   0   0   0   0   0   0   0   0   0   0   0   0   0   0  -1
target    .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .   . .98

As adding in the layout of 1997: L ~ U{T..T+T/10} steps, marks (1) at i1 ~ U{0..9} and i2 ~ U{0..T/2-2} other than i1,
marker -1 at the first and last step where not marked. Values U[0, 1]; if i1 = 0, its value X1 is 1, in the input as in
the target; target X1 X2.

Denominator: sequences (the loss stands at the last step). Chance MSE 277/4800, within .04 in 26 %; solved at 93 %
within .04 (the paper's strict rule, 99.35 %, can be read off ``within_.04``). ``length`` counts steps.
Source: Hochreiter & Schmidhuber 1997, experiment 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.tasks._marked import MIN_LENGTH_1997, MarkedValues, at_the_end, layout_1997
from experiments.tasks.base import Batch


@dataclass(frozen=True, kw_only=True)
class Multiplication(MarkedValues):
    """The product of two marked values."""

    min_length: ClassVar[int] = MIN_LENGTH_1997
    metric = "within_.04"
    direction = "max"
    unit = "share"
    chance_loss = 277 / 4800
    chance = 0.26185  # of the constant .04: .08 (1 - ln .08), and .08 where X1 is 1
    solved = 0.93

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        values, markers, x1, x2, lengths = layout_1997(generator, batch_size, length, low=0, first=1)
        return at_the_end(values, markers, x1 * x2, lengths)
