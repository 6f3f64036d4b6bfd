"""Constructed studies: what a careful reviewer would let a study say, and what not.

Each is a frame of runs with what was frozen: arms that diverge, that never solve, that stay at chance; a claim; the
verdict. The p of the tests are counted anew over all sign flips.
"""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from analysis.claims import measures
from analysis.claims.claim import Claim, on_one_scale
from analysis.claims.claimed_runs import about_steps, with_claims
from analysis.claims.effects import against_baseline
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.claims.verdicts import Verdict, judge
from analysis.records.load import Records
from analysis.statistics.outcomes import Outcomes
from analysis.statistics.signed_rank import equivalence_p, outside_p, paired_difference, pseudomedian, signed_rank_p

INF = math.inf
SEEDS, BUDGET, CHANCE = 12, 1000, 0.2
NOISE = np.random.default_rng(3).normal(0, 0.1, (4, 24))  # of logs; a row per cell, a column per seed
DIVERGED = np.nan  # in a list of scores or steps


def cell(values: Any, task: str = "a", arm: str = "arm", metric: str = "loss", **known: Any) -> pd.DataFrame:
    """The runs of an arm on a task, one per value: its loss, its score, or its steps to solve, inf if it never did."""
    x = np.asarray(values, dtype=float)
    diverged = np.isnan(x)
    solved = np.isfinite(x) if metric == "steps" else np.zeros(len(x), dtype=bool)
    direction = known.pop("direction", "min")
    worst = INF if direction == "min" else -INF
    scores = np.full(len(x), CHANCE / 100) if metric == "steps" else x
    columns = {"study": "s", "task": task, "name": arm, "arm": f"{task}/{arm}", "phase": "confirm", "data_digest": "d"}
    columns |= {"seed": range(len(x)), "status": np.where(diverged, "diverged", "finished")}
    columns |= {
        "score": np.where(diverged, worst, scores),
        "solved": solved,
        "variant": "lstm" if arm == "base" else arm,
    }
    columns |= {"results.steps_to_solve": np.where(solved, x, np.nan), measures.BUDGET: BUDGET}
    columns |= {measures.LOSS: np.where(diverged, np.nan, scores), "task.chance": known.pop("chance", CHANCE)}
    columns |= {"task.direction": direction, "task.metric": "mse" if direction == "min" else "accuracy", **known}
    return pd.DataFrame(columns)


def decided(cells: list[pd.DataFrame], *claims: dict[str, Any], **design: Any) -> list[Verdict]:
    """The verdicts on claims about arm and base, or whatever they say, from the runs of some cells."""
    runs = pd.concat(cells, ignore_index=True)
    keys = runs[["task", "name", "arm"]].drop_duplicates().itertuples(index=False)
    parts = [{"task": task, "arm": name, "identity": identity, "unit": "MSE"} for task, name, identity in keys]
    usual = {"sentence": "s", "source": "p", "metric": "loss", "baseline": "base", "arms": ["arm"]}
    tasks: dict[str, list[str]] = {part["task"]: [] for part in parts}
    frozen = {"study": "s", "tasks": tasks, "cells": parts, "claims": [{**usual, **claim} for claim in claims]}
    return judge(Records(runs, pd.DataFrame(), []), {**frozen, "seeds": sorted(set(runs["seed"])), **design})


def losses(factor: float = 1.0, row: int = 0, seeds: int = SEEDS, of: float = 0.02) -> np.ndarray:
    return of * factor * np.exp(NOISE[row, :seeds])


def some(values: np.ndarray, count: int, others: float = DIVERGED) -> np.ndarray:
    """The values, the first `count` of them diverged, or censored."""
    return np.where(np.arange(len(values)) < count, others, values)


def flipped(x: np.ndarray) -> float:
    """The p that x is centred at 0 or below, counted over every sign flip; infinite ones share the largest rank."""
    ranks = rankdata(np.abs(x)) * (x != 0)
    flips = np.array(list(itertools.product([0, 1], repeat=len(x)))) @ ranks
    return float(np.mean(flips >= ranks[x > 0].sum() - 1e-9))


# Diverged


