"""A sweep killed at random instants and started again until done ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import command
from sweeps import ROOT, outcome

from analysis.records.load import load


def words(study: Path, seeds: int, engine: str) -> list[str]:
    steps = 300 if engine == "auto" else 60
    said = ["-m", "variant=lstm,CIFG", f"seed=range(0,{seeds})", "task=continual_reber", f"study={study}"]
    said += [f"train.steps={steps}", f"train.eval_every={steps // 3}", "train.batch_size=4", "train.eval_size=16"]
    said += ["model.hidden_size=4", "record.checkpoint_every=.2", "hydra.launcher.workers=2", "hydra.launcher.stack=3"]
    return [*said, f"engine={engine}", "retry=failed", "record.wandb.mode=disabled"]


def start(study: Path, seeds: int, engine: str) -> "subprocess.Popen[bytes]":
    line = [sys.executable, "-m", "experiments.run", *words(study, seeds, engine)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def workers(parent: int) -> list[int]:
    """The worker processes of a sweep, without multiprocessing's own helpers."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    except OSError:  # one of them has just ended
        return []
    return [pid for pid, line in lines.items() if b"spawn_main" in line]


def killed(sweep: "subprocess.Popen[bytes]", dice: random.Random) -> bool:
    """Kill the sweep or one of its workers at a random instant of its work; False if it ended before."""
    while sweep.poll() is None and not workers(sweep.pid):
        time.sleep(0.05)
    time.sleep(dice.uniform(0, 8))
    if sweep.poll() is not None:
        return False
    os.kill(dice.choice([sweep.pid, *workers(sweep.pid)]), signal.SIGKILL)
    return True


def done(study: Path, seeds: int, engine: str, whole: Path) -> bool:
    """Let the sweep end; whether it is the undisturbed one."""
    assert start(study, seeds, engine).wait(timeout=600) == 0
    assert outcome(study) == outcome(whole)
    assert len(load([study]).runs) == 2 * seeds
    return not [path for path in study.glob("*/*") if path.name.startswith(".") or path.name == "checkpoint.pt"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("engine", "share"), [("auto", 1.0), ("reference", 0.2)])
def test_a_sweep_killed_again_and_again_ends_as_the_undisturbed_one(
    engine: str, share: float, tmp_path: Path, full: bool
) -> None:
    if engine == "reference" and not full:
        pytest.skip("slower, and the same in all but the engine: --slow")
    kills, seeds = (round(50 * share), round(20 * share)) if full else (2, 3)
    dice = random.Random(0)
    whole, study = tmp_path / "whole", tmp_path / "killed-0"
    alone = command("experiments.run", *words(whole, seeds, engine), "hydra.launcher.workers=1", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    sweep, count, studies = start(study, seeds, engine), 0, 1
    while count < kills:
        if killed(sweep, dice):
            count += 1
            time.sleep(0.2)
        if sweep.poll() == -signal.SIGKILL:
            sweep = start(study, seeds, engine)
        elif sweep.poll() is not None:  # it outlived the kills so far: the others are for another one
            assert done(study, seeds, engine, whole)
            study, studies = tmp_path / f"killed-{studies}", studies + 1
            sweep = start(study, seeds, engine)
    sweep.wait(timeout=600)
    assert done(study, seeds, engine, whole)
    print(f"{count} kills, {studies} sweeps of {2 * seeds} runs")
