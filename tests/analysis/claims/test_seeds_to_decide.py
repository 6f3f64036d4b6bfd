"""What an undecided comparison would take is said from its spread, and not where seeds would not help."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from verdict_made import verdict

from analysis.claims.claim import Claim, Comparison
from analysis.claims.seeds_to_decide import MOST, POWER, seeds, would_take


def comparison(**changes: Any) -> Comparison:
    claim = Claim(
        **{"sentence": "s", "source": "p", "expect": "higher", "baseline": "lstm", "arms": ["gru"], **changes}
    )
    return Comparison(claim, "adding", "gru")


def test_a_comparison_that_is_decided_takes_nothing():
    assert would_take(verdict(verdict="reproduced"), comparison(), 1) == ""
    assert would_take(verdict(verdict="not run"), comparison(), 1) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": "depends on the learning rate: reproduced at train.lr=0.01 and ..."}, "a finer or wider grid may"),
        ({"reason": "the study could not have seen a difference: gru beat chance on 1 of 8"}, "so more steps"),
        ({"reason": "3 of 12 pairs carry no information, and ..."}, "no number of seeds by itself: 3 of 12 pairs"),
        ({"high": math.inf}, "cannot be told: the interval is infinite"),
        ({"estimate": 1.0}, f"more than {MOST:,} seeds: what was measured lies at the bound itself"),
        ({}, "about "),
    ],
)
def test_what_it_would_take_is_said_in_words(changes, said):
    assert said in would_take(verdict(**changes), comparison(), 1)


def test_more_comparisons_a_second_look_and_a_smaller_difference_take_more_seeds():
    def count(changes: dict[str, float], comparisons: int = 1, alpha: float = 0.05) -> float:
        return seeds(verdict(**changes), comparison().claim, comparisons, alpha)

    assert count({}) < count({}, comparisons=8) < count({}, comparisons=8, alpha=0.025)
    assert count({}) < count({"estimate": 1.1})
    same = comparison(expect="same", margin=2.0).claim
    assert seeds(verdict(), same, 1, 0.05) < seeds(verdict(estimate=1.7), same, 1, 0.05)


@pytest.mark.parametrize("effect", [0.6, 0.9])
def test_with_so_many_seeds_a_study_finds_such_a_difference_as_often_as_is_said(effect):
    half = stats.t.ppf(0.975, 11) / math.sqrt(12)  # of the interval of 12 seeds with a standard deviation of 1
    found = verdict(estimate=effect, low=effect - half, high=effect + half)
    needed = int(seeds(found, comparison(scale="difference").claim, 1, 0.05))
    rng = np.random.default_rng(0)
    p = [stats.wilcoxon(rng.normal(effect, 1, needed)).pvalue for _ in range(400)]
    assert abs(np.mean(np.array(p) <= 0.05) - POWER) < 0.08
