"""wandb's view of a study: it draws what there is, and says what is a sample."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import records
from fake_wandb import FakeServer

from analysis import arm_curves, runs, workspace

pytest.importorskip("wandb_workspaces", reason="the extra wandb-workspaces is not installed")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = records.write_study(tmp_path / "demo", ("lstm", "gru"), seeds=2)
    records.write(folder, "gru", "adding", 0, train__lr=0.1)
    return folder


def leaves(spec: Any, key: str) -> Iterator[Any]:
    """Everything that stands under a key, anywhere in the view."""
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


def test_every_curve_is_of_a_metric_that_the_mirror_has(spec: Any, study: Path) -> None:
    loaded = runs.load([study])
    known = set(loaded.curves["metric"]) | {
        key for arm in arm_curves.of_arms(loaded) for row in arm.rows for key in row
    }
    drawn = {metric for panel in leaves(spec, "metrics") for metric in panel if isinstance(metric, str)}
    assert {"eval/mse", "eval/accuracy", "aggregate/eval/mse/median", "aggregate/solve_rate"} <= drawn
    summary = {key for arm in arm_curves.of_arms(loaded) for key in arm.summary}
    assert {name.removeprefix("summary:") for name in drawn} <= known | summary


def test_the_view_has_the_axes_of_the_study_and_says_what_is_sampled(spec: Any, study: Path) -> None:
    assert workspace.axes(runs.load([study])) == ["task.name", "task.length", "train.lr"]
    text = json.dumps(spec)
    assert re.search(r"config:train\.lr", text)
    assert "variant.label" in text
    assert workspace.SAMPLED in text
    names = [section["name"] for section in spec["spec"]["section"]["panelBankConfig"]["sections"]]
    assert [name.partition(":")[0] for name in names] == ["All runs", "All runs", "Single runs"]


def test_the_view_is_saved(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    with FakeServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        wandb.teardown()
        assert workspace.main([f"study={study}"]) == 0
        wandb.teardown()
    (view,) = server.views
    assert view["name"] == "demo: what the gates do"
