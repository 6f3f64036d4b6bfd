"""plan says what a sweep would do and changes nothing; status says what a study's runs are doing."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sweeps import QUICK, ROOT, files, jobs

from analysis.common.command_line import CommandError
from experiments.store.locks import lock
from experiments.studies.standing import look
from experiments.sweep.estimate import estimate
from experiments.sweep.plan import make_plan
from experiments.sweep.run_all import run_all


def test_plan_counts_what_is_new_done_and_cut_off(tmp_path: Path) -> None:
    mine = jobs(tmp_path, seeds=4)
    run_all(mine[:3], workers=1, show=False)
    cut = mine[0].folder / "run.json"
    cut.write_text(json.dumps(json.loads(cut.read_text()) | {"status": "running"}))
    before = files(tmp_path)
    plan = make_plan(mine, workers=2)
    assert sorted(plan.standings.values()) == ["again", "done", "done", *["new"] * 5]
    assert str(plan).startswith("5 new, 1 to resume or do again, 2 done; to run: 6")
    rows = estimate(plan)
    assert sum(row.runs for row in rows) == 6
    assert sum(sum(row.stacks) for row in rows) == 6
    assert all(row.seconds > 0 and row.bytes > 1000 for row in rows)
    assert files(tmp_path) == before


def test_plan_from_the_command_line_makes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.plan", "variant=lstm,NFG", "init=default,chrono", "study=s"]
    command += ["train.steps=3", "model.hidden_size=4", "task.length=10", "seed=range(0,3)"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "9 new; to run: 9" in done.stdout
    assert "3 not applicable" in done.stdout
    assert "no_forget_gate adding H=4" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_stack_is_as_large_as_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = jobs(tmp_path, seeds=8)
    assert max(len(group) for group in make_plan(mine, workers=1).groups) == 8
    monkeypatch.setattr("analysis.common.resources.memory_free", lambda: 100_000)
    assert max(len(group) for group in make_plan(mine, workers=1).groups) < 8


def test_status_counts_runs_and_shows_the_last_errors(tmp_path: Path) -> None:
    mine = jobs(tmp_path, seeds=2)
    run_all(mine, workers=1, show=False)
    changes = [{"status": "failed", "error": "RuntimeError: a bad day"}, {"status": "running"}]
    for job, change in zip(mine, changes, strict=False):
        path = job.folder / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    shutil.rmtree(mine[3].folder)
    with lock(tmp_path, mine[1].run_id):
        standing = look(tmp_path)
    assert standing.total == {"finished": 1, "failed": 1, "running": 1, "waiting": 1}
    assert standing.counts["adding", "lstm"] == {"failed": 1, "running": 1}
    assert standing.errors == [f"{mine[0].run_id}: RuntimeError: a bad day"]
    assert standing.progress == [f"{mine[1].run_id}: step 4 of 4"]
    assert standing.rate is not None


def test_a_run_whose_process_was_killed_is_not_running_any_more(tmp_path: Path) -> None:
    said = [f"study={tmp_path}", *QUICK, "train.steps=1000000", "train.eval_every=1000000"]
    command = [sys.executable, "-m", "experiments.run", *said, "record.wandb.mode=disabled"]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        while process.poll() is None and not list(tmp_path.glob("*/metrics.csv")):
            time.sleep(0.05)
        while_it_lived = look(tmp_path).total
        process.kill()
    assert while_it_lived == Counter(running=1)
    assert look(tmp_path).total == Counter(interrupted=1)
    (record,) = tmp_path.glob("*/run.json")
    assert json.loads(record.read_text())["status"] == "running"


@pytest.mark.parametrize("name", ["nothing", "."])
def test_status_of_no_study_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="study="):
        look(tmp_path / name)
