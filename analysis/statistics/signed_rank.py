"""The exact Wilcoxon signed-rank test of paired differences, its estimate, its interval, and equivalence by it.

One outcome per seed is the unit (`analysis/statistics/outcomes.py`): a value, diverged, or censored. `d` is a paired
difference: of scores, or of logs where the claim is about a ratio (losses, steps). Of outcomes that are known between
bounds only, a p is the larger of those at both ends: the signed-rank statistic rises with every difference, so no
values in between give a larger one.
"""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from analysis.statistics.estimates import LEVEL, Estimate, Side
from analysis.statistics.outcomes import ROUNDING, Array, Outcomes, outcomes


def paired_difference(d: Outcomes | ArrayLike, level: float = LEVEL) -> Estimate:
    """Hodges-Lehmann estimate of a paired difference, with the interval that inverts the exact Wilcoxon test.

    d: shape (n,), one difference per seed, in any unit; the result is in the same unit. The estimate, the pseudomedian,
    is the median of the n(n+1)/2 Walsh averages (d_i + d_j)/2, i <= j; the interval runs from the c-th smallest to the
    c-th largest of them, c the largest count for which it covers the centre of symmetry with probability `level` or
    more (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3.2-3.3). Too few seeds for that: the interval
    is infinite. Of differences between bounds the interval holds those of both ends, and the estimate is the end that
    is finite (`pseudomedian` has both), NaN if neither is.
    """
    least, most = pseudomedian(d)
    value = least if least == most or math.isfinite(least) else most if math.isfinite(most) else math.nan
    below, above = walsh_averages(d)
    cut = walsh_cut(len(outcomes(d)), level)
    low, high = (below[cut - 1], above[-cut]) if cut else (-math.inf, math.inf)
    return Estimate(value, float(low), float(high))


def pseudomedian(d: Outcomes | ArrayLike) -> tuple[float, float]:
    """The bounds of the Hodges-Lehmann estimate of d, in its unit: equal where every difference is known."""
    below, above = walsh_averages(d)
    return middle(below, 0), middle(above, -1)


def middle(x: Array, side: int) -> float:
    """The median of sorted values; of an even number around an infinite one the lower (side 0) or the upper (-1)."""
    pair = x[(len(x) - 1) // 2 : len(x) // 2 + 1]
    return float(pair.mean() if np.isfinite(pair).all() else pair[side])


def walsh_averages(d: Outcomes | ArrayLike) -> tuple[Array, Array]:
    """The Walsh averages of d, sorted, at its lower and its upper end; that of inf and -inf may be either."""
    known = outcomes(d)
    i, j = np.triu_indices(len(known))
    with np.errstate(invalid="ignore"):
        low, high = ((end[i] + end[j]) / 2 for end in (known.low, known.high))
    return np.sort(np.where(np.isnan(low), -np.inf, low)), np.sort(np.where(np.isnan(high), np.inf, high))


@functools.lru_cache(maxsize=1024)
def walsh_cut(n: int, level: float) -> int:
    """How many Walsh averages of n differences lie outside the interval on each side."""
    below = np.cumsum(signed_rank_null(tuple(range(1, n + 1)))[::2])  # P(W+ <= w)
    return int(np.searchsorted(below, (1 - level) / 2, side="right"))


def signed_rank_p(d: Outcomes | ArrayLike, bound: float = 0.0, side: Side = "two-sided") -> float:
    """Exact p of the Wilcoxon signed-rank test that d is centred at `bound`, over all 2^n sign flips, with ties or not.

    d: shape (n,), one difference per seed; bound in its unit. side: the alternative. Tied differences share their mean
    rank, infinite ones that of the largest; those equal to the bound keep their rank and have no sign (Pratt 1959).
    Without ties it is scipy's `wilcoxon(method="exact")`; with them scipy flips signs one by one, which takes minutes
    from n = 16 on.
    """
    known = outcomes(d)
    if side == "two-sided":
        return min(1.0, 2 * min(signed_rank_p(known, bound, "less"), signed_rank_p(known, bound, "greater")))
    if known.exact.all():
        return one_sided_p(known.low - bound, bound, side)
    ends = (known.low - bound, known.high - bound)
    return max(one_sided_p(end, bound, side, tied) for end in ends for tied in (True, False))


def one_sided_p(x: Array, bound: float, side: Side, tied: bool = True) -> float:
    """The one-sided p of differences x, shape (n,), that have been taken from the bound.

    tied: ties share their mean rank, else those against the alternative get the larger ranks: what lies between bounds
    ties at its ends alone, as all that is infinite there does.
    """
    x = np.where(np.abs(x) <= ROUNDING * abs(bound), 0.0, x)
    against = x > 0 if side == "less" else x < 0
    ranks = rankdata(np.abs(x)) if tied else 1.0 + np.argsort(np.lexsort((against, np.abs(x))))
    null = signed_rank_null(tuple(ranks[x != 0]))
    seen = round(2 * ranks[x > 0].sum())
    return min(1.0, float(null[: seen + 1].sum() if side == "less" else null[seen:].sum()))


@functools.lru_cache(maxsize=1024)
def signed_rank_null(ranks: tuple[float, ...]) -> Array:
    """P(W+ = w / 2) for w = 0 ... 2 sum(ranks): the sum of the (whole or half) ranks that a fair coin chooses."""
    coins = [np.bincount([0, round(2 * rank)]) / 2 for rank in ranks]
    return functools.reduce(np.convolve, coins, np.ones(1))


def equivalence_p(d: Outcomes | ArrayLike, margin: float) -> float:
    """p of "the difference lies inside -margin ... margin": the larger of two one-sided exact Wilcoxon tests.

    d: shape (n,), one difference per seed; margin > 0 in its unit (log 2 for a factor of 2). Schuirmann 1987 (TOST);
    Wellek, Testing Statistical Hypotheses of Equivalence, 5.1.
    """
    return max(signed_rank_p(d, -margin, "greater"), signed_rank_p(d, margin, "less"))


def outside_p(d: Outcomes | ArrayLike, margin: float) -> float:
    """p of "the difference lies outside -margin ... margin": twice the smaller of two one-sided exact Wilcoxon tests.

    d: shape (n,), one difference per seed; margin > 0 in its unit.
    """
    return min(1.0, 2 * min(signed_rank_p(d, margin, "greater"), signed_rank_p(d, -margin, "less")))
