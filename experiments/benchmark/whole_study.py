"""A whole study, from the command to finished records, beside a skilled user's script (``users_script.py``).

Variants x learning rates x seeds on the adding task, T=100, H=32, B=32: the same data sizes, steps and evaluations.
Ours is the command line as it stands, with records, weights and an offline wandb run each; theirs writes a CSV, once
with a process per core and once with all threads in one process, and the faster counts.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from analysis.common import resources
from experiments.benchmark import users_script

VARIANTS = ("lstm", "gru", "no_input_gate", "no_forget_gate", "no_output_gate", "coupled_gates", "peephole")
RATES = ("0.003", "0.01")


WAYS = ("processes", "threads")  # how the script is run: a process per core, or all threads in one process


def measure(rounds: int = 1, seeds: int = 2, steps: int = 300, ways: Sequence[str] = WAYS) -> dict[str, list[float]]:
    """Seconds of the whole study, ours and theirs in turn in every round.

    Args:
        rounds: how often.
        seeds: seeds of each of 7 variants at 2 learning rates.
        steps: training steps of a run, evaluated three times on the way.
        ways: how the script is run.

    Returns:
        ``ours`` and each way: seconds, one a round; ``ratio``: the fastest of theirs over ours.
    """
    cores = resources.cores()
    seconds: dict[str, list[float]] = {"ours": [], **{way: [] for way in ways}}
    for _ in range(rounds):
        seconds["ours"].append(_ours(seeds, steps))
        for way in ways:
            processes, threads = (cores, 1) if way == "processes" else (1, cores)
            seconds[way].append(_theirs(seeds, steps, processes, threads))
    fastest = [min(times) for times in zip(*(seconds[way] for way in ways), strict=True)]
    ratios = [their / our for their, our in zip(fastest, seconds["ours"], strict=True)]
    return {**seconds, "ratio": ratios}


def _ours(seeds: int, steps: int) -> float:
    sizes = f"model.hidden_size={users_script.HIDDEN} task.length={users_script.LENGTH} train.clip=1"
    sizes += f" train.batch_size={users_script.BATCH} train.eval_size={users_script.EVALUATED}"
    axes = [f"variant={','.join(VARIANTS)}", f"train.lr={','.join(RATES)}", f"seed=range(0,{seeds})"]
    with tempfile.TemporaryDirectory() as folder:
        said = [*sizes.split(), *axes, f"train.steps={steps}", f"train.eval_every={steps // 3}", f"study={folder}/s"]
        seconds = _timed([sys.executable, "-m", "gates", "run", "-m", "task=adding", *said])
        made = len(list(Path(folder).glob("s/*/weights.pt")))
    assert made == len(VARIANTS) * len(RATES) * seeds, f"{made} runs"
    return seconds


def _theirs(seeds: int, steps: int, processes: int, threads: int) -> float:
    numbers = [str(number) for number in (steps, steps // 3, processes, threads)]
    axes = [",".join(VARIANTS), ",".join(RATES), ",".join(map(str, range(seeds)))]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.csv"
        seconds = _timed([sys.executable, str(Path(users_script.__file__)), str(out), *numbers, *axes])
        with out.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(VARIANTS) * len(RATES) * seeds, f"{len(rows)} rows"
    return seconds


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