@pytest.mark.parametrize("metric", ["loss", "score", "steps"])
def test_an_arm_that_always_diverges_is_infinitely_worse_and_not_the_same(metric):
    values = (200 * np.exp(NOISE[:2, :SEEDS])).round() if metric == "steps" else np.stack([losses(), losses(row=1)])
    cells = [cell(values[0], arm="base", metric=metric), cell(some(values[1], SEEDS), metric=metric)]
    higher, lower = decided(cells, {"metric": metric, "expect": "higher"}, {"metric": metric, "expect": "lower"})
    assert (higher.verdict, higher.size, higher.estimate) == ("reproduced", "infinite", INF)
    assert lower.verdict == "refuted"
    assert higher.p_adjusted == pytest.approx(2 * 2 / 2**SEEDS)
    (same,) = decided(cells, {"metric": metric, "expect": "same", "margin": 10.0})
    assert same.verdict == "refuted"
    assert (same.low, same.high) == (INF, INF)


def test_an_accuracy_that_diverged_is_worse_than_any_other():
    accuracy = 0.9 + 0.02 * NOISE[:2, :SEEDS]
    cells = [cell(accuracy[0], arm="base", direction="max"), cell(some(accuracy[1], SEEDS), direction="max")]
    said = {"metric": "score", "scale": "difference"}
    lower, same = decided(cells, {**said, "expect": "lower"}, {**said, "expect": "same"})
    assert (lower.verdict, lower.size, same.verdict) == ("reproduced", "-infinite", "refuted")


@pytest.mark.parametrize(
    ("diverged", "word"), [(0, "reproduced"), (1, "reproduced"), (3, "undecided"), (6, "undecided")]
)
def test_the_same_but_for_some_that_diverged(diverged, word):
    cells = [cell(losses(), arm="base"), cell(some(losses(row=1), diverged))]
    (same,) = decided(cells, {"expect": "same", "margin": 4.0, "reason": "r"})
    assert same.verdict == word
    d = np.where(np.arange(SEEDS) < diverged, INF, NOISE[1, :SEEDS] - NOISE[0, :SEEDS])
    inside, outside = max(flipped(d + math.log(4)), flipped(math.log(4) - d)), 2 * flipped(d - math.log(4))
    assert same.p_adjusted == pytest.approx(min(inside, outside))
    if diverged == 3:
        assert same.p_adjusted == pytest.approx(0.33, abs=0.02)
        assert "arm: 3 of 12 diverged" in same.note


@pytest.mark.parametrize("expect", ["higher", "lower", "same"])
@pytest.mark.parametrize("metric", ["loss", "score", "steps"])
def test_two_arms_that_always_diverge_tell_nothing(metric, expect):
    cells = [cell([DIVERGED] * SEEDS, arm=arm, metric=metric) for arm in ("base", "arm")]
    (verdict,) = decided(cells, {"metric": metric, "expect": expect})
    assert (verdict.verdict, verdict.size) == ("undecided", "no information")
    assert math.isnan(verdict.estimate)
    assert (
        "could not have seen a difference" in verdict.reason or "12 of 12 pairs carry no information" in verdict.reason
    )


def test_pairs_that_both_diverged_count_against_whatever_is_claimed():
    words = []
    for both in range(4):
        cells = [cell(some(losses(), both), arm="base"), cell(some(losses(3, row=1), both))]
        higher, same = decided(cells, {"expect": "higher"}, {"expect": "same", "margin": 100.0, "reason": "r"})
        assert higher.verdict != "reproduced"  # on the scale of the same, 3 is not higher
        assert decided(cells, {"expect": "lower"})[0].verdict != "reproduced"
        words.append((decided(cells, {"expect": "higher"})[0].verdict, same.verdict))
    assert words == [("reproduced", "reproduced")] * 2 + [("undecided", "undecided")] * 2


def test_an_interaction_of_what_diverged_on_both_tasks_is_no_information():
    for diverged, word in ((11, "undecided"), (3, "undecided"), (0, "reproduced")):
        cells = [cell(losses(), "a", "base"), cell(some(losses(8, 1), diverged), "a")]
        cells += [cell(losses(1, 2), "b", "base"), cell(some(losses(2, 3), diverged), "b")]
        (verdict,) = decided(cells, {"expect": "higher", "tasks": ["a"], "against": "b"})
        assert verdict.verdict == word
        assert ("no information" in verdict.reason) == (word == "undecided")
    cells[1], cells[3] = cell([DIVERGED] * SEEDS, "a"), cell(losses(2, 3), "b")  # on one task only: that is information
    (verdict,) = decided(cells, {"expect": "higher", "tasks": ["a"], "against": "b"})
    assert (verdict.verdict, verdict.size) == ("reproduced", "infinite")
    assert "arm: 12 of 12 diverged" in verdict.note


