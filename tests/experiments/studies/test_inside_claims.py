"""Claims that rest on what is found inside trained nets: a two-way knockout from its grid to its verdicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from small_study import TINY, write_study

from analysis import report
from analysis.claims import measures
from analysis.claims.claim import Claim
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.claims.verdicts import judge
from analysis.common.command_line import CommandError
from analysis.records.load import load
from experiments import inspect, study
from lstm_variants.gate import CONF

KNOCKOUT = """\
record: {{inside: {inside}, weights: true}}
protocol:
  arms: {{lstm: [], no forget gate: [variant=no_forget_gate]}}
  tasks: {{short: [task=adding, task.length=6]}}
  grid: {{train.lr: [.01]}}
  confirmation_seeds: 6
  claims:
    - sentence: A net that learned without the gate does better than one that loses it afterwards.
      source: a test
      metric: {metric}
      scale: {scale}
      expect: lower
      baseline: lstm
      arms: [no forget gate]
"""
KEPT = [word for word in TINY if not word.startswith("record.weights")]


def made(
    folder: Path, *phases: str, inside: str = "true", metric: str = "inside/surgery/forget=1/loss", scale: str = "ratio"
) -> Path:
    mine = write_study(folder, KNOCKOUT.format(inside=inside, metric=metric, scale=scale))
    for phase in phases:
        assert (
            study.main(["experiment=mine", f"phase={phase}", "workers=1", f"study={folder / 'out'}", mine, *KEPT]) == 0
        )
    return folder / "out"


def test_a_knockout_is_judged_on_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path, "tune", "confirm")
    records, frozen = load([folder]), FrozenStudy.read(folder)
    assert frozen is not None
    (verdict,) = judge(records, frozen)
    assert verdict.verdict in ("undecided", "reproduced", "refuted")
    assert verdict.unit == "ratio of inside/surgery/forget=1/loss"
    looked = records.runs["inside.untouched"].notna()
    assert looked.tolist() == (records.runs["phase"] == "confirm").tolist()  # tuning runs are not looked into
    plain = records.runs[looked & (records.runs["variant"] == "no_forget_gate")]
    assert np.allclose(plain["inside.surgery/forget=1/loss"], plain["inside.untouched/loss"])


SHORT = {  # two tasks of the study, at the lengths that a test has time for
    "adding T=50": ["task=adding", "task.length=4"],
    "continual Reber": ["task=continual_reber", "task.length=1"],
}


@pytest.mark.slow
def test_the_study_itself_runs_from_its_grid_to_its_figures(tmp_path: Path) -> None:
    content = yaml.safe_load((CONF / "experiment" / "two_way_knockout.yaml").read_text())
    content["protocol"] |= {"tasks": SHORT, "grid": {"train.lr": [0.01]}, "tuning_seeds": 5, "confirmation_seeds": 8}
    mine = write_study(tmp_path, yaml.safe_dump({"record": content["record"], "protocol": content["protocol"]}))
    words = ["model.hidden_size=2", "train.steps=2"]
    words = list({word.partition("=")[0]: word for word in (*KEPT, *words)}.values())
    folder, out = tmp_path / "out", tmp_path / "report"
    for phase in ("tune", "confirm"):
        own = ["experiment=mine", mine, f"phase={phase}", "workers=1", f"study={folder}"]
        assert study.main([*own, *words]) == 0
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    records = load([folder])
    verdicts = judge(records, frozen)
    assert len(verdicts) == 6  # three gates on two tasks
    assert {verdict.verdict for verdict in verdicts} <= {"undecided", "reproduced", "refuted"}
    assert set(records.runs["task.name"]) == {"adding", "continual_reber"}
    drawn = "two_way_knockout,surgery"
    assert report.main([f"study={folder}", f"out={out}", f"figures={drawn}"]) == 0
    rows = pd.read_csv(out / "figures" / "two_way_knockout.csv")
    assert set(rows["touch"]) == {f"surgery/{gate}=1" for gate in ("forget", "input", "output")}
    assert rows.groupby(["task", "touch"])["seed"].nunique().tolist() == [8] * 6


def test_runs_that_were_not_looked_into_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path, "tune", "confirm", inside="false")
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    (verdict,) = judge(load([folder]), frozen)
    assert verdict.verdict == "not run"
    assert "python -m experiments.inspect" in verdict.note
    monkeypatch.setattr(inspect.resources, "cores", lambda: 1)
    assert inspect.main([f"study={folder}"]) == 0
    (verdict,) = judge(load([folder]), frozen)
    assert verdict.verdict != "not run"


@pytest.mark.parametrize(
    ("metric", "scale", "told"),
    [
        ("inside/surgery/forgot=1", "difference", "protocol.claims.metric=inside/surgery/forgot=1: legal are"),
        ("inside/surgery/forget=2", "difference", "protocol.claims.metric"),
        ("inside/surgery/forget=1/cost", "ratio", "takes scale=difference"),
    ],
)
def test_what_no_net_has_is_refused(metric: str, scale: str, told: str, tmp_path: Path) -> None:
    mine = write_study(tmp_path, KNOCKOUT.format(inside="true", metric=metric, scale=scale))
    with pytest.raises(CommandError, match=told):
        study.run(study.Options(experiment="mine", phase=study.Phase.plan), [mine, *KEPT])


def test_every_number_of_inside_that_a_claim_may_name_is_one() -> None:
    from inspected import looked_at

    from experiments.inspection.all_measures import measure

    names = measure(looked_at("peephole", layers=2)).numbers
    known = {name for name in names if Claim(metric=f"inside/{name}").found}
    unnamed = {name.split("/")[0] for name in names if name not in known}
    assert unnamed == {"untouched", "events", "around", "feeds"}  # feeds: the level of a term
    assert not {name for name in names if name.startswith(("surgery", "cut", "time_constant", "saturation"))} - known


def test_a_diverged_run_is_worse_or_not_known(tmp_path: Path) -> None:
    runs = load([made(tmp_path, "tune", "confirm")]).runs.query("phase == 'confirm'").head(2)
    runs = runs.assign(status=["finished", "diverged"], **{"task.direction": "max"})
    runs.loc[runs["status"] == "diverged", "inside.surgery/forget=1"] = np.nan
    for name, low, high in (("", -np.inf, -np.inf), ("/loss", np.inf, np.inf), ("/cost", -np.inf, np.inf)):
        found = measures.measured(runs, Claim(metric=f"inside/surgery/forget=1{name}", scale="difference"), 4)
        assert (found.low[1], found.high[1]) == (low, high)
        assert found.low[0] == found.high[0] == runs[f"inside.surgery/forget=1{name}"].iloc[0]
