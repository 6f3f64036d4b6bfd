"""Many comparisons at once: Holm's adjustment, and how many seeds it takes to decide them."""

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.estimates import LEVEL
from analysis.statistics.outcomes import Array


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


def too_few_seeds(seeds: int, comparisons: int, things: str = "comparisons", alpha: float = 1 - LEVEL) -> str:
    """`6 seeds cannot decide 6 cells, 8 can`, where seeds are too few for k comparisons to be told; else nothing."""
    needed = seeds_needed(comparisons, alpha)
    return "" if seeds >= needed else f"{seeds} seeds cannot decide {comparisons} {things}, {needed} can"