# At chance, never solved


@pytest.mark.parametrize("chance", ["both", "arm", "base"])
def test_arms_at_chance_cannot_be_shown_to_be_the_same(chance):
    at_chance = {name: CHANCE * np.exp(0.1 * NOISE[place, :SEEDS]) for place, name in enumerate(("base", "arm"))}
    cells = [
        cell(at_chance[name] if chance in (name, "both") else losses(of=0.15), arm=name) for name in ("base", "arm")
    ]
    (verdict,) = decided(cells, {"expect": "same", "margin": 4.0, "reason": "r"})
    assert verdict.verdict == "undecided"
    assert verdict.reason.startswith("the study could not have seen a difference")
    assert math.isnan(verdict.supports)


@pytest.mark.parametrize("expect", ["same", "higher", "lower"])
def test_arms_that_never_solve_tell_nothing_in_steps(expect):
    cells = [cell([INF] * SEEDS, arm=arm, metric="steps") for arm in ("base", "arm")]
    (verdict,) = decided(cells, {"metric": "steps", "expect": expect})
    assert (verdict.verdict, verdict.size) == ("undecided", "no information")


@pytest.mark.parametrize(
    ("solved", "word"), [(12, "reproduced"), (11, "reproduced"), (9, "undecided"), (8, "undecided")]
)
def test_the_same_in_steps_needs_seeds_that_solve(solved, word):
    steps = 200 * np.exp(0.5 * NOISE[:2, :SEEDS])
    cells = [
        cell(some(steps[place], SEEDS - solved, INF), arm=name, metric="steps")
        for place, name in enumerate(("base", "arm"))
    ]
    (verdict,) = decided(cells, {"metric": "steps", "expect": "same"})
    assert verdict.verdict == word
    assert ("could not have seen" in verdict.reason) == (solved < 9)
    assert ("3 of 12 pairs carry no information" in verdict.reason) == (solved == 9)


def test_without_a_chance_line_only_solving_shows_that_an_arm_can_do_the_task():
    for solved, word in ((False, "undecided"), (True, "reproduced")):
        cells = [cell(losses(row=place), arm=name, chance=math.nan) for place, name in enumerate(("base", "arm"))]
        (verdict,) = decided([one.assign(solved=solved) for one in cells], {"expect": "same"})
        assert verdict.verdict == word


def test_the_loss_of_a_task_has_a_chance_line_of_its_own():
    known = {"direction": "max", "chance": 0.1, measures.CHANCE_LOSS: 0.03}
    cells = [cell(0.9 + 0 * NOISE[0, :SEEDS], arm=name, **known) for name in ("base", "arm")]
    for loss, word in ((0.01, "reproduced"), (0.03, "undecided")):
        (verdict,) = decided([one.assign(**{measures.LOSS: loss}) for one in cells], {"expect": "same"})
        assert verdict.verdict == word


# Censored


def saving(there: float, elsewhere: float, censored: bool) -> list[pd.DataFrame]:
    """Steps of base and arm on two tasks: what the arm saves; on the first the base would need four budgets."""
    base = 4.0 * BUDGET if censored else 0.9 * BUDGET
    truth = {"a": (base, base / there), "b": (500.0, 500.0 / elsewhere)}
    steps = {(task, arm): pair[place] for task, pair in truth.items() for place, arm in enumerate(("base", "arm"))}
    return [
        cell(np.where(x > BUDGET, INF, x), task, arm, "steps")
        for row, ((task, arm), steps_there) in enumerate(steps.items())
        for x in [steps_there * np.exp(0.3 * NOISE[row, :SEEDS])]
    ]


def test_a_saving_that_the_budget_hides_is_not_refuted():
    claim = {"metric": "steps", "expect": "lower", "tasks": ["a"], "against": "b"}
    (verdict,) = decided(saving(8, 2.5, censored=True), claim)
    assert verdict.verdict == "undecided"
    assert "12 of 12 pairs are known as a bound only" in verdict.reason
    assert verdict.size.startswith("at most 1.")
    assert decided(saving(8, 2.5, censored=False), claim)[0].verdict == "reproduced"
    assert decided(saving(40, 2.5, censored=True), claim)[0].verdict == "reproduced"  # even at the budget it saves more
    assert decided(saving(2.5, 8, censored=False), claim)[0].verdict == "refuted"


