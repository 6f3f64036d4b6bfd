"""What a run costs outside training: drawing its data, and composing, recording and mirroring it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from experiments.config.catalogue import config_file, names
from experiments.config.compose import compose
from experiments.config.resolve import resolve
from experiments.sweep.run_all import run_all
from experiments.tracking.live import Mirror
from experiments.tracking.wandb_runs import settings
from experiments.training.data import TrainingData
from experiments.training.loop import Training

BATCHES, TIMED_STEPS = 20, 3
ONE_STEP = ["train.steps=1", "train.batch_size=1", "train.eval_size=1", "task.length=10", "model.hidden_size=4"]


def bundled_tasks() -> list[str]:
    """The tasks that need no file of the user's."""
    return [name for name in names("task") if config_file("task", name).get("path", "") is not None]


def sampling_share(task: str) -> float:
    """The time to draw a training batch over that of a training step, H=64 on the reference engine, one thread."""
    job = resolve(compose([f"task={task}", "engine=reference", "model.hidden_size=64", "study=null"]))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = TrainingData(job.task, job.train.batch_size)
        steps = data.steps * -(-BATCHES // data.steps)  # whole blocks
        started = time.perf_counter()
        for step in range(steps):
            data.batch(job.seed, step)
        drawing = (time.perf_counter() - started) / steps
        return drawing / Training([job]).time(TIMED_STEPS)[0]
    finally:
        torch.set_num_threads(before)


def seconds_per_run(runs: int, wandb: str, launcher: str = "stacked") -> float:
    """The seconds of one run in a sweep of one-step runs, from the command to finished records, start-up included.

    Args:
        runs: how many, a multiple of 20: five variants at four learning rates.
        wandb: the mirror's mode, ``offline`` or ``disabled``.
        launcher: ``stacked``, or Hydra's ``basic``.
    """
    axes = ["variant=lstm,gru,peephole,coupled_gates,mgu", "train.lr=.001,.003,.01,.03", f"seed=range(0,{runs // 20})"]
    with tempfile.TemporaryDirectory() as folder:
        said = [f"hydra/launcher={launcher}", f"record.wandb.mode={wandb}", f"study={folder}/study", *ONE_STEP, *axes]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gates", "run", "-m", *said], check=True, capture_output=True)
        seconds = time.perf_counter() - started
        assert len(list(Path(folder).glob("study/*/weights.pt"))) == runs
    return seconds / runs


def mirror_cost(runs: int) -> dict[str, float]:
    """Milliseconds that wandb takes of a run, offline: its start and end, medians over all but the first two.

    Returns:
        init, finish, both: of a run's mirror; bare: both of a wandb run that is told nothing, made in turn with these.
    """
    import wandb

    taken: dict[str, list[float]] = {"init": [], "finish": [], "both": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        said = [*ONE_STEP, f"study={folder}/study", "record.wandb.mode=offline"]
        first = resolve(compose(said))
        (run,) = run_all([first], workers=1, show=False)
        content = json.loads(json.dumps(run.record))
        for seed in range(1, runs + 3):
            job = first.with_seed(seed, None)
            started = time.perf_counter()
            mirror = Mirror(job)
            mirror.started({**content, "run_id": job.run_id, "seed": seed})
            live = time.perf_counter()
            for row in run.rows:
                mirror.row(row)
            logged = time.perf_counter()
            mirror.ended({**content, "run_id": job.run_id, "seed": seed})
            ended = time.perf_counter()
            wandb.init(project="bare", dir=folder, mode="offline", reinit="create_new", settings=settings()).finish()
            seconds = (live - started, ended - logged, live - started + ended - logged, time.perf_counter() - ended)
            for name, value in zip(taken, seconds, strict=True):
                taken[name].append(1000 * value)
    return {name: statistics.median(values[2:]) for name, values in taken.items()}
