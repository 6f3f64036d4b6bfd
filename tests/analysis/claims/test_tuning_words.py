"""A verdict stands if it holds with all arms at the shared point of the grid and with each at its own best."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import records
from planted_studies import SMALL

from analysis import report
from analysis.claims.verdicts import judge
from analysis.pages.contents import rows
from analysis.records.load import load

LR = (0.01, 0.03)


def study(folder: Path, shared: float, own: float | None, **more: Any) -> dict[str, Any]:
    """lstm is best at the shared rate, where the loss of gru is `shared` times its own; at gru's own `own` times."""
    cells = [cell(folder, "lstm", 1.0, None), cell(folder, "gru", shared, own)]
    claim = {"sentence": "s", "source": "p", "expect": "higher", "baseline": "lstm", "arms": ["gru"]}
    frozen = {"study": folder.name, "claims": [{**claim, **more}], "tasks": {"adding": []}, "cells": cells}
    return {**frozen, "grid": {"train.lr": list(LR)}, "tuning_seeds": 8, "seeds": list(range(8))}


def cell(folder: Path, variant: str, shared: float, own: float | None) -> dict[str, Any]:
    arms = [at(folder, variant, lr, factor) for lr, factor in zip(LR, (shared, own), strict=True) if factor is not None]
    return {"task": "adding", "arm": variant, **arms[0], "own": arms[1] if len(arms) == 2 else None}


def at(folder: Path, variant: str, lr: float, factor: float) -> dict[str, Any]:
    for seed, small in enumerate(SMALL[:8]):
        score = 0.01 * factor * (small if variant == "gru" else 1)
        identity = records.write(folder, variant, seed=seed, phase="confirm", train__lr=lr, results__score=score).name
    frame = load([folder]).runs
    identity = frame[frame["run_id"] == identity]["arm"].iloc[0]
    return {"identity": identity, "chosen": {"train.lr": lr}, "edge": ["train.lr"] if lr == LR[1] else []}


@pytest.mark.parametrize(
    ("shared", "own", "claim", "words"),
    [
        (4.0, 3.0, {}, ("reproduced", "reproduced", "reproduced")),
        (4.0, 1.0, {}, ("undecided", "reproduced", "undecided")),
        (1.0, 4.0, {}, ("undecided", "undecided", "reproduced")),
        (4.0, 0.25, {}, ("undecided", "reproduced", "refuted")),
        (0.3, 0.25, {}, ("refuted", "refuted", "refuted")),
        (1.0, 1.0, {}, ("undecided", "undecided", "undecided")),
        (1.0, 1.0, {"expect": "same"}, ("reproduced", "reproduced", "reproduced")),
        (4.0, 1.0, {"expect": "same"}, ("undecided", "refuted", "reproduced")),
        (2.0, 2.0, {"scale": "difference"}, ("reproduced", "reproduced", "reproduced")),
    ],
)
def test_what_both_choices_say_stands(
    tmp_path: Path, shared: float, own: float, claim: dict[str, Any], words: tuple[str, str, str]
) -> None:
    frozen = study(tmp_path / "s", shared, own, **claim)
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert (verdict.verdict, *(one.verdict for one in verdict.choices)) == words
    assert [one.at for one in verdict.choices] == ["train.lr=0.01", "lstm train.lr=0.01, gru train.lr=0.03"]
    assert ("depends on the learning rate" in verdict.reason) == (words[1] != words[2])
    assert verdict.reason in verdict.note
    assert verdict.p_adjusted == max(one.p_adjusted for one in verdict.choices)
    assert "gru: tuned to the edge of the grid (train.lr=0.03)" in verdict.note


def test_one_run_serves_both_choices_where_they_agree(tmp_path: Path) -> None:
    frozen = study(tmp_path / "s", 4.0, None)
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert (verdict.verdict, verdict.choices, verdict.reason) == ("reproduced", (), "")


def test_both_choices_have_to_be_confirmed(tmp_path: Path) -> None:
    frozen = study(tmp_path / "s", 4.0, 3.0)
    frozen["cells"][1]["own"]["identity"] = "missing"
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert (verdict.verdict, verdict.reason) == ("not run", "gru, adding: 0 of 8 confirmation runs")


def test_a_study_that_tuned_on_few_seeds_says_so(tmp_path: Path) -> None:
    frozen = study(tmp_path / "s", 4.0, None) | {"tuning_seeds": 5}
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert "tuned on 5 seeds only" in verdict.note


def test_other_tuned_settings_are_named(tmp_path: Path) -> None:
    frozen = study(tmp_path / "s", 4.0, 1.0) | {"grid": {"train.lr": list(LR), "train.clip": [1]}}
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    assert verdict.reason.startswith("depends on train.lr and train.clip: reproduced at")


def test_the_report_and_why_show_both_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "s"
    records.write_frozen(folder, study(folder, 4.0, 1.0))
    assert report.main([f"study={folder}", f"out={tmp_path / 'out'}"]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert re.search(r"… train.lr=0.01 \| [34]\.", text)
    assert re.search(r"… lstm train.lr=0.01, gru train.lr=0.03 \| (1\.0|0\.9)", text)
    assert "depends on the learning rate" in text
    table = pd.read_csv(tmp_path / "out" / "tables" / "claims.csv")
    row = table.iloc[0]
    assert (row["verdict"], row["shared_verdict"], row["own_verdict"]) == ("undecided", "reproduced", "undecided")
    assert row["shared_estimate"] > 3.5 > 1.2 > row["own_estimate"]
    capsys.readouterr()
    assert report.main([f"study={folder}", "why=claims:1/verdict"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("16 runs, 16 of them counted") == 2
    assert "lstm train.lr=0.01, gru train.lr=0.03\n16 runs" in shown


def test_the_smallest_margin_is_one_that_holds_at_both_choices(tmp_path: Path) -> None:
    for place, (shared, own) in enumerate([(1.4, 1.7), (1.7, 1.4), (2.5, 3.5), (3.5, 2.5)]):
        frozen = study(tmp_path / str(place), shared, own, expect="same")
        (verdict,) = judge(load([tmp_path / str(place)]), frozen)
        assert verdict.supports == max(one.supports for one in verdict.choices)
        printed = re.search(r"the runs support: a factor of ([\d.]+)", verdict.note)
        assert printed
        assert verdict.supports <= float(printed[1]) < verdict.supports + 0.01
        assert verdict.note.count("smallest margin") == 1


def test_what_to_know_of_one_choice_stands_beside_it(tmp_path: Path) -> None:
    frozen = study(tmp_path / "s", 1.4, 1.7, expect="same")
    (verdict,) = judge(load([tmp_path / "s"]), frozen)
    whole, shared, own = (row[-1] for row in rows(verdict))
    assert "smallest margin" in whole
    assert "smallest margin" in shared
    assert shared not in whole
    assert own == ""