def test_steps_that_are_a_bound_read_as_one():
    cells = [cell(250 * np.exp(NOISE[0, :SEEDS]), arm="base", metric="steps"), cell([INF] * SEEDS, metric="steps")]
    higher, wide = (
        decided(cells, {"metric": "steps", "expect": "higher", "margin": margin})[0] for margin in (2.0, 8.0)
    )
    assert (higher.verdict, wide.verdict) == ("reproduced", "undecided")
    assert higher.size == f"at least {higher.estimate:.3g}"
    assert 3.5 < higher.estimate < 4.5
    assert higher.high == INF
    (lower,) = decided(cells, {"metric": "steps", "expect": "lower", "baseline": "arm", "arms": ["base"]})
    assert (lower.verdict, lower.low) == ("reproduced", 0)
    assert lower.size == f"at most {lower.estimate:.3g}"


def test_what_is_said_of_bounds_holds_at_both_ends():
    rng = np.random.default_rng(0)
    for _ in range(40):
        low = rng.normal(0.3, 1, 8)
        d = Outcomes(low, low + rng.choice([0, 0.5, INF], 8, p=[0.6, 0.2, 0.2]))
        inside = [
            np.where(np.isinf(d.high), low + rng.exponential(5, 8), low + rng.uniform(size=8) * (d.high - low))
            for _ in range(5)
        ]
        for bound, side in itertools.product((0.0, 0.25), ("less", "greater")):
            worst = signed_rank_p(d, bound, side)
            sign = 1 if side == "greater" else -1
            assert worst >= max(flipped(sign * (end - bound)) for end in (d.low, d.high)) - 1e-12
            assert all(signed_rank_p(x, bound, side) <= worst + 1e-12 for x in inside)
        assert all(equivalence_p(x, 2) <= equivalence_p(d, 2) + 1e-12 for x in inside)
        assert all(outside_p(x, 0.1) <= outside_p(d, 0.1) + 1e-12 for x in inside)
        least, most = pseudomedian(d)
        interval = paired_difference(d)
        for x in inside:
            assert least <= paired_difference(x).value <= most
            assert interval.low <= paired_difference(x).low <= paired_difference(x).high <= interval.high


# One scale of effects


def test_a_difference_is_not_both_the_same_and_higher():
    cells = [cell(losses(), arm="base"), cell(losses(2.5, 1))]
    wide = {"expect": "same", "margin": 4.0, "reason": "r"}
    assert [one.verdict for one in decided(cells, wide, {"expect": "higher"})] == ["reproduced", "refuted"]
    assert [one.verdict for one in decided(cells, {"expect": "same"}, {"expect": "higher"})] == [
        "refuted",
        "reproduced",
    ]
    same, score, steps = decided(
        cells, wide, {"expect": "higher", "metric": "score"}, {"expect": "higher", "arms": ["base"], "baseline": "arm"}
    )
    assert (same.verdict, score.verdict, steps.verdict) == ("reproduced", "refuted", "refuted")
    assert "higher counts from a factor of 4 on" in score.note


def test_the_scale_of_a_study_is_that_of_its_same():
    made = [
        Claim(expect=expect, metric=metric, margin=margin)
        for expect, metric, margin in [
            ("same", "loss", None),
            ("higher", "loss", None),
            ("lower", "score", 3.0),
            ("lower", "steps", None),
            ("higher", "loss", 1.2),
        ]
    ]
    assert [claim.size for claim in on_one_scale(made)] == [2, 2, 3, 1, 2]


def test_same_prints_the_smallest_margin_that_the_runs_support():
    for shift, word in ((1.0, "reproduced"), (1.7, "reproduced"), (2.5, "refuted")):
        cells = [cell(losses(), arm="base"), cell(losses(shift, 1))]
        (same,) = decided(cells, {"expect": "same"})
        d = np.log(shift) + NOISE[1, :SEEDS] - NOISE[0, :SEEDS]
        assert same.verdict == word
        assert (
            equivalence_p(d, math.log(same.supports) + 1e-6) <= 0.05 < equivalence_p(d, math.log(same.supports) - 1e-6)
        )
        assert (same.supports <= 2) == (word == "reproduced")
        assert f"smallest margin that the runs support: a factor of {same.supports:.2f}"[:-1] in same.note
        assert "of the pseudomedian" in same.note


