"""Adding: remember two marked values and give their sum at the end.

>>> print(Adding(length=6, layout="2016", values="0..1").example(seed=1))
value   .07 .08 .01 .81 .25 .30
marker    1   0   0   0   1   0
target    .   .   .   .   . .31

Layout ``2016`` (Arjovsky et al. 2016): T steps, values U[0, 1], marks (1) at U{0..T/2-1} and U{T/2..T-1}; the target is
the sum. Chance MSE 1/6 (the sum's variance); solved at MSE < .01. Where the last step is itself marked, its value is in
view when the sum is due: who uses it and nothing before reaches 1/6 - 1/(6T) (.15 at T=10, .165 at T=100). With
``values=-1..1`` the values are U[-1, 1], the target is still their plain sum, and every MSE is four times as large:
chance 2/3, solved at MSE < .04.

Layout ``1997`` (Hochreiter & Schmidhuber 1997, experiment 4): L ~ U{T..T+T/10} steps, values U[-1, 1], marks at
i1 ~ U{0..9} and i2 ~ U{0..T/2-2} other than i1, marker -1 at the first and last step where not marked; if i1 = 0, its
value X1 is 0, in the input as in the target; target .5 + (X1 + X2)/4. Chance MSE 19/480, within .04 in 15 %; solved at
99 % within .04.

Denominator: sequences (the loss stands at the last step). ``length`` counts steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.tasks._marked import MIN_LENGTH_1997, MarkedValues, at_the_end, layout_1997, two_marks
from experiments.tasks.base import Batch


@dataclass(frozen=True, kw_only=True)
class Adding(MarkedValues):
    """The sum of two marked values.

    Attributes:
        layout: ``2016`` or ``1997``.
        values: of layout 2016: ``0..1`` or ``-1..1``.
    """

    layout: str
    values: str

    min_length: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("layout", self.layout in ("2016", "1997"), "2016 or 1997")
        self.require("values", self.values in ("0..1", "-1..1"), "0..1 or -1..1")
        if self.layout == "1997":
            self.require("values", self.values == "0..1", "0..1 with layout=1997, which has values of its own,")
            self.require("length", self.length >= MIN_LENGTH_1997, f"{MIN_LENGTH_1997} or more with layout=1997")

    @property
    def metric(self) -> str:
        return "loss" if self.layout == "2016" else "within_.04"

    @property
    def direction(self) -> str:
        return "min" if self.layout == "2016" else "max"

    @property
    def unit(self) -> str:
        return "MSE" if self.layout == "2016" else "share"

    @property
    def scale(self) -> float:
        """The width of the values, layout 2016."""
        return 2.0 if self.values == "-1..1" else 1.0

    @property
    def chance_loss(self) -> float:
        return self.scale**2 / 6 if self.layout == "2016" else 19 / 480

    @property
    def chance(self) -> float:
        return self.chance_loss if self.layout == "2016" else 0.15424  # the triangle's share in .5 +- .04

    @property
    def solved(self) -> float:
        return 0.01 * self.scale**2 if self.layout == "2016" else 0.99

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        if self.layout == "1997":
            values, markers, x1, x2, lengths = layout_1997(generator, batch_size, length, low=-1, first=0)
            return at_the_end(values, markers, 0.5 + (x1 + x2) / 4, lengths)
        values, columns = generator.random((length, batch_size)), np.arange(batch_size)
        if self.values == "-1..1":
            values = 2 * values - 1
        lengths = np.full(batch_size, length)
        first, second = two_marks(generator, lengths)
        markers = np.zeros_like(values)
        markers[first, columns] = markers[second, columns] = 1
        return at_the_end(
            values, markers, values[first, columns] + values[second, columns], np.full(batch_size, length)
        )
