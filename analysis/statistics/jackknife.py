"""The grouped jackknife, for statistics that no exact test knows."""

import math

from numpy.typing import ArrayLike
from scipy.stats import t

from analysis.statistics.estimates import LEVEL, Estimate, Side, one_per_seed


def jackknife(value: float, without: ArrayLike, level: float = LEVEL) -> Estimate:
    """A statistic with its interval by the grouped jackknife, for statistics that no exact test knows.

    value: the statistic of all data; without: shape (g,), the statistic without each of g equal groups, in the same
    unit. The variance is (g - 1)/g times the sum of squares around their mean, the quantile that of Student's t with
    g - 1 degrees of freedom (Shao & Tu, The Jackknife and Bootstrap, 2.3).
    """
    error, freedom = jackknife_error(without)
    reach = float(t.ppf((1 + level) / 2, freedom)) * error
    return Estimate(value, value - reach, value + reach)


def jackknife_p(value: float, without: ArrayLike, bound: float, side: Side) -> float:
    """One-sided p ("less" or "greater") that the statistic of `jackknife` equals the bound, in its unit."""
    error, freedom = jackknife_error(without)
    if error == 0:
        return float(value == bound or (value < bound) != (side == "less"))
    z = (value - bound) / error
    return float(t.cdf(z, freedom) if side == "less" else t.sf(z, freedom))


def jackknife_error(without: ArrayLike) -> tuple[float, int]:
    """The standard error of the grouped jackknife and its degrees of freedom."""
    x = one_per_seed(without, "jackknife")
    return math.sqrt((len(x) - 1) * float(x.var())), len(x) - 1
