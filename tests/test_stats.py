"""Intervals against cases worked by hand, and their coverage against its definition."""

import math

import numpy as np
import pytest

from analysis.stats import median_interval


@pytest.mark.parametrize(
    ("n", "k"),
    # the interval is x[k], x[n+1-k], with k the largest number for which 1 - 2 P(Binomial(n, 1/2) < k) >= .95
    [(6, 1), (7, 1), (8, 1), (9, 2), (10, 2), (11, 2), (12, 3), (13, 3), (14, 3), (15, 4), (20, 6), (24, 7), (25, 8)],
)
def test_the_interval_is_the_narrowest_of_order_statistics(n, k):
    values = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert median_interval(values) == ((n + 1) / 2, k, n + 1 - k, "interval")
    outside = [sum(math.comb(n, j) for j in range(below)) / 2**n for below in (k, k + 1)]
    assert 1 - 2 * outside[0] >= 0.95 > 1 - 2 * outside[1]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_below_six_it_is_the_range_and_says_so(n):
    assert median_interval(np.arange(n)) == ((n - 1) / 2, 0, n - 1, "range")


def test_infinite_scores_are_ordered_like_any_other():
    assert median_interval([1, 2, math.inf]) == (2, 1, math.inf, "range")
    assert median_interval([1, 2, 3, math.inf, math.inf, math.inf]) == (math.inf, 1, math.inf, "interval")
    assert median_interval([-math.inf, -math.inf]).median == -math.inf


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [[1.0]]])
def test_what_is_no_list_of_scores_is_refused(values):
    with pytest.raises(ValueError, match="one score per seed"):
        median_interval(values)
