"""wandb's view of a study and its report: they draw what there is, say what is a sample, and hold the claims."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import records
from fake_wandb import FakeRun, FakeServer

from analysis import workspace
from analysis.records.load import Records, load
from analysis.statistics import arm_curves
from analysis.wandb_views import panels, run_table
from experiments.tracking import aggregates, wandb_runs

pytest.importorskip("wandb_workspaces", reason="the extra wandb-workspaces is not installed")
SEEDS = range(6)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two variants on two tasks, one with a second learning rate, and a claim about one of the tasks."""
    folder = tmp_path / "demo"
    cells = []
    for variant in ("lstm", "gru"):
        for task in ("adding", "digits"):
            for seed in SEEDS:
                arm = json.loads((records.write(folder, variant, task, seed, phase="confirm") / "run.json").read_text())
            cells.append(
                {"task": task, "arm": variant, "identity": arm["arm"], "unit": "mse", "edge": [], "chosen": {}}
            )
    records.write(folder, "gru", "adding", 0, train__lr=0.1)
    claim = {"sentence": "a | gate helps", "source": "somebody 2000", "expect": "lower", "baseline": "lstm"}
    claims = [{**claim, "arms": ["gru"], "tasks": ["adding"]}]
    frozen = {"schema": 1, "study": "demo", "claims": claims, "tasks": {"adding": [], "digits": []}, "cells": cells}
    frozen |= {"seeds": list(SEEDS), "extension": [], "factors": {}}
    records.write_frozen(folder, frozen)
    return folder


def leaves(spec: Any, key: str) -> Iterator[Any]:
    """Everything that stands under a key, anywhere in a view."""
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name == key and value is not None:
                yield value
            yield from leaves(value, key)
    elif isinstance(spec, list):
        for value in spec:
            yield from leaves(value, key)


@pytest.fixture
def spec(study: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    assert workspace.main([f"study={study}", "dry_run=true"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("part", ["view", "report"])
def test_every_curve_is_of_a_metric_that_the_mirror_has(part: str, spec: Any, study: Path) -> None:
    loaded = load([study])
    arms = list(arm_curves.of_arms(loaded))
    aggregated = {key for arm in arms for row in arm.rows for key in row}
    drawn = {metric for panel in leaves(spec[part], "metrics") for metric in panel if isinstance(metric, str)}
    assert {key for key in aggregated if key.startswith("eval/")} <= drawn
    assert "solved/share" in drawn
    assert ({"eval/mse", "eval/accuracy"} <= drawn) == (part == "view")
    summary = {key for arm in arms for key in arm.summary}
    known = set(loaded.curves["metric"]) | aggregated | summary
    assert {name.removeprefix("summary:") for name in drawn} <= known
    limits = [panel["limit"] for panel in leaves(spec[part], "config") if "solved/share" in str(panel)]
    assert limits == [len(arms)] == [5]


def test_the_view_has_the_axes_of_the_study_and_says_what_is_sampled(spec: Any, study: Path) -> None:
    assert run_table.axes(load([study])) == ["task.name", "task.length", "train.lr"]
    text = json.dumps(spec["view"])
    assert re.search(r"config:train\.lr", text)
    assert "variant.label" in text
    assert panels.SAMPLED in text
    names = [section["name"] for section in spec["view"]["spec"]["section"]["panelBankConfig"]["sections"]]
    assert [name.partition(":")[0] for name in names] == ["All runs", "All runs", "Single runs"]


def test_runs_are_chosen_by_the_job_types_that_the_mirror_gives(spec: Any) -> None:
    (seen,) = spec["view"]["spec"]["section"]["runSets"]
    (left_out,) = seen["filters"]["filters"]
    assert (left_out["key"]["name"], left_out["op"], left_out["value"]) == ("jobType", "!=", wandb_runs.SUPERSEDED)
    assert [(key["key"]["name"], key["ascending"]) for key in seen["sort"]["keys"]] == [("jobType", True)]
    assert sorted(["train", "tune", "confirm", aggregates.AGGREGATE])[0] == aggregates.AGGREGATE
    ((runset,),) = leaves(spec["report"], "runSets")
    (kept,) = runset["filters"]["filters"]
    assert (kept["key"]["name"], kept["op"], kept["value"]) == ("jobType", "=", aggregates.AGGREGATE)


def test_the_report_has_the_claims_with_their_verdicts_and_the_scores(spec: Any) -> None:
    text = "\n".join(block.get("content", "") for block in spec["report"]["spec"]["blocks"])
    said = r"a \\?\| gate helps \(somebody 2000; study demo, frozen as [0-9a-f]{16}\)"
    assert re.search(rf"\*\*(reproduced|refuted|undecided)\*\*: {said}", text)
    assert re.search(r"\| gru vs lstm, adding \| [0-9.e+-]+ \[[0-9.e+-]+, [0-9.e+-]+\] \| ratio of mse \|", text)
    assert "0.819" in text or "| GRU" in text


def test_a_study_without_claims_says_so(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "study.json").unlink()
    assert workspace.main([f"study={study}", "dry_run=true"]) == 0
    assert "Nothing was claimed" in capsys.readouterr().out


def test_view_and_report_are_saved(
    study: Path, spec: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    with FakeServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        wandb.teardown()
        server.runs["one"] = FakeRun("demo", "one")
        assert workspace.main([f"study={study}"]) == 0
        wandb.teardown()
    (view,), (report,) = server.views, server.reports
    assert (view["name"], report["name"]) == ("demo: what the gates do", "demo: claims and verdicts")
    contents = [
        [block.get("content") for block in blocks["blocks"]] for blocks in (report["spec"], spec["report"]["spec"])
    ]
    assert contents[0] == contents[1]
    assert next(leaves(report["spec"], "runSets"))[0]["project"]["name"] == "demo"
    assert capsys.readouterr().out.count(server.url) == 2


def test_runs_that_were_looked_inside_can_be_sorted_by_what_the_forget_gate_is_worth(study: Path) -> None:
    loaded = load([study])
    cost = "inside/surgery/forget=1/cost"
    assert f"summary:{cost}" not in run_table.columns(loaded)
    assert not [panel for panel in panels.single(loaded) if "MediaBrowser" in type(panel).__name__]
    looked = Records(loaded.runs.assign(**{panels.COST: 0.25}), loaded.curves, [])
    assert run_table.columns(looked)[-1] == f"summary:{cost}"
    (media,) = (panel for panel in panels.single(looked) if "MediaBrowser" in type(panel).__name__)
    assert media.media_keys == ["inside/gate_traces", "inside/surgery"]
