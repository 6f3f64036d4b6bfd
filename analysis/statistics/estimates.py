"""Estimates with intervals, and the median of a few seeds with what is known about it."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import quantile_test

from analysis.statistics.outcomes import Array

Side = Literal["two-sided", "less", "greater"]
LEVEL = 0.95
ENOUGH = 6  # the fewest values whose smallest and largest enclose the median with probability LEVEL or more


class Spread(NamedTuple):
    """A median with the interval [low, high], in the unit of the values."""

    median: float
    low: float
    high: float
    kind: str  # "interval": holds the true median with probability LEVEL; "range": the smallest and largest value


class Estimate(NamedTuple):
    """An estimate with its interval [low, high], in the unit of what was estimated."""

    value: float
    low: float
    high: float


def median_interval(values: ArrayLike) -> Spread:
    """The median of n values and what is known about it; the values may be infinite (a diverged run without a score).

    values: shape (n,), one per seed, any unit. From n = 6 the exact order-statistic interval: the narrowest pair of
    sorted values x[k], x[n+1-k] that encloses the median of the population with probability at least .95, whatever its
    distribution (Conover, Practical Nonparametric Statistics, 3.2). Below that no such pair exists: the range.
    Raises ValueError without values, or with a NaN among them.
    """
    x = np.sort(one_per_seed(values, "median_interval"))
    middle = (x[(len(x) - 1) // 2], x[len(x) // 2])
    median = float(middle[0] if middle[0] == middle[1] else np.mean(middle))
    if len(x) < ENOUGH:
        return Spread(median, float(x[0]), float(x[-1]), "range")
    interval = quantile_test(x, p=0.5).confidence_interval(confidence_level=LEVEL)
    return Spread(median, float(interval.low), float(interval.high), "interval")


def one_per_seed(values: ArrayLike, asked: str) -> Array:
    """The values as a float array (n,); ValueError if empty, not flat or with a NaN."""
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or np.isnan(x).any():
        raise ValueError(f"{asked} takes one score per seed, got {values!r}")
    return x
