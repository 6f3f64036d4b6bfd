"""Statistics of scores: pure functions on arrays, over scipy and statsmodels.

One outcome per seed is the unit of every test here (`analysis/statistics/outcomes.py`): a value, diverged, or censored.
`d` is a paired difference: of scores, or of logs where the claim is about a ratio (losses, steps). Of outcomes that are
known between bounds only, a p is the larger of those at both ends: the signed-rank statistic rises with every
difference, so no values in between give a larger one. Many-task aggregates and shares of variance are in
`aggregates.py`.
"""

import functools
import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm, quantile_test, rankdata, t

from analysis.statistics.outcomes import ROUNDING, Array, Outcomes, outcomes

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


def holm(p: ArrayLike) -> Array:
    """Holm's adjusted p of k comparisons, shape (k,): the j-th smallest times k - j + 1, never falling (Holm 1979).

    statsmodels' `multipletests` gives the same; it collects garbage at every call, which takes longer than a verdict.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return adjusted


def seeds_needed(comparisons: int, alpha: float = 1 - LEVEL) -> int:
    """The fewest paired seeds with which k comparisons under Holm can all reach p <= alpha: 2k / 2^n <= alpha."""
    if comparisons < 1 or not 0 < alpha < 1:
        raise ValueError(f"seeds_needed takes a comparison or more and an alpha in (0, 1), got {comparisons}, {alpha}")
    return next(n for n in range(1, 1100) if 2 * comparisons / 2**n <= alpha)


def solve_rate(solved: int, runs: int) -> Estimate:
    """The share of runs that solved their task, with Wilson's interval at .95 (Wilson 1927; statsmodels)."""
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= solved <= runs or not runs:
        raise ValueError(f"solve_rate takes 0 <= solved <= runs, runs above 0, got {solved} of {runs}")
    low, high = proportion_confint(solved, runs, alpha=1 - LEVEL, method="wilson")
    return Estimate(solved / runs, float(low), float(high))


def mcnemar_p(first: ArrayLike, second: ArrayLike) -> float:
    """Exact two-sided p of McNemar's test: the binomial test of the seeds on which just one of two arms solved.

    first, second: shape (n,), true where the arm solved, paired by seed (McNemar 1947; statsmodels).
    """
    from statsmodels.stats.contingency_tables import mcnemar

    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    return float(mcnemar(np.asarray(table), exact=True).pvalue)


def solve_difference(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Solve rate of the first arm minus that of the second, as shares; interval at .95.

    first, second: shape (n,), true where the arm solved, paired by seed. Tango's score interval (Tango 1998), which no
    library at hand has: it covers .944 or more of a nominal .95 from n = 6 to 24, whatever the rates and their
    correlation (test_statistics.py). One that is exact given the number of discordant seeds covers far less.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    n, gained, lost = len(a), int((a & ~b).sum()), int((~a & b).sum())
    value, z = (gained - lost) / n, float(norm.ppf((1 + LEVEL) / 2))
    ends = [
        far if value == far else brentq(lambda at, s=sign: tango_score(at, n, gained, lost) + s * z, value, far)
        for far, sign in ((-1.0, -1), (1.0, 1))
    ]
    return Estimate(value, float(ends[0]), float(ends[1]))


def tango_score(difference: float, n: int, gained: int, lost: int) -> float:
    """Tango's score statistic of a difference of paired rates, falling in it; the standard normal is its reference.

    n: pairs; gained, lost: those of which the first, or the second, alone solved.
    """
    linear = (2 * n - gained + lost) * difference - gained - lost
    square = linear**2 + 8 * n * lost * difference * (1 - difference)
    rate = (math.sqrt(max(0.0, square)) - linear) / (4 * n)  # most likely share of `lost` under the difference
    variance = n * (2 * rate + difference * (1 - difference))
    away = gained - lost - n * difference
    return away / math.sqrt(variance) if variance > 1e-12 else math.copysign(1e6, away) if abs(away) > 1e-9 else 0.0


def log_steps(steps_to_solve: ArrayLike, budget: float) -> Array:
    """log min(steps, budget), shape (n,). A run that never solved (NaN) counts the budget: its lower bound. Steps and
    budget in training steps; a solve at step 0 counts as 1."""
    steps = np.asarray(steps_to_solve, dtype=float)
    bounded: Array = np.log(np.clip(np.where(np.isnan(steps), budget, steps), 1, budget))
    return bounded


def unsolved_curve(steps_to_solve: ArrayLike, budget: float) -> Array:
    """Kaplan-Meier: the share of runs not yet solved, with its interval at .95, after each step at which one solved.

    steps_to_solve: shape (n,), training steps, NaN for a run that did not solve within `budget`. Returns rows (step,
    share, low, high), from step 0. As no run is censored before the budget that all of them have, the curve is the
    share of all runs, and its interval at every step the exact one of a share (Clopper & Pearson 1934; statsmodels):
    it covers .95 or more near 0 and 1 too, where Greenwood's does not.
    """
    from statsmodels.stats.proportion import proportion_confint

    steps = np.asarray(steps_to_solve, dtype=float)
    solved, counts = np.unique(steps[steps <= budget], return_counts=True)
    left = len(steps) - np.concatenate([[0], np.cumsum(counts)])
    low, high = proportion_confint(left, len(steps), alpha=1 - LEVEL, method="beta")
    return np.stack([np.concatenate([[0.0], solved]), left / len(steps), low, high], axis=1)
