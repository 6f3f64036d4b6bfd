"""Runs that diverge before their first evaluation: they count, as worse than any score, wherever runs are read."""

import math
from pathlib import Path

import pytest
import records
import torch

import experiments
from analysis import report
from analysis.arms import counted_runs
from analysis.records.load import load
from analysis.records.read import UnreadableError, read_curves
from analysis.statistics import arm_curves
from experiments import push
from experiments.studies.standing import look
from experiments.tasks import task_names
from experiments.training.network import Network

AT_ONCE = {  # c grows by half a step, over 400 steps: the untrained network's loss is not finite
    "variant": "no_output_activation",
    "variant.forget.kind": "constant",
    "variant.forget.value": 1.5,
    "task": "adding",
    "task.length": 400,
    "train": {"steps": 4, "eval_every": 2, "batch_size": 4, "eval_size": 8},
    "model": {"hidden_size": 4},
    "record.wandb.mode": "disabled",
    "engine": "reference",
}


def rowless(study: Path, seed: int, status: str = "diverged", text: str | None = None) -> Path:
    """A synthetic run without a row; `text` is what its metrics.csv holds, None for no file."""
    folder = records.write(study, seed=seed, status=status, environment__engine="native")
    (folder / "metrics.csv").unlink()
    if text is not None:
        (folder / "metrics.csv").write_text(text)
    return folder


@pytest.mark.parametrize("steps", [0, 4])
def test_a_run_that_diverges_at_once_is_handed_back_as_it_was(tmp_path: Path, steps: int) -> None:
    settings = {**AT_ONCE, "train.steps": steps, "train.eval_every": 2, "study": str(tmp_path / "s")}
    settings["train"] = {"batch_size": 4, "eval_size": 8}
    first = experiments.run(**settings)
    assert (first.status, first.score, first.rows) == ("diverged", None, [])
    again = experiments.run(**settings)
    assert (again.record, again.rows) == (first.record, [])
    assert list(experiments.sweep({"seed": [0]}, **settings)["status"]) == ["diverged"]
    (row,) = load([tmp_path / "s"]).runs.to_dict("records")
    assert (row["status"], row["score"], row["solved"]) == ("diverged", math.inf, False)
    assert look(tmp_path / "s").total["diverged"] == 1


def test_a_whole_stack_may_diverge_at_once(tmp_path: Path) -> None:
    frame = experiments.sweep({"seed": [0, 1, 2]}, **{**AT_ONCE, "study": str(tmp_path / "s")})
    assert list(frame["status"]) == ["diverged"] * 3
    assert len(counted_runs.scored(load([tmp_path / "s"]).runs)) == 3


@pytest.mark.parametrize("text", [None, "", "step,train/loss,train/gradient_norm,eval/mse\n", "step,train/lo"])
def test_it_counts_among_others(tmp_path: Path, text: str | None) -> None:
    study = tmp_path / "demo"
    for seed in range(3):
        records.write(study, seed=seed)
    rowless(study, 3, text=text)
    loaded = load([study])
    assert loaded.skipped == []
    scored = counted_runs.scored(loaded.runs)
    assert len(scored) == 4
    assert scored["score"].max() == math.inf
    (arm,) = arm_curves.of_arms(loaded)
    assert (arm.summary["runs"], arm.summary["diverged_runs"], arm.summary["solve_rate"]) == (4, 1, 0.75)


def test_a_report_of_such_runs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        rowless(tmp_path / "demo", seed)
    assert report.main([f"study={tmp_path / 'demo'}", f"out={tmp_path / 'report'}"]) == 0
    assert "n=2, 2 diverged" in capsys.readouterr().out


def test_what_never_began_is_missing_and_what_finished_needs_its_rows(tmp_path: Path) -> None:
    for seed, ended in enumerate(("failed", "interrupted", "running")):
        rowless(tmp_path / "demo", seed, ended)
    loaded = load([tmp_path / "demo"])
    assert len(loaded.runs) == 3
    assert counted_runs.scored(loaded.runs).empty
    for text in (None, "", "step,eval/mse\n"):
        folder = rowless(tmp_path / f"{text}".strip(), 9, "finished", text)
        with pytest.raises(UnreadableError, match=r"metrics\.csv"):
            read_curves(folder, "finished")


def test_it_is_mirrored_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    rowless(tmp_path / "demo", 0)
    records.write(tmp_path / "demo", seed=1)
    assert push.main([f"study={tmp_path / 'demo'}", "mode=offline"]) == 0
    loaded = load([f"wandb-offline:{tmp_path / 'demo'}"])
    assert sorted(loaded.runs["status"]) == ["diverged", "finished"]


NEEDS_A_FILE = ("arrays", "char_lm", "polyphonic", "sequential_mnist")


@pytest.mark.parametrize("task", [name for name in task_names() if name not in NEEDS_A_FILE])
def test_on_every_task_a_network_of_nans_has_diverged(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(network: Network, *_: object) -> None:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(math.nan)

    monkeypatch.setattr(Network, "reset_parameters", spoil)
    train = {"batch_size": 4, "eval_every": 2, "eval_size": 8, "steps": 2}
    run = experiments.run(task=task, train=train, model={"hidden_size": 4})
    assert (run.status, run.score, run.rows) == ("diverged", None, []), run.record["error"]
