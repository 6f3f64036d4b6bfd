"""What runs came to, as statistics may use it. A number is one of three things:

    a value      known: low == high
    diverged     worse than every finite one: low == high == inf (-inf where more is better)
    censored     known to lie between two bounds: steps of a run that has not solved are at least its budget, low < high

One outcome per seed is the unit. The difference of two outcomes lies between bounds too; inf - inf carries no
information, it may be anything: -inf ... inf. What is said of outcomes must hold at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
ROUNDING = 1e-12  # differences below this share of what they are taken of are rounding


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Bounds of one outcome per seed, shape (n,) each, in one unit; low <= high, no NaN."""

    low: Array
    high: Array

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or self.low.ndim != 1 or not len(self.low):
            raise ValueError(f"one outcome per seed is needed, got shapes {self.low.shape} and {self.high.shape}")
        if not (self.low <= self.high).all():
            raise ValueError(f"outcomes need low <= high, got {self.low} and {self.high}")

    def __len__(self) -> int:
        return len(self.low)

    def __sub__(self, other: Outcomes) -> Outcomes:
        """The differences, seed by seed."""
        low, high = less(self.low, other.high), less(self.high, other.low)
        return Outcomes(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))

    def __neg__(self) -> Outcomes:
        return Outcomes(-self.high, -self.low)

    @property
    def exact(self) -> Flags:
        """Where the outcome is known: a value, or diverged."""
        known: Flags = self.low == self.high
        return known

    @property
    def unknown(self) -> Flags:
        """Where nothing is known: from -inf to inf."""
        return np.isneginf(self.low) & np.isposinf(self.high)

    def where(self, known: Flags) -> Outcomes:
        """These outcomes, without information where not `known`."""
        return Outcomes(np.where(known, self.low, -np.inf), np.where(known, self.high, np.inf))

    def log(self) -> Outcomes:
        """The logs; outcomes below 0 have none: ValueError."""
        if (self.low < 0).any():
            raise ValueError("a ratio needs outcomes of 0 or more")
        with np.errstate(divide="ignore"):
            return Outcomes(np.log(self.low), np.log(self.high))


def outcomes(values: Outcomes | ArrayLike) -> Outcomes:
    """Outcomes, or plain values (infinite: diverged) as such. ValueError if empty, not flat or with a NaN."""
    if isinstance(values, Outcomes):
        return values
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or np.isnan(x).any():
        raise ValueError(f"one score per seed is needed, got {values!r}")
    return Outcomes(x, x)


def less(first: Array, second: Array) -> Array:
    """first - second; what is rounding only is 0, and inf - inf is NaN."""
    with np.errstate(invalid="ignore"):
        d: Array = first - second
        size = np.maximum(np.abs(first), np.abs(second))
        return np.where(np.isfinite(d) & (np.abs(d) <= ROUNDING * size), 0.0, d)