def test_a_ratio_of_accuracies_is_no_scale():
    cells = [cell(np.full(SEEDS, level), arm=arm, direction="max") for arm, level in (("base", 0.95), ("arm", 0.51))]
    (verdict,) = decided(cells, {"metric": "score", "expect": "same"})
    assert (verdict.verdict, verdict.note) == (
        "not run",
        "a ratio of accuracy, of which more is better, is no scale: scale=difference",
    )
    (verdict,) = decided(cells, {"metric": "score", "expect": "same", "scale": "difference"})
    assert verdict.verdict == "refuted"


def test_small_numbers_are_values_too():
    for scale, sizes in (("ratio", (1e-20, 3e-20)), ("difference", (1e-14, 3e-14))):
        cells = [
            cell(losses(), arm=arm).assign(**{measures.MEMORY: size * np.exp(NOISE[place, :SEEDS])})
            for place, (arm, size) in enumerate(zip(("base", "arm"), sizes, strict=True))
        ]
        (verdict,) = decided(cells, {"metric": "memory", "scale": scale, "expect": "higher"})
        assert verdict.verdict == "reproduced"


# The heat map


def mapped(cells: list[pd.DataFrame], **columns: Any) -> pd.Series:
    (row,) = against_baseline(pd.concat(cells, ignore_index=True).assign(**columns)).to_dict("records")
    return pd.Series(row)


def stated(least: float, margin: float) -> dict[str, Any]:
    """What a claim about the loss of arm and base says of each of the 24 runs."""
    scale = {"claim.metric": "loss", "claim.scale": "ratio", "claim.least": least, "claim.margin": margin}
    return {**scale, "claim.opponents": [frozenset({"a/base", "a/arm"})] * 2 * SEEDS}


def test_the_heat_map_has_the_direction_of_the_estimate():
    d = np.concatenate([np.full(12, 0.02), np.full(12, -math.log(10))]) + 0.1 * NOISE[0] * np.repeat([0.1, 1], 12)
    row = mapped([cell(np.full(24, 0.02), arm="base"), cell(0.02 * np.exp(d))])
    assert (row["better"], row["worse"], row["verdict"]) == (12, 12, "better")
    assert row["effect"] == pytest.approx(0.31, abs=0.03)


def test_the_heat_map_is_on_the_scale_of_the_claims():
    cells = [cell(losses(), arm="base"), cell(losses(2.5, 1))]
    assert mapped(cells)["verdict"] == "worse"
    row = mapped(cells, **stated(4.0, 4.0))
    assert (row["verdict"], row["metric"], row["margin"], row["claimed"]) == ("same", "loss", 4, True)


def test_the_heat_map_of_runs_that_diverged():
    row = mapped([cell(losses(), arm="base"), cell([DIVERGED] * SEEDS)])
    assert (row["verdict"], row["size"], row["worse"]) == ("worse", "infinite", SEEDS)
    row = mapped([cell([DIVERGED] * SEEDS, arm=arm) for arm in ("base", "arm")])
    assert (row["verdict"], row["size"]) == ("undecided", "no information")


# Shares of variance


def grid(interaction: float, noise: float, lost: int = 0, seeds: int = SEEDS, **known: Any) -> list[pd.DataFrame]:
    """A 6 x 4 x 2 grid of log losses: one main effect, an interaction and noise, as shares of the variance; the runs of
    the last `lost` levels of the first factor diverged."""
    rng = np.random.default_rng(5)
    a, b = np.linspace(-1, 1, 6)[:, None, None], np.linspace(-1, 1, 4)[None, :, None]
    one, two = (x / x.std() for x in (a + 0 * b + np.zeros((6, 4, 2)), a * b + np.zeros((6, 4, 2))))
    truth = math.sqrt(1 - interaction - noise) * one + math.sqrt(interaction) * two
    logs = truth[None] + math.sqrt(noise) * rng.normal(size=(seeds, 6, 4, 2))
    logs[:, 6 - lost :] = np.nan
    return [cell(0.001 * np.exp(logs[(slice(None), *at)]), arm=str(at), **known) for at in np.ndindex(6, 4, 2)]


FACTORS = {"factors": {"f": list(range(6)), "g": list(range(4)), "h": [0, 1]}}


def share(knob: str, expect: str, margin: float) -> dict[str, Any]:
    return {"metric": "share", "scale": "difference", "knob": knob, "expect": expect, "margin": margin, "arms": []}


