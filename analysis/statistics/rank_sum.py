"""The exact Wilcoxon rank-sum test of two independent samples, its estimate and interval, and equivalence by it.

x are outcomes (`analysis/statistics/outcomes.py`), y plain values, both on the scale of their differences: logs where a
ratio is meant. The shift of x against y is what would have to be taken from every x for the two to be alike. Without
ties a p is that of scipy's `mannwhitneyu(method="exact")`, which has none with ties.
"""

import functools
import math

import numpy as np
from scipy.stats import rankdata

from analysis.statistics.estimates import LEVEL, Side
from analysis.statistics.outcomes import Array, Outcomes
from analysis.statistics.signed_rank import middle


def rank_sum_p(x: Outcomes, y: Array, bound: float = 0.0, side: Side = "two-sided") -> float:
    """Exact p that the shift of x against y is `bound`, over all ways to choose which values are x's, ties or not.

    x: n outcomes; y: shape (m,), finite; bound in their unit. side: the alternative. The statistic rises with every x,
    so that of outcomes known between bounds the p is the larger of those at both ends.
    """
    if side == "two-sided":
        return min(1.0, 2 * min(rank_sum_p(x, y, bound, "less"), rank_sum_p(x, y, bound, "greater")))
    return max(one_sided_p(end - bound, y, side) for end in (x.low, x.high))


def one_sided_p(x: Array, y: Array, side: Side) -> float:
    ranks = rankdata(np.concatenate([x, y]))
    null = rank_sum_null(tuple(np.sort(ranks)), len(x))
    seen = round(2 * ranks[: len(x)].sum())
    return min(1.0, float(null[: seen + 1].sum() if side == "less" else null[seen:].sum()))


@functools.lru_cache(maxsize=1024)
def rank_sum_null(ranks: tuple[float, ...], count: int) -> Array:
    """P(W = w / 2) for w = 0 ... 2 sum(ranks): the sum of `count` of the (whole or half) ranks, chosen at random."""
    if 2 * count > len(ranks):  # the sum of the fewer others says as much
        return rank_sum_null(ranks, len(ranks) - count)[::-1]
    doubled = [round(2 * rank) for rank in ranks]
    ways = np.zeros((count + 1, sum(doubled) + 1))
    ways[0, 0] = 1
    for rank in doubled:
        for chosen in range(count, 0, -1):
            ways[chosen, rank:] += ways[chosen - 1, : ways.shape[1] - rank]
    found: Array = ways[count] / ways[count].sum()
    return found


def equivalence_p(x: Outcomes, y: Array, margin: float) -> float:
    """p of "the shift lies inside -margin ... margin": the larger of two one-sided exact tests (Schuirmann 1987)."""
    return max(rank_sum_p(x, y, -margin, "greater"), rank_sum_p(x, y, margin, "less"))


def outside_p(x: Outcomes, y: Array, margin: float) -> float:
    """p of "the shift lies outside -margin ... margin": twice the smaller of two one-sided exact tests."""
    return min(1.0, 2 * min(rank_sum_p(x, y, margin, "greater"), rank_sum_p(x, y, -margin, "less")))


def shift(x: Outcomes, y: Array, level: float = LEVEL) -> tuple[float, float, float, float]:
    """The bounds of the Hodges-Lehmann estimate of the shift, equal where it is known, and its interval.

    The estimate is the median of all differences x[i] - y[j]; the interval inverts the exact test (Hollander, Wolfe &
    Chicken, Nonparametric Statistical Methods, 4.2-4.3). Too few values for that: it is infinite.
    """
    low, high = (np.sort(np.subtract.outer(end, y).ravel()) for end in (x.low, x.high))
    cut = differences_cut(len(x), len(y), level)
    ends = (float(low[cut - 1]), float(high[-cut])) if cut else (-math.inf, math.inf)
    return middle(low, 0), middle(high, -1), *ends


@functools.lru_cache(maxsize=1024)
def differences_cut(n: int, m: int, level: float) -> int:
    """How many of the n m differences lie outside the interval on each side."""
    null = rank_sum_null(tuple(range(1, n + m + 1)), n)[n * (n + 1) :: 2]  # of U = 0, 1, ...
    return int(np.searchsorted(null.cumsum(), (1 - level) / 2, side="right"))
