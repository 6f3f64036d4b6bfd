"""The rank-sum test against scipy where there are no ties, against every choice of values where there are."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, rankdata

from analysis.statistics import rank_sum
from analysis.statistics.outcomes import Outcomes, outcomes

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("bound", [0.0, 0.4, -1.0])
@pytest.mark.parametrize("side", ["less", "greater"])
@pytest.mark.parametrize(("n", "m"), [(20, 3), (20, 10), (1, 4)])
def test_without_ties_it_is_scipys_exact_test(n: int, m: int, side: str, bound: float) -> None:
    x, y = RANDOM.normal(0.5, 1, n), RANDOM.normal(0, 1, m)
    wanted = mannwhitneyu(x - bound, y, alternative=side, method="exact").pvalue
    assert rank_sum.rank_sum_p(outcomes(x), y, bound, side) == pytest.approx(wanted)  # type: ignore[arg-type]


def test_with_ties_it_counts_every_choice() -> None:
    x, y = np.array([1.0, 2, 2, 5]), np.array([1.0, 1, 2, 3, 2])
    ranks = rankdata(np.concatenate([x, y]))
    sums = np.array([sum(chosen) for chosen in itertools.combinations(ranks, len(x))])
    seen = ranks[: len(x)].sum()
    assert rank_sum.rank_sum_p(outcomes(x), y, 0.0, "greater") == pytest.approx((sums >= seen).mean())
    assert rank_sum.rank_sum_p(outcomes(x), y, 0.0, "less") == pytest.approx((sums <= seen).mean())


def test_inside_and_outside_of_a_margin() -> None:
    y = RANDOM.normal(0, 0.1, 10)
    near, far = outcomes(RANDOM.normal(0, 0.1, 20)), outcomes(RANDOM.normal(3, 0.1, 20))
    assert rank_sum.equivalence_p(near, y, 1.0) < 0.001 < 0.9 < rank_sum.outside_p(near, y, 1.0)
    assert rank_sum.outside_p(far, y, 1.0) < 0.001 < 0.9 < rank_sum.equivalence_p(far, y, 1.0)


def test_what_is_known_as_a_bound_has_to_hold_at_both_ends() -> None:
    y = np.zeros(10)
    values = np.full(12, 0.1)
    bounds = Outcomes(values, np.where(np.arange(12) < 6, math.inf, values))
    assert rank_sum.equivalence_p(outcomes(values), y, 0.5) < 0.001
    assert rank_sum.equivalence_p(bounds, y, 0.5) > 0.05
    least, most, low, high = rank_sum.shift(bounds, y)
    assert (least, low, high) == (0.1, 0.1, math.inf)
    assert most == math.inf


def test_the_interval_holds_the_shifts_that_the_test_does_not_reject() -> None:
    x, y = RANDOM.normal(1, 1, 9), RANDOM.normal(0, 1, 7)
    least, most, low, high = rank_sum.shift(outcomes(x), y)
    assert least == most == pytest.approx(np.median(np.subtract.outer(x, y)))
    for bound, held in ((low - 1e-6, False), (low + 1e-6, True), (high - 1e-6, True), (high + 1e-6, False)):
        assert (rank_sum.rank_sum_p(outcomes(x), y, bound) > 0.05) == held
    assert rank_sum.shift(outcomes([1.0]), np.zeros(2))[2:] == (-math.inf, math.inf)
