"""push: the mirror made from the records, at any time; arms as a whole; nothing is sent twice."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import planted_inside
import pytest
import records
from fake_wandb import FakeServer, numbers

from analysis import runs
from analysis.records import wandb_source
from analysis.records.load import load
from analysis.statistics import arm_curves
from experiments import push
from experiments.store.locks import lock
from experiments.tracking import aggregates, failures, run_names, wandb_runs


@pytest.fixture(autouse=True)
def own_wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import wandb

    for name in ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with FakeServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = records.write_study(tmp_path / "demo", ("lstm", "gru"), ("adding",), seeds=3)
    records.write(folder, "gru", "adding", 3, status="diverged")
    return folder


def aggregate(study: Path, variant: str) -> wandb_source.Mirrored:
    """The mirrored arm of a variant."""
    (folder,) = [
        path for name, path in wandb_runs.folders(study).items() if name.startswith(f"aggregate-adding-{variant}-")
    ]
    (path,) = folder.glob("*.wandb")
    return wandb_source.parsed(path)


def test_every_record_and_every_arm_is_mirrored_once(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push.main([f"study={study}"]) == 0
    said = capsys.readouterr().out
    assert "9 wandb runs, 9 of them made now" in said
    assert failures.sync_line(study) in said
    there = wandb_runs.folders(study)
    for folder in study.glob("*-s*-*"):
        content = json.loads((folder / "run.json").read_text())
        (path,) = there[run_names.run_id(content, study)].glob("*.wandb")
        assert wandb_source.restored(wandb_source.parsed(path)) == content
    assert push.main([f"study={study}"]) == 0
    assert "9 wandb runs, 0 of them made now" in capsys.readouterr().out
    assert wandb_runs.folders(study) == there


def test_the_frame_from_wandb_is_that_from_the_records(study: Path) -> None:
    push.main([f"study={study}"])
    ours, theirs = load([study]), load([f"wandb-offline:{study}"])
    assert list(theirs.runs["run_id"]) == list(ours.runs["run_id"])
    assert theirs.runs[ours.runs.columns].equals(ours.runs)
    assert theirs.curves.equals(ours.curves)
    assert theirs.skipped == ours.skipped == []


def test_what_is_found_inside_a_run_later_joins_its_summary(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push.main([f"study={study}"]) == 0
    folder = next(iter(study.glob("adding-lstm-s0-*")))
    record = json.loads((folder / "run.json").read_text())
    planted_inside.plant(folder, {"surgery/forget=1/cost": 0.25, "half_lag": None})
    capsys.readouterr()
    assert push.main([f"study={study}"]) == 0
    assert "2 of them made now" in capsys.readouterr().out  # the run and its arm
    there = wandb_runs.folders(study)
    (path,) = next(path for name, path in there.items() if name.startswith(record["run_id"])).glob("*.wandb")
    summary = wandb_source.parsed(path).summary
    assert summary["inside/surgery/forget=1/cost"] == 0.25
    assert "inside/half_lag" not in summary
    assert summary["score"] == record["results"]["score"]


def test_the_frame_from_a_server_is_that_from_the_records(server: FakeServer, study: Path) -> None:
    push.main([f"study={study}", "mode=online"])
    ours, theirs = load([study]), load(["wandb:somebody/demo"])
    assert theirs.runs[ours.runs.columns].equals(ours.runs)
    assert theirs.curves.equals(ours.curves)


def test_a_source_without_runs_of_ours_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs.main([f"source=wandb-offline:{tmp_path}"]) == 2
    assert runs.main([f"source=wandb-offline:{tmp_path / 'nowhere'}"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "experiments.push" in first
    assert "no such folder" in second


def test_aggregates_are_those_of_the_records(study: Path) -> None:
    push.main([f"study={study}"])
    table = np.array([records.curve("lstm", "adding", seed) for seed in range(3)])
    mirrored = aggregate(study, "lstm")
    for place, (step, row) in enumerate(zip(records.STEPS, map(numbers, mirrored.history), strict=True)):
        values = {name.rpartition("/")[2]: row[name] for name in row if name.startswith("eval/mse/")}
        seen = table[:, place]
        assert row["step"] == step
        assert values["n"] == 3
        np.testing.assert_allclose(
            [values[name] for name in ("mean", "median", "low", "high")],
            [seen.mean(), np.median(seen), seen.min(), seen.max()],  # below six values the interval is the range
            rtol=1e-12,
        )
    assert mirrored.summary["runs"] == 3
    assert mirrored.summary["score_mean"] == pytest.approx(table[:, -1].mean(), rel=1e-12)
    assert mirrored.config["aggregate"]["runs"] == sorted(f"demo/{path.name}" for path in study.glob("adding-lstm-*"))
    assert "seed" not in mirrored.config


def test_a_diverged_run_counts_in_its_arm_as_long_as_it_lived(study: Path) -> None:
    push.main([f"study={study}"])
    mirrored = aggregate(study, "gru")
    assert [row["eval/mse/n"] for row in mirrored.history] == [4, 4, 3, 3]
    assert (mirrored.summary["runs"], mirrored.summary["diverged_runs"]) == (4, 1)
    solved = np.mean([records.curve("gru", "adding", seed)[-1] <= 0.01 for seed in range(3)]) * 3 / 4
    assert mirrored.summary["solve_rate"] == pytest.approx(solved)
    (path,) = next(study.glob("wandb/offline-run-*-adding-gru-s3-*")).glob("*.wandb")
    alone = wandb_source.parsed(path).summary
    assert alone["diverged"]
    assert "score" not in alone, "it is worse than every number"


def test_a_run_that_is_being_made_is_left_alone(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy = next(study.glob("adding-lstm-s0-*")).name
    with lock(study, busy):
        assert push.main([f"study={study}"]) == 0
    assert "left out: 1 runs" in capsys.readouterr().out
    assert not any(name.startswith(busy) for name in wandb_runs.folders(study))


def test_what_a_server_lacks_is_sent_once(server: FakeServer, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert "sent: 9" in capsys.readouterr().out
    assert len(server.runs) == 9
    run = server.runs[next(name for name in server.runs if name.startswith("adding-lstm-s1-"))]
    assert [row["eval/mse"] for row in run.history] == records.curve("lstm", "adding", 1)
    before = len(server.requests)
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert "sent: 0" in capsys.readouterr().out
    assert len(server.requests) == before
    time.sleep(1.1)  # wandb names a folder by the second
    records.write(study, "lstm", "adding", 7)
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert "sent: 2" in capsys.readouterr().out
    arms = [run for name, run in server.runs.items() if name.startswith("aggregate-adding-lstm")]
    assert [run.summary["runs"] for run in arms] == [4]  # the aggregate of three seeds is gone
    assert not any(run.conflicts for run in server.runs.values())


def test_plain_wandb_sync_marks_an_aggregate_that_a_newer_one_replaces(server: FakeServer, study: Path) -> None:
    sync = [sys.executable, "-m", *failures.sync_line(study).split()]
    for seed in (7, 8):
        push.main([f"study={study}"])
        subprocess.run(sync, env=os.environ | server.environment, capture_output=True, timeout=120, check=True)
        time.sleep(1.1)
        records.write(study, "lstm", "adding", seed)
    push.main([f"study={study}"])
    subprocess.run(sync, env=os.environ | server.environment, capture_output=True, timeout=120, check=True)
    arms = [run for name, run in server.runs.items() if name.startswith("aggregate-adding-lstm")]
    assert [(run.job_type, run.summary.get("runs")) for run in arms] == [
        ("superseded", None),
        ("superseded", None),
        ("aggregate", 5),
    ]
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert [run.summary["runs"] for name, run in server.runs.items() if name.startswith("aggregate-adding-lstm")] == [5]


def test_a_server_that_is_not_there_ends_in_one_line(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer() as server:
        server.status = 400
        with pytest.MonkeyPatch.context() as patched:
            for name, value in server.environment.items():
                patched.setenv(name, value)
            assert push.main([f"study={study}", "mode=online"]) == 2
    error = capsys.readouterr().err
    assert "the server is broken" in error
    assert failures.sync_line(study) in error
    assert error.count("\n") == 1


def test_stale_runs_are_not_sent_and_their_arm_is_taken_back(server: FakeServer, study: Path) -> None:
    gru, lstm = (sorted(study.glob(f"adding-{variant}-s*")) for variant in ("gru", "lstm"))
    push.main([f"study={study}"])
    for folder in lstm:
        aged(folder)
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert {name[:8] for name in server.runs} == {"adding-g", "aggregat"}
    assert not any("lstm" in name for name in server.runs)
    for folder in gru:
        aged(folder)
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert not any(name.startswith("aggregate") for name in server.runs)
    sent = set(server.runs)
    assert push.main([f"study={study}", "mode=online"]) == 0
    assert set(server.runs) == sent


def aged(folder: Path) -> None:
    """Make a run one of an older trainer."""
    path = folder / "run.json"
    path.write_text(re.sub(r'"trainer": \d+', '"trainer": 0', path.read_text()))


def test_an_aggregate_is_named_by_arm_and_metric_and_replaces_one_of_another_layout(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(aggregates, "LAYOUT", b"1")
        assert push.main([f"study={study}"]) == 0
    before = {name for name in wandb_runs.folders(study) if name.startswith("aggregate-")}
    assert push.main([f"study={study}"]) == 0
    after = {name for name in wandb_runs.folders(study) if name.startswith("aggregate-")}
    assert len(after) == len(before) == 2
    assert not after & before
    (arm,) = (arm for arm in arm_curves.of_arms(load([study])) if arm.first["name"] == "GRU")
    assert aggregates.described(study, arm, "")["name"] == "GRU/adding/all 4 seeds"
    assert {key.partition("/")[0] for row in arm.rows for key in row} == {"step", "train", "eval", "solved"}
