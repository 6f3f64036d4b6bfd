"""Sweeps: worker processes, records on disk that the other package reads, skipping, failures, the Python API."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from commands import Ended, command
from sweeps import QUICK, ROOT, files, jobs

import experiments
from analysis.records.load import load
from experiments.config.compose import compose
from experiments.config.resolve import resolve
from experiments.store.what_is_left import standing
from experiments.sweep.grouping import balanced, stacks
from experiments.sweep.plan import make_plan
from experiments.sweep.run_all import run_all


def gates(*words: str, cwd: Path) -> Ended:
    return command("experiments.run", *words, cwd=cwd)


@pytest.mark.slow
def test_runs_in_worker_processes_are_the_runs_made_here(tmp_path: Path) -> None:
    here = run_all(jobs(tmp_path / "here"), workers=1, show=False)
    there = run_all(jobs(tmp_path / "there"), workers=2, show=False)
    for a, b in zip(sorted(here, key=repr), sorted(there, key=repr), strict=True):
        assert a.record["results"] == b.record["results"]
        assert a.rows == b.rows
        assert a.weights is not None
        assert all(torch.equal(value, b.weights[name]) for name, value in a.weights.items())


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    run_all(jobs(tmp_path, seeds=2), workers=1, show=False)
    before = files(tmp_path)
    again = run_all(jobs(tmp_path, seeds=3), workers=1, show=False)
    assert sorted(run.record["seed"] for run in again) == [2, 2]
    after = files(tmp_path)
    assert len(before) == 4 * 3
    assert all(after[name] == content for name, content in before.items())


def test_a_record_says_how_the_state_is_carried(tmp_path: Path) -> None:
    for task, said in (("adding", "new for every batch"), ("continual_reber", "carried from batch to batch")):
        (run,) = run_all([resolve(compose([f"task={task}", "study=null", *QUICK[1:]]))], workers=1, show=False)
        assert run.record["state"].startswith(said)


def test_whoever_may_read_a_plain_file_may_read_a_record(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    (job,) = jobs(tmp_path, seeds=1)[:1]
    run_all([job], workers=1, show=False)
    assert {path.stat().st_mode for path in job.folder.iterdir()} == {plain.stat().st_mode}


def test_a_run_cut_off_is_done_again_and_a_failed_one_when_asked(tmp_path: Path) -> None:
    job = jobs(tmp_path)[0]
    run_all([job], workers=1, show=False)
    path = job.folder / "run.json"
    whole = json.loads(path.read_text())

    def stands(**changes: object) -> str:
        path.write_text(json.dumps(whole | changes))
        return standing(job)

    assert stands() == "done"
    assert stands(status="diverged") == "done"
    assert stands(status="running") == "again"
    assert stands(status="interrupted") == "again"
    assert stands(status="failed") == "failed"
    assert stands(semantics={"cell": 0, "task": 1, "trainer": 1}) == "stale"
    for content, words in (("{", "cannot be read"), ("[]", "cannot be read"), ('{"schema": 1}', "cannot be read")):
        path.write_text(content)
        with pytest.raises(ValueError, match=words):
            standing(job)
    with pytest.raises(ValueError, match="schema 9"):
        stands(schema=9)


def test_the_other_package_reads_what_this_one_wrote(tmp_path: Path) -> None:
    study = tmp_path / "study"
    made = run_all(jobs(study), workers=1, show=False)
    loaded = load([study])
    scores = dict(zip(loaded.runs["run_id"], loaded.runs["score"], strict=True))
    assert scores == {run.record["run_id"]: run.score for run in made}
    run = made[0]
    curve = loaded.curves[loaded.curves["run_id"] == run.record["run_id"]]
    read = curve[curve["metric"] == "eval/loss"].sort_values("step")
    assert read["value"].tolist() == [row["eval/loss"] for row in run.rows]


def test_stacks_hold_one_structure_and_feed_all_workers(tmp_path: Path) -> None:
    many = jobs(tmp_path, seeds=5)
    groups = stacks(many, {}, largest=4, workers=2)
    assert sorted(job.run_id for group in groups for job in group) == sorted(job.run_id for job in many)
    assert all(len({job.variant.name for job in group}) == 1 and len(group) <= 4 for group in groups)
    assert len(stacks(many[:5], {}, largest=16, workers=2)) == 2


@pytest.mark.parametrize(
    ("parts", "workers", "sizes"), [(7, 2, [4] * 6 + [2] * 2), (8, 2, [4] * 8), (4, 3, [4, 4, 4, 2, 1, 1])]
)
def test_the_last_stacks_are_shared_by_all_workers(tmp_path: Path, parts: int, workers: int, sizes: list[int]) -> None:
    (job,) = jobs(tmp_path, variants=["lstm"], seeds=1)
    groups = [[job.with_seed(4 * part + one, None) for one in range(4)] for part in range(parts)]
    cut = balanced(groups, workers)
    assert [len(group) for group in cut] == sizes
    assert sorted(job.seed for group in cut for job in group) == list(range(4 * parts))
    assert [len(group) for group in make_plan([job for group in groups for job in group], workers, 4).groups] == sizes


def test_a_loaded_run_computes_what_the_trained_one_did(tmp_path: Path) -> None:
    run = experiments.run(variant="gru", task="adding", study=str(tmp_path), train={"steps": 2}, **{"task.length": 9})
    loaded = experiments.load_run(tmp_path / run.record["run_id"])
    assert run.weights is not None
    assert torch.equal(loaded.layer.gates()["forget"]["x"], run.weights["layer.layers.0.forget.x"])
    assert loaded.config["variant"]["label"] == "GRU"
    y, _ = loaded.layer(torch.zeros(3, 2, 2))
    assert y.shape == (3, 2, 32)


def test_sweep_in_memory_returns_a_row_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    axes = {"variant": ["lstm", "no_forget_gate"], "init": ["default", "chrono"], "seed": range(2)}
    frame = experiments.sweep(axes, task="adding", train={"steps": 2}, **{"task.length": 9})
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 6  # chrono is not applicable without a forget gate
    assert frame["score"].notna().all()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_from_the_command_line(tmp_path: Path) -> None:
    said = ["-m", "variant=NFG,gru", "init=default,chrono", "seed=range(0,2)", "study=s", "hydra.launcher.workers=2"]
    done = gates(*said, *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("not applicable: variant=no_forget_gate init=chrono") == 1
    assert "(2 of the jobs)" in done.stderr
    assert "6 new" in done.stderr
    records = [json.loads(p.read_text()) for p in tmp_path.glob("s/*/run.json")]
    assert sorted(r["status"] for r in records) == ["finished"] * 6
    assert len(list(tmp_path.glob("s/wandb/offline-run-*"))) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    again = gates(*said, *QUICK, cwd=tmp_path)
    assert "6 done; to run: 0" in again.stderr


def test_every_job_is_validated_before_the_first_starts(tmp_path: Path) -> None:
    done = gates("-m", "seed=0,1", "train.lr=.1,-1", "study=s", *QUICK, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == ["error: train.lr=-1.0: a finite number above 0 is needed"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "mistake", ["variant=gruu", "train.lrr=1", "task.length=1", "init=chrono variant=NFG", f"train.lr={'9' * 400}"]
)
def test_a_mistake_ends_in_one_line_and_leaves_no_trace(tmp_path: Path, mistake: str) -> None:
    done = gates(*mistake.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_help_teaches_and_cfg_shows(tmp_path: Path) -> None:
    shown = gates("--help", cwd=tmp_path).stdout
    assert "python -m experiments.run -m variant=lstm,gru" in shown
    assert "variant: " in shown
    config = gates("--cfg", "job", "variant=gru", cwd=tmp_path).stdout
    assert "label: GRU" in config
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_interrupted_from_outside_a_sweep_checkpoints_and_goes_on(tmp_path: Path) -> None:
    own = shutil.copytree(ROOT / "tests/data/held", tmp_path / "own")
    sizes = {"train.steps": 6, "train.eval_every": 3, "model.hidden_size": 4, "task.length": 12}
    said = ["-m", f"extensions={own}", "seed=range(0,4)", "task=held_reber", "study=s", "hydra.launcher.workers=2"]
    said += ["record.wandb.mode=disabled", *(f"{key}={value}" for key, value in sizes.items())]
    (own / "hold").touch()  # while it lies there, no run ends
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "experiments.run", *said]
    process = subprocess.Popen(line, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list(tmp_path.glob("s/*/metrics.csv"))) < 4:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, shown = process.communicate(timeout=100)
    assert process.returncode == 143, shown
    assert "goes on from the checkpoints" in shown
    assert {json.loads(p.read_text())["status"] for p in tmp_path.glob("s/*/run.json")} == {"interrupted"}
    (own / "hold").unlink()
    again = gates(*said, "hydra.launcher.workers=1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    records = {json.loads(p.read_text())["seed"]: p for p in tmp_path.glob("s/*/run.json")}
    assert sorted(records) == [0, 1, 2, 3]
    alone = experiments.run(task="held_reber", seed=2, extensions=str(own), **sizes)  # type: ignore[arg-type]
    assert json.loads(records[2].read_text())["results"] == alone.record["results"]
    assert list(tmp_path.glob("s/*/checkpoint.pt")) == []


def test_run_stays_a_function_once_its_module_is_imported() -> None:
    importlib.import_module("experiments.run")
    run = experiments.run(task="adding", train={"steps": 1}, **{"task.length": 9})
    assert run.status == "finished"
