"""Statistics against cases worked by hand, published values and their definitions."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import PermutationMethod, binom, binomtest, multinomial, norm, rankdata, ttest_1samp, wilcoxon
from statsmodels.stats.multitest import multipletests

from analysis.statistics.estimates import median_interval
from analysis.statistics.jackknife import jackknife, jackknife_p
from analysis.statistics.many_comparisons import holm, seeds_needed, too_few_seeds
from analysis.statistics.signed_rank import equivalence_p, outside_p, paired_difference, signed_rank_null, signed_rank_p
from analysis.statistics.solving import log_steps, mcnemar_p, solve_difference, unsolved_curve


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


# Paired differences

DEPRESSION = np.array(  # Hamilton scale before and after a tranquilizer (Hollander & Wolfe 1973, example 3.1)
    [
        [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30],
        [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29],
    ]
)


def test_the_paired_difference_of_a_textbook_case():
    d = DEPRESSION[0] - DEPRESSION[1]
    assert signed_rank_p(d) == pytest.approx(20 / 512)  # W+ = 40
    assert signed_rank_p(d, side="greater") == pytest.approx(10 / 512)
    assert paired_difference(d) == pytest.approx((0.46, 0.010, 0.786), abs=5e-4)


def test_three_differences_by_hand():
    # Walsh averages of 1, 2, 6: 1, 1.5, 2, 3.5, 4, 6; the signed ranks of 3 values are all positive once in 8
    assert paired_difference([6, 1, 2], level=0.75) == (2.75, 1, 6)
    assert paired_difference([6, 1, 2]) == (2.75, -math.inf, math.inf)
    assert signed_rank_p([6, 1, 2], side="greater") == 1 / 8
    assert signed_rank_p([6, 1, 2]) == 1 / 4


@pytest.mark.parametrize(("n", "critical"), [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (20, 52), (25, 89)])
def test_critical_values_are_those_of_the_tables(n, critical):
    below = np.cumsum(signed_rank_null(tuple(range(1, n + 1)))[::2])  # two-sided .05 (Wilcoxon & Wilcox 1964)
    assert below[critical] <= 0.025 < below[critical + 1]
    assert below[-1] == pytest.approx(1)


@pytest.mark.parametrize("n", [6, 9, 12])
def test_the_interval_holds_what_the_test_does_not_reject(n):
    d = np.random.default_rng(n).normal(0.4, 1, n)
    value, low, high = paired_difference(d)
    assert low < value < high
    nudge = 1e-9
    assert signed_rank_p(d, low + nudge) > 0.05 >= signed_rank_p(d, low - nudge)
    assert signed_rank_p(d, high - nudge) > 0.05 >= signed_rank_p(d, high + nudge)


@pytest.mark.parametrize("d", [[1, 1, 1, -1, 2, 2], [0, 0, 1, 2, 3, 3, 3], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]])
def test_ties_and_zeros_are_tested_over_every_sign_flip(d):
    d = np.array(d, dtype=float)
    ranks = rankdata(np.abs(d)) * (d != 0)
    flips = [np.dot(ranks, signs) for signs in itertools.product([0, 1], repeat=len(d))]
    above = np.mean(np.array(flips) >= np.dot(ranks, d > 0))
    below = np.mean(np.array(flips) <= np.dot(ranks, d > 0))
    assert signed_rank_p(d, side="greater") == pytest.approx(above)
    assert signed_rank_p(d) == pytest.approx(min(1, 2 * min(above, below)))


def test_no_difference_at_all_has_p_1():
    assert signed_rank_p(np.zeros(8)) == 1
    assert signed_rank_p(np.full(8, math.log(2)), bound=math.log(2)) == 1
    assert paired_difference(np.zeros(8)) == (0, 0, 0)


@pytest.mark.parametrize("side", ["two-sided", "less", "greater"])
@pytest.mark.parametrize("n", [1, 5, 12, 30])
def test_without_ties_it_is_the_exact_test_of_scipy(n, side):
    d = np.random.default_rng(n).normal(0.3, 1, n)
    assert signed_rank_p(d, side=side) == pytest.approx(wilcoxon(d, alternative=side, method="exact").pvalue)


@pytest.mark.parametrize("side", ["two-sided", "less", "greater"])
def test_with_ties_it_is_the_permutation_test_of_scipy(side):
    d = np.random.default_rng(3).integers(-2, 5, 8).astype(float)
    flips = PermutationMethod(n_resamples=2**9)
    expected = wilcoxon(d, alternative=side, zero_method="pratt", method=flips).pvalue
    assert signed_rank_p(d, side=side) == pytest.approx(expected)


def test_equal_sizes_make_it_the_sign_test():
    assert signed_rank_p(np.repeat([1.0, -1.0], [16, 4])) == pytest.approx(binomtest(4, 20).pvalue)


def test_equivalence_is_shown_inside_the_margin_and_refuted_outside():
    d = np.array([-0.3, -0.1, 0.05, 0.12, 0.2, 0.31])
    assert equivalence_p(d, 1) == 1 / 64
    assert outside_p(d, 1) == 1
    assert equivalence_p(d + 2, 1) == 1
    assert outside_p(d + 2, 1) == outside_p(d - 2, 1) == 2 / 64
    assert equivalence_p(d, 0.25) == max(signed_rank_p(d, -0.25, "greater"), signed_rank_p(d, 0.25, "less"))


def test_the_jackknife_of_a_mean_is_the_t_test():
    x = np.random.default_rng(5).normal(0.4, 1, 12)
    without = [np.delete(x, place).mean() for place in range(12)]
    known = ttest_1samp(x, 0.1)
    interval = known.confidence_interval(0.95)
    assert jackknife(x.mean(), without) == pytest.approx((x.mean(), interval.low, interval.high))
    less, greater = (jackknife_p(x.mean(), without, 0.1, side) for side in ("less", "greater"))
    assert 2 * min(less, greater) == pytest.approx(known.pvalue)
    assert less + greater == pytest.approx(1)
    assert [jackknife_p(1.0, [1.0, 1.0], 0.5, side) for side in ("less", "greater")] == [1, 0]


def test_holm_multiplies_by_what_is_left():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]).tolist() == []
    p = np.random.default_rng(0).uniform(0, 0.3, 12)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_seeds_needed_is_the_table_of_the_protocol():
    table = {1: 6, 2: 7, 3: 7, 4: 8, 6: 8, 7: 9, 12: 9, 13: 10, 25: 10, 26: 11, 51: 11}
    assert {k: seeds_needed(k) for k in table} == table
    assert seeds_needed(1, 0.025) == 7
    with pytest.raises(ValueError, match="a comparison or more"):
        seeds_needed(0)


def test_too_few_seeds_say_so_and_the_exact_test_agrees():
    assert too_few_seeds(6, 6, "cells") == "6 seeds cannot decide 6 cells, 8 can"
    assert too_few_seeds(8, 6, "cells") == ""
    for seeds, comparisons in itertools.product(range(5, 10), range(1, 14)):
        clearest = holm([signed_rank_p([1.0] * seeds)] * comparisons)  # every seed on one side, everywhere
        assert bool((clearest <= 0.05).all()) == (too_few_seeds(seeds, comparisons) == "")


# Solved or not, and when


def test_mcnemar_by_hand():
    first = [True] * 10 + [False] * 2 + [True] * 5
    second = [False] * 10 + [True] * 2 + [True] * 5
    assert mcnemar_p(first, second) == pytest.approx(2 * 79 / 4096)  # P(Binomial(12, 1/2) <= 2) = 79 / 4096
    assert mcnemar_p(first, first) == 1


def paired_solves(both: int, gained: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    counts = (both, gained, lost, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


Z2 = norm.ppf(0.975) ** 2


@pytest.mark.parametrize(
    ("gained", "n", "low", "high"),  # where the formula has a closed form
    [(0, 12, -Z2 / (12 + Z2), Z2 / (12 + Z2)), (12, 12, (12 - Z2) / (12 + Z2), 1)],
)
def test_the_interval_of_a_solve_difference_by_hand(gained, n, low, high):
    assert solve_difference(*paired_solves(0, gained, 0, n - gained)) == pytest.approx((gained / n, low, high))


def test_the_interval_of_a_solve_difference_inverts_the_score_test():
    gained, lost, n = 9, 2, 20
    for end in solve_difference(*paired_solves(4, gained, lost, n - 4 - gained - lost))[1:]:
        rates = np.linspace(max(0, -end), (1 - end) / 2, 200_001)[1:-1]  # of the seeds that only the second solved
        likely = gained * np.log(rates + end) + lost * np.log(rates) + (n - gained - lost) * np.log(1 - end - 2 * rates)
        rate = rates[likely.argmax()]
        score = (gained - lost - n * end) ** 2 / (n * (2 * rate + end * (1 - end)))
        assert score == pytest.approx(Z2, rel=1e-3)


@pytest.mark.parametrize("n", [8, 12, 20])
def test_the_interval_of_a_solve_difference_covers_the_truth_at_small_differences_too(n):
    tables = [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    ends = np.array([solve_difference(*paired_solves(*table))[1:] for table in tables])
    for second, difference in itertools.product((0.05, 0.5, 0.9), (0, 0.02, 0.05, 0.1)):
        first = second + difference
        for both in (second * first, 0.9 * second + 0.1 * second * first):
            rates = [both, first - both, second - both, 1 - first - second + both]
            covered = (ends[:, 0] <= difference + 1e-9) & (difference - 1e-9 <= ends[:, 1])
            assert multinomial(n, rates).pmf(tables)[covered].sum() >= 0.94


def test_steps_beyond_the_budget_count_the_budget():
    assert log_steps([100, math.nan, 900, 0], 500) == pytest.approx(np.log([100, 500, 500, 1]))


def test_kaplan_meier_by_hand():
    # 4 runs: solved at 10 and 30, one unsolved at 40, one solved at 40: shares 3/4, 2/4, 1/4 of the 4
    rows = unsolved_curve([30, math.nan, 10, 40], budget=40)
    assert rows[:, 0].tolist() == [0, 10, 30, 40]
    assert rows[:, 1] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert (rows[:, 2] <= rows[:, 1]).all()
    assert (rows[:, 3] >= rows[:, 1]).all()
    assert unsolved_curve([math.nan, math.nan], 40) == pytest.approx(np.array([[0, 1, math.sqrt(0.025), 1]]))


@pytest.mark.parametrize("unsolved", [0.01, 0.05, 0.5, 0.97])
@pytest.mark.parametrize("n", [6, 12])
def test_a_solve_curve_covers_the_truth_near_0_and_1_too(n, unsolved):
    curves = [unsolved_curve([10.0] * (n - left) + [math.nan] * left, 40)[-1] for left in range(n + 1)]
    covered = [left for left, (_, _, low, high) in enumerate(curves) if low <= unsolved <= high]
    assert binom(n, unsolved).pmf(covered).sum() >= 0.95