@pytest.mark.parametrize(
    ("interaction", "noise", "word"),
    [(0.0, 0.3, "reproduced"), (0.0, 0.6, "reproduced"), (0.1, 0.3, "reproduced"), (0.4, 0.3, "refuted")],
)
def test_what_differs_between_seeds_is_no_interaction(interaction, noise, word):
    (verdict,) = decided(grid(interaction, noise), share("interactions", "lower", 0.2), **FACTORS)
    assert verdict.verdict == word
    assert verdict.estimate == pytest.approx(interaction, abs=0.04)
    assert f"left to the seeds: {noise:.1f}"[:-1] in verdict.note


@pytest.mark.parametrize("chance", [CHANCE, math.nan])
def test_shares_of_a_grid_some_of_whose_runs_diverged_hold_at_both_ends(chance):
    claims = share("f", "higher", 0.5), share("interactions", "lower", 0.2), share("g", "higher", 0.5)
    verdicts = decided(grid(0.0, 0.1, lost=1, chance=chance), *claims, **FACTORS)
    assert [one.verdict for one in verdicts] == ["reproduced", "reproduced", "refuted"]
    assert "96 of 576 diverged" in verdicts[0].note
    cells = grid(0.0, 0.1, chance=chance)
    cells[0] = cell([DIVERGED] * SEEDS, arm=str((0, 0, 0)), chance=chance)  # one corner: an interaction if it counts
    (verdict,) = decided(cells, share("interactions", "lower", 0.2), **FACTORS)
    assert (verdict.verdict, verdict.reason) == ("undecided", "it depends on what the diverged runs count as")
    everything = [cell([DIVERGED] * SEEDS, arm=str(at), chance=chance) for at in np.ndindex(6, 4, 2)]
    (verdict,) = decided(everything, share("interactions", "lower", 0.2), **FACTORS)
    assert verdict.verdict == "undecided"


def test_a_grid_at_chance_shows_no_shares():
    cells = [one.assign(**{"task.chance": 1e-9}) for one in grid(0.0, 0.3)]
    (verdict,) = decided(cells, share("interactions", "lower", 0.2), **FACTORS)
    assert (verdict.verdict, verdict.reason) == ("undecided", "no run beat chance")


# What a reader has to know


def test_cautions_and_edges_of_the_other_task_are_told():
    cells = [cell(losses(), "a", "base"), cell(losses(8, 1), "a"), cell(losses(1, 2), "b", "base")]
    cells.append(cell(some(losses(2, 3), 1), "b"))
    (verdict,) = decided(cells, {"expect": "higher", "tasks": ["a"], "against": "b"})
    assert "arm, b: 1 of 12 diverged" in verdict.note


def test_solve_rates_have_an_interval_even_where_no_seed_differs():
    cells = [cell([100.0] * SEEDS, arm=arm, metric="steps") for arm in ("base", "arm")]
    (verdict,) = decided(cells, {"metric": "solved", "scale": "difference", "expect": "higher"})
    assert (verdict.verdict, verdict.estimate) == ("undecided", 0)
    assert verdict.low < -0.2 < 0.2 < verdict.high


def test_equal_losses_are_equal_whatever_their_size():
    for size in (1e-20, 0.02, 1.0, 50.0):
        levels = {"base": size, "arm": size * (1 + 3e-16)}
        cells = [cell(np.full(SEEDS, level), arm=arm, chance=1000.0) for arm, level in levels.items()]
        higher, same = decided(cells, {"expect": "higher"}, {"expect": "same"})
        assert (higher.estimate, same.verdict, same.supports) == (1, "reproduced", 1)
        assert decided(cells, {"expect": "higher"})[0].verdict == "undecided"


def test_scores_that_are_all_equal_support_any_margin():
    cells = [cell(np.ones(SEEDS), arm=arm, direction="max") for arm in ("base", "arm")]
    (same,) = decided(cells, {"metric": "score", "scale": "difference", "expect": "same"})
    assert (same.verdict, same.supports) == ("reproduced", 0)
    assert "smallest margin that the runs support: 0, of the pseudomedian" in same.note


def test_a_smallest_margin_is_as_small_as_what_was_measured():
    cells = [
        cell(losses(), arm=arm).assign(**{measures.MEMORY: 1e-15 * np.exp(NOISE[place, :SEEDS])})
        for place, arm in enumerate(("base", "arm"))
    ]
    claim = {"metric": "memory", "scale": "difference", "expect": "same", "margin": 1e-14, "reason": "r"}
    (same,) = decided(cells, claim)
    assert same.verdict == "reproduced"
    assert 0 < same.supports < 1e-15


