"""Many tasks and many settings: cases by hand, and shares of variance planted in a grid."""

import numpy as np
import pandas as pd
import pytest

from analysis.statistics import aggregates
from analysis.statistics.aggregates import (
    anova,
    importance,
    importance_without,
    probability_of_improvement,
    replicated_shares,
)
from analysis.statistics.jackknife import jackknife, jackknife_p


def test_probability_of_improvement_by_hand():
    assert probability_of_improvement([[1.0], [2.0]], [[1.0], [0.0]]) == (0.5 + 1 + 1 + 1) / 4


def grid(seeds: int = 4) -> pd.DataFrame:
    """y = 3 a + b + a b over a, b in {-1, 1}, with noise of standard deviation .1."""
    rng = np.random.default_rng(1)
    rows = [(a, b, 3 * a + b + a * b + rng.normal(0, 0.1)) for a in (-1, 1) for b in (-1, 1) for _ in range(seeds)]
    return pd.DataFrame(rows, columns=["train.lr", "gate", "y"])


def test_planted_shares_of_a_balanced_grid():
    table = anova(grid(), "y", ["train.lr", "gate"])
    assert list(table.index) == ["train.lr", "gate", "train.lr × gate", "residual"]
    assert table["share"].tolist()[:3] == pytest.approx([9 / 11, 1 / 11, 1 / 11], abs=0.02)
    assert table["df"].tolist() == [1, 1, 1, 12]
    assert (table["p"].iloc[:3] < 1e-6).all()


def test_the_sums_of_squares_by_hand():
    frame = pd.DataFrame({"a": [0, 0, 1, 1], "y": [1.0, 3.0, 5.0, 7.0]})  # cell means 2 and 6: between 16, within 4
    table = anova(frame, "y", ["a"])
    assert table["share"].tolist() == pytest.approx([0.8, 0.2])
    assert table["F"].iloc[0] == pytest.approx(16 / 2)


def replicated(noise: float, seeds: int, block: float = 0.0) -> np.ndarray:
    """3 a + b + a b over a, b in {-1, 1}: shares 9, 1, 1 of 11 and of what the seeds add; shape (seeds, 2, 2)."""
    rng = np.random.default_rng(2)
    a, b = np.array([[-1.0], [1.0]]), np.array([[-1.0, 1.0]])
    alike = block * rng.normal(size=(seeds, 1, 1))  # what a seed adds to all cells
    return 3 * a + b + a * b + noise * rng.normal(size=(seeds, 2, 2)) + alike


@pytest.mark.parametrize(("noise", "block"), [(0.0, 0.0), (2.0, 0.0), (1.0, 2.0)])
def test_shares_over_a_replicated_grid_leave_the_seeds_theirs(noise, block):
    whole = 11 + noise**2 + block**2
    shares = replicated_shares(replicated(noise, 4000, block))
    assert shares == pytest.approx([9 / whole, 1 / whole, 1 / whole], abs=0.02)


def test_noise_is_no_interaction():
    rng = np.random.default_rng(0)
    found = [replicated_shares(rng.normal(size=(8, 4, 3)))[2] for _ in range(400)]
    assert np.mean(found) == pytest.approx(0, abs=0.005)
    plain = replicated(0.5, 6)
    rows = [(a, b, plain[seed, a, b]) for seed in range(6) for a in range(2) for b in range(2)]
    table = anova(pd.DataFrame(rows, columns=["a", "b", "y"]), "y", ["a", "b"])
    assert replicated_shares(plain) == pytest.approx(table["share"].tolist()[:3], abs=0.02)
    assert replicated_shares(np.ones((3, 2, 2))) == [0, 0, 0]


def test_an_unbalanced_grid_is_refused():
    with pytest.raises(ValueError, match="balanced"):
        anova(grid().iloc[1:], "y", ["train.lr", "gate"])


def searched(runs: int = 200) -> pd.DataFrame:
    """y = 3 lr + 3 lr H over [-1, 1]^3: the variance is 3 of lr alone, 1 of lr and H together, none of the noise."""
    frame = pd.DataFrame(np.random.default_rng(0).uniform(-1, 1, (runs, 3)), columns=["lr", "H", "noise"])
    return frame.assign(y=3 * frame["lr"] + 3 * frame["lr"] * frame["H"])


@pytest.mark.slow
def test_functional_anova_finds_planted_shares_beside_an_interaction(monkeypatch):
    monkeypatch.setattr(aggregates, "GROUPS", 5)  # a forest takes a second
    found = importance(searched(), "y", ["lr", "H", "noise"])
    assert found.decided
    assert found.shares == pytest.approx({"lr": 0.75, "H": 0, "noise": 0}, abs=0.06)
    without = importance_without(searched(), "y", ["lr", "H", "noise"])
    assert jackknife(found.shares["lr"], [part["lr"] for part in without]).low > 0.5
    assert jackknife_p(found.shares["lr"], [part["lr"] for part in without], 0.5, "greater") < 0.01


def test_importance_is_undecided_where_runs_are_few_or_noise():
    assert not importance(searched(100), "y", ["lr", "H"]).decided
    noise = searched().assign(y=np.random.default_rng(1).normal(size=200))
    assert not importance(noise, "y", ["lr", "H"]).decided
