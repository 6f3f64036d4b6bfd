"""Statistics of scores: pure functions on arrays, over scipy and statsmodels.

One value per seed is the unit of every test here. `d` is a paired difference: of scores, or of logs where the claim is
about a ratio (losses, steps). Many-task aggregates and shares of variance are in `analysis/aggregates.py`.
"""

import functools
import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import CensoredData, ecdf, norm, quantile_test, rankdata, t

Array = NDArray[np.float64]
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


def paired_difference(d: ArrayLike, level: float = LEVEL) -> Estimate:
    """Hodges-Lehmann estimate of a paired difference, with the interval that inverts the exact Wilcoxon test.

    d: shape (n,), one difference per seed, in any unit; the result is in the same unit. The estimate is the median of
    the n(n+1)/2 Walsh averages (d_i + d_j)/2, i <= j; the interval runs from the c-th smallest to the c-th largest of
    them, c the largest count for which it covers the centre of symmetry with probability `level` or more (Hollander,
    Wolfe & Chicken, Nonparametric Statistical Methods, 3.2-3.3). Too few seeds for that: the interval is infinite.
    """
    x = one_per_seed(d, "paired_difference")
    i, j = np.triu_indices(len(x))
    walsh = np.sort((x[i] + x[j]) / 2)
    below = np.cumsum(signed_rank_null(tuple(range(1, len(x) + 1)))[::2])  # P(W+ <= w)
    cut = int(np.searchsorted(below, (1 - level) / 2, side="right"))
    low, high = (walsh[cut - 1], walsh[-cut]) if cut else (-math.inf, math.inf)
    return Estimate(float(np.median(walsh)), float(low), float(high))


def signed_rank_p(d: ArrayLike, bound: float = 0.0, side: Side = "two-sided") -> float:
    """Exact p of the Wilcoxon signed-rank test that d is centred at `bound`, over all 2^n sign flips, with ties or not.

    d: shape (n,), one difference per seed; bound in its unit. side: the alternative. Tied differences share their mean
    rank; those equal to the bound keep their rank and have no sign (Pratt 1959). Without ties it is scipy's
    `wilcoxon(method="exact")`; with them scipy flips signs one by one, which takes minutes from n = 16 on.
    """
    x = one_per_seed(d, "signed_rank_p") - bound
    x = np.where(np.abs(x) <= 1e-12 * max(1.0, abs(bound)), 0.0, x)
    ranks = rankdata(np.abs(x))
    null = signed_rank_null(tuple(ranks[x != 0]))
    seen = round(2 * ranks[x > 0].sum())
    less, greater = float(null[: seen + 1].sum()), float(null[seen:].sum())
    return min(1.0, {"less": less, "greater": greater, "two-sided": 2 * min(less, greater)}[side])


@functools.lru_cache(maxsize=1024)
def signed_rank_null(ranks: tuple[float, ...]) -> Array:
    """P(W+ = w / 2) for w = 0 ... 2 sum(ranks): the sum of the (whole or half) ranks that a fair coin chooses."""
    coins = [np.bincount([0, round(2 * rank)]) / 2 for rank in ranks]
    return functools.reduce(np.convolve, coins, np.ones(1))


def equivalence_p(d: ArrayLike, margin: float) -> float:
    """p of "the difference lies inside -margin ... margin": the larger of two one-sided exact Wilcoxon tests.

    d: shape (n,), one difference per seed; margin > 0 in its unit (log 2 for a factor of 2). Schuirmann 1987 (TOST);
    Wellek, Testing Statistical Hypotheses of Equivalence, 5.1.
    """
    return max(signed_rank_p(d, -margin, "greater"), signed_rank_p(d, margin, "less"))


def outside_p(d: ArrayLike, margin: float) -> float:
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

    first, second: shape (n,), true where the arm solved, paired by seed. The interval is exact given the number of
    discordant seeds: Clopper-Pearson for the share of them in the first arm's favour, scaled to the difference
    (Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions, 13.1).
    """
    from statsmodels.stats.proportion import proportion_confint

    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    discordant = int((a != b).sum())
    if not discordant:
        return Estimate(0.0, 0.0, 0.0)
    favour = int((a & ~b).sum())
    ends = (2 * np.array(proportion_confint(favour, discordant, alpha=1 - LEVEL, method="beta")) - 1) * discordant
    return Estimate(float(a.mean() - b.mean()), float(ends[0] / len(a)), float(ends[1] / len(a)))


def log_steps(steps_to_solve: ArrayLike, budget: float) -> Array:
    """log min(steps, budget), shape (n,): what steps to solve are tested on. A run that never solved (NaN) counts the
    budget. Steps and budget in training steps; a solve at step 0 counts as 1."""
    steps = np.asarray(steps_to_solve, dtype=float)
    bounded: Array = np.log(np.clip(np.where(np.isnan(steps), budget, steps), 1, budget))
    return bounded


def unsolved_curve(steps_to_solve: ArrayLike, budget: float) -> Array:
    """Kaplan-Meier: the share of runs not yet solved, with its interval at .95, after each step at which one solved.

    steps_to_solve: shape (n,), training steps, NaN for a run that did not solve within `budget`. Returns rows (step,
    share, low, high), from step 0; Greenwood's log-log interval (Kaplan & Meier 1958; Kalbfleisch & Prentice,
    The Statistical Analysis of Failure Time Data, 1.4; scipy.stats.ecdf).
    """
    steps = np.asarray(steps_to_solve, dtype=float)
    start = np.array([[0.0, 1.0, 1.0, 1.0]])
    if np.isnan(steps).all():
        return start
    solved, counts = np.unique(steps[~np.isnan(steps)], return_counts=True)
    curve = ecdf(censored(steps, budget)).sf.evaluate(solved)
    inside = curve > 0  # where all have solved, the interval has no formula: the upper end stays where it was
    left = len(steps) - np.cumsum(counts)
    error = np.sqrt(np.cumsum(counts[inside] / (left[inside] * (left + counts)[inside])))
    reach = norm.ppf((1 + LEVEL) / 2) * error / np.log(curve[inside])
    low, high = np.zeros(len(curve)), np.ones(len(curve))
    low[inside], high[inside] = curve[inside] ** np.exp([-reach, reach])
    rows = np.stack([solved, curve, low, np.minimum.accumulate(high)], axis=1)
    return np.concatenate([start, rows])


def censored(steps: Array, budget: float) -> CensoredData:
    """Steps to solve as scipy's censored data: a NaN is known to be above the budget only."""
    return CensoredData.right_censored(np.where(np.isnan(steps), budget, steps), np.isnan(steps))
