"""A sweep killed at random instants and started again until done ends as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis import runs

ROOT = Path(__file__).parents[1]


def start(study: Path, seeds: int) -> "subprocess.Popen[bytes]":
    said = ["-m", "variant=lstm,CIFG", f"seed=range(0,{seeds})", "task=continual_reber", f"study={study}"]
    said += ["train.steps=300", "train.eval_every=100", "train.batch_size=4", "train.eval_size=16"]
    said += ["model.hidden_size=4", "record.checkpoint_every=.2", "hydra.launcher.workers=2", "hydra.launcher.stack=3"]
    command = [sys.executable, "-m", "experiments.run", *said]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def workers(parent: int) -> list[int]:
    """The worker processes of a sweep, without multiprocessing's own helpers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, line in lines.items() if b"spawn_main" in line]


def kill_something(sweep: "subprocess.Popen[bytes]", dice: random.Random) -> None:
    try:
        victims = [sweep.pid, *workers(sweep.pid)]
        os.kill(dice.choice(victims), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended first


def table(study: Path) -> tuple[object, ...]:
    """Every run's results, rows and weights."""
    records = {path.parent.name: json.loads(path.read_text()) for path in study.glob("*/run.json")}
    files = {
        name: [(study / name / file).read_bytes() for file in ("metrics.csv", "weights.pt")]
        for name, record in records.items()
        if record["status"] == "finished"
    }
    return {name: (r["status"], r["results"], r["data_digest"]) for name, r in records.items()}, files


@pytest.mark.slow
def test_a_sweep_killed_again_and_again_ends_as_the_undisturbed_one(tmp_path: Path, full: bool) -> None:
    kills, seeds = (50, 20) if full else (3, 3)
    dice = random.Random(0)
    assert start(tmp_path / "whole", seeds).wait(timeout=300) == 0
    study = tmp_path / "killed"
    for _ in range(kills):
        sweep = start(study, seeds)
        time.sleep(dice.uniform(2, 20))
        kill_something(sweep, dice)
        time.sleep(0.5)
        sweep.kill()
        sweep.wait(timeout=60)
    assert start(study, seeds).wait(timeout=600) == 0
    assert table(study) == table(tmp_path / "whole")
    assert len(runs.load([study]).runs) == 2 * seeds
    assert not [path for path in study.glob("*/*") if path.name.startswith(".") or path.name == "checkpoint.pt"]
