"""Verdicts on planted differences: each word for each kind of claim, and what keeps a comparison from being run."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_studies import SEEDS, SMALL, made, put

from analysis.claims import verdicts as claims
from analysis.claims.verdicts import judge, overall
from analysis.records.load import load
from analysis.statistics import aggregates


def study(folder: Path, factor: float, **claim: Any) -> tuple[Any, dict[str, Any]]:
    """Records of lstm and gru on adding, gru's loss about `factor` times lstm's, and what was frozen."""
    return made(folder, {"lstm": [0.01] * 8, "gru": [0.01 * factor * small for small in SMALL[:8]]}, **claim)


@pytest.mark.parametrize(
    ("factor", "claim", "word"),
    [
        (2.0, {"expect": "higher"}, "reproduced"),
        (2.0, {"expect": "lower"}, "refuted"),
        (1.0, {"expect": "higher"}, "undecided"),
        (0.5, {"expect": "lower"}, "reproduced"),
        (4.0, {"expect": "higher", "margin": 2.0}, "reproduced"),
        (2.0, {"expect": "higher", "margin": 4.0}, "refuted"),
        (0.25, {"expect": "lower", "margin": 2.0}, "reproduced"),
        (0.8, {"expect": "lower", "margin": 2.0}, "refuted"),
        (1.0, {"expect": "same"}, "reproduced"),
        (4.0, {"expect": "same"}, "refuted"),
        (2.0, {"expect": "same"}, "undecided"),
        (2.0, {"expect": "higher", "scale": "difference"}, "reproduced"),
        (2.0, {"expect": "same", "scale": "difference"}, "reproduced"),
    ],
)
def test_the_word_for_a_planted_difference(tmp_path, factor, claim, word):
    (verdict,) = judge(*study(tmp_path / "s", factor, **claim))
    assert verdict.verdict == word
    assert verdict.comparison == "gru vs lstm, adding"


def test_the_estimate_is_the_ratio_with_its_paired_interval(tmp_path):
    (verdict,) = judge(*study(tmp_path / "s", 2.0))
    assert verdict.unit == "ratio of MSE"
    assert 1.7 < verdict.low < verdict.estimate < verdict.high < 2.3
    assert verdict.p_adjusted == 2 / 2**8


def test_the_difference_keeps_the_unit(tmp_path):
    (verdict,) = judge(*study(tmp_path / "s", 2.0, scale="difference"))
    assert verdict.unit == "difference in MSE"
    assert verdict.estimate == pytest.approx(0.01, rel=0.05)


def test_solve_rates_and_steps(tmp_path):
    scores = {"lstm": [0.001] * 8, "gru": [0.02] * 8}
    (solved,) = judge(*made(tmp_path / "a", scores, metric="solved", scale="difference", expect="lower"))
    assert (solved.verdict, solved.estimate, solved.p_adjusted) == ("reproduced", -1, 2 / 2**8)
    (steps,) = judge(*made(tmp_path / "b", scores, metric="steps"))
    assert (steps.verdict, steps.estimate, steps.unit) == ("reproduced", pytest.approx(3), "ratio of steps to solve")
    assert steps.note == "gru: 8 of 8 unsolved at 300 steps, so its steps are a lower bound"


def test_holm_goes_over_every_comparison_of_the_study(tmp_path):
    scores = {"lstm": [0.01] * 8, "gru": [0.02 * s for s in SMALL[:8]], "mgu": [0.03 * s for s in SMALL[:8]]}
    verdicts = judge(*made(tmp_path / "s", scores, arms=["gru", "mgu"]))
    assert [verdict.p_adjusted for verdict in verdicts] == [4 / 2**8, 4 / 2**8]
    assert overall(verdicts) == "reproduced"


def test_a_diverged_run_counts_at_chance_and_is_noted(tmp_path):
    _, frozen = study(tmp_path / "s", 2.0)
    put(tmp_path / "s", "gru", seed=0, status="diverged", results__score=None)
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert verdict.note == "gru: 1 of 8 diverged"
    assert verdict.verdict == "reproduced"


def test_a_missing_run_or_unpaired_data_is_not_run(tmp_path):
    records, frozen = study(tmp_path / "s", 2.0)
    (verdict,) = judge(records, {**frozen, "seeds": list(range(9))})
    assert (verdict.verdict, verdict.note) == ("not run", "gru, adding: 8 of 9 confirmation runs")
    assert math.isnan(verdict.estimate)
    assert overall([verdict]) == overall([]) == "not run"
    put(tmp_path / "s", "gru", seed=3, data_digest="other")
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert verdict.note == "the runs of seed 3 did not see the same data"


def test_tuning_runs_and_other_studies_do_not_count(tmp_path):
    records, frozen = study(tmp_path / "s", 2.0)
    (verdict,) = judge(records, {**frozen, "study": "other"})
    assert verdict.verdict == "not run"
    records.runs["phase"] = "tune"
    assert judge(records, frozen)[0].verdict == "not run"


def test_a_declared_extension_looks_twice_at_half_the_alpha(tmp_path):
    scores = {"lstm": [0.01] * 16, "gru": [0.01 * 1.07 * small for small in SMALL]}
    records, frozen = made(tmp_path / "s", scores)
    (first,) = judge(records, {**frozen, "extension": list(range(16, 24))})
    assert first.verdict == "undecided"
    longer = {"lstm": [0.01] * 16, "gru": [0.01 * small for small in SMALL[:8]] + [0.04 * small for small in SMALL[:8]]}
    records, frozen = made(tmp_path / "t", longer)
    (second,) = judge(records, {**frozen, "extension": list(range(8, 16))})
    assert second.verdict == "reproduced"
    assert (len(first.seeds), len(second.seeds)) == (8, 16)
    assert 0.001 < second.p_adjusted <= 0.025


def test_the_edge_of_the_grid_is_marked(tmp_path):
    records, frozen = study(tmp_path / "s", 2.0)
    frozen["cells"][1] |= {"edge": ["train.lr"], "chosen": {"train.lr": 0.03}}
    assert judge(records, frozen)[0].note == "gru: tuned to the edge of the grid (train.lr=0.03)"


def test_an_interaction_is_the_change_of_the_difference_between_tasks(tmp_path):
    _, frozen = study(tmp_path / "s", 4.0, against="digits")
    frozen = copy.deepcopy(frozen) | {"tasks": {"adding": [], "digits": []}}
    for variant, factor in (("lstm", 1.0), ("gru", 2.0)):
        for seed in SEEDS:
            arm = put(tmp_path / "s", variant, "digits", seed, results__score=0.1 * factor, task__direction="min")
        cell = {"task": "digits", "arm": variant, "identity": arm, "unit": "share", "edge": [], "chosen": {}}
        frozen["cells"].append(cell)
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert verdict.verdict == "reproduced"
    assert verdict.estimate == pytest.approx(2, rel=0.1)
    assert verdict.comparison == "gru vs lstm, adding against digits"


@pytest.mark.slow
def test_shares_of_a_random_search_are_judged_by_functional_anova(tmp_path, monkeypatch):
    monkeypatch.setattr(aggregates, "TREES", 12)  # of each of eleven forests
    rng, cells = np.random.default_rng(0), []
    for seed, (lr, momentum) in enumerate(rng.uniform(size=(200, 2))):
        settings = {"train__lr": float(10 ** (3 * lr - 3)), "train__momentum": float(momentum)}
        arm = put(tmp_path / "s", "lstm", seed=seed, results__score=float(np.exp(-5 * lr - momentum)), **settings)
        cells.append({"task": "adding", "arm": f"draw {seed}", "identity": arm, "unit": "MSE", "edge": []})
    search = {"train.lr": {"log": True}, "train.momentum": {"log": False}}  # shares 25/26, 1/26
    asked = [("train.lr", "higher", 0.5), ("train.lr", "lower", 0.5), ("train.momentum", "lower", 0.2)]
    same = {"sentence": "s", "source": "p", "metric": "share", "scale": "difference"}
    claims = [{**same, "knob": knob, "expect": expect, "margin": margin} for knob, expect, margin in asked]
    frozen = {"schema": 1, "study": "s", "claims": claims, "tasks": {"adding": []}, "cells": cells, "factors": {}}
    frozen |= {"search": search, "seeds": list(range(200)), "extension": []}
    verdicts = judge(load([tmp_path / "s"]), frozen)
    assert [verdict.verdict for verdict in verdicts] == ["reproduced", "refuted", "reproduced"]
    assert verdicts[0].low < verdicts[0].estimate < verdicts[0].high
    assert verdicts[0].estimate == pytest.approx(25 / 26, abs=0.03)
    assert verdicts[0].note.startswith("200 runs, out-of-bag R2 0.9")
    frozen["cells"].append({**cells[0], "identity": "missing"})
    assert {(one.verdict, one.note) for one in judge(load([tmp_path / "s"]), frozen)} == {
        ("not run", "adding: 200 of 201 runs of the search")
    }


def test_what_is_left_of_the_cell_state_is_compared_as_a_ratio(tmp_path):
    folder, cells = tmp_path / "s", []
    for variant, factor in (("lstm", 1.0), ("gru", 3.0)):
        for seed in SEEDS:
            left = {"eval/mse": 0.1, "memory/median": 1e-9 * factor * SMALL[seed]}
            arm = put(folder, variant, seed=seed, results__final=left)
        cells.append({"task": "adding", "arm": variant, "identity": arm, "unit": "MSE", "edge": [], "chosen": {}})
    claim = {"sentence": "s", "source": "p", "metric": "memory", "expect": "same", "baseline": "lstm", "arms": ["gru"]}
    frozen = {"schema": 1, "study": "s", "claims": [claim], "tasks": {"adding": []}, "cells": cells, "factors": {}}
    (verdict,) = judge(load([folder]), {**frozen, "seeds": SEEDS, "extension": []})
    assert (verdict.verdict, verdict.unit) == ("refuted", "ratio of dc_T / dc_0")
    assert verdict.estimate == pytest.approx(3)


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "undecided"], "undecided"),
        (["not run", "undecided"], "not run"),
        (["refuted", "not run"], "refuted"),
    ],
)
def test_a_claim_is_as_good_as_its_worst_comparison(tmp_path, words, whole):
    (verdict,) = judge(*study(tmp_path / "s", 2.0))
    assert overall([claims.Verdict(**{**vars(verdict), "verdict": word}) for word in words]) == whole