def test_a_bound_of_zero_steps_is_one():
    solved_last = [float(BUDGET)] * SEEDS
    for arms, size in ((("base", "arm"), "at least 0"), (("arm", "base"), "at most 0")):
        cells = [cell(solved_last, arm=arms[0], metric="steps"), cell([INF] * SEEDS, arm=arms[1], metric="steps")]
        (verdict,) = decided(cells, {"metric": "steps", "scale": "difference", "expect": "higher"})
        assert (verdict.verdict, verdict.size, verdict.estimate) == ("undecided", size, 0)


def test_the_heat_map_does_not_call_the_same_what_a_claim_calls_higher():
    cells = [cell(losses(), arm="base"), cell(losses(1.4, 1))]
    assert decided(cells, {"expect": "higher"})[0].verdict == "reproduced"
    assert mapped(cells, **stated(1.0, 2.0))["verdict"] == "worse"


@pytest.mark.parametrize(
    ("plain", "claimed"),
    [([], set()), ([{"expect": "same"}], {"arm"}), ([{"expect": "same", "arms": ["other"]}], {"other"})],
)
@pytest.mark.parametrize("baseline", ["base", "third"])
def test_the_heat_map_tells_claimed_differences_from_others(plain, claimed, baseline):
    names = {"base": 1.0, "arm": 1.4, "other": 1.4, "third": 1.4}
    places = [(task, arm, factor) for task in "ab" for arm, factor in names.items()]
    runs = pd.concat([cell(losses(factor, row % 4), task, arm) for row, (task, arm, factor) in enumerate(places)])
    parts = [{"task": task, "arm": arm, "identity": f"{task}/{arm}", "unit": "MSE"} for task, arm, _ in places]
    usual = {"sentence": "s", "source": "p", "metric": "loss", "baseline": baseline, "arms": ["arm"]}
    change = {"expect": "same", "tasks": ["a"], "against": "b", "margin": 1.1}  # of an interaction: of no cell
    said = [{**usual, **claim} for claim in (change, *plain)]
    frozen = {"study": "s", "tasks": {"a": [], "b": []}, "cells": parts, "claims": said, "seeds": list(range(SEEDS))}
    rows = against_baseline(with_claims(runs.reset_index(drop=True), [FrozenStudy.model_validate(frozen)]))
    assert set(rows["margin"]) == {2.0}
    assert set(rows["name"][rows["claimed"]]) == (claimed if baseline == "base" else set())


@pytest.mark.parametrize(
    ("metric", "against", "about"),
    [("steps", None, {"a": True, "b": False}), ("steps", "b", {"a": True, "b": True}), ("loss", None, {})],
)
def test_the_task_of_a_claim_in_steps_is_about_steps(metric, against, about):
    """Also of a claim that is not the first about its arm."""
    runs = pd.concat([cell(losses(), task, arm) for task in "ab" for arm in ("base", "arm")], ignore_index=True)
    parts = [
        {"task": task, "arm": arm, "identity": f"{task}/{arm}", "unit": "MSE"}
        for task in "ab"
        for arm in ("base", "arm")
    ]
    usual = {"sentence": "s", "source": "p", "baseline": "base", "arms": ["arm"], "expect": "lower"}
    stated = [{**usual, "metric": "loss"}, {**usual, "metric": metric, "tasks": ["a"], "against": against}]
    frozen = {"study": "s", "tasks": {"a": [], "b": []}, "cells": parts, "claims": stated, "seeds": list(range(SEEDS))}
    marked = with_claims(runs, [FrozenStudy.model_validate(frozen)])
    assert {task: about_steps(panel) for task, panel in marked.groupby("task")} == {"a": False, "b": False, **about}
    assert not any(about_steps(panel) for _, panel in with_claims(runs, []).groupby("task"))


def test_a_margin_that_the_runs_just_miss_is_not_printed_as_supported():
    accuracy = np.full(SEEDS, 0.5)
    cells = [cell(values, arm=arm, direction="max") for arm, values in (("base", accuracy), ("arm", accuracy + 0.02))]
    (same,) = decided(cells, {"metric": "score", "scale": "difference", "expect": "same"})
    assert same.verdict == "undecided"  # at the margin is not inside
    assert "smallest margin that the runs support: 0.0201, of the pseudomedian" in same.note
