"""Solved or not, and after how many steps: paired rates, logs of steps, and the share that is left over time."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.statistics.estimates import LEVEL, Estimate
from analysis.statistics.outcomes import Array


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
