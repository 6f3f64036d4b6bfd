"""The contestants in turn, and the memory of training."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from experiments.benchmark.cases import Case
from experiments.benchmark.contestants import Workers, contestants, ours, torchs


def _middle(values: Sequence[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": median, "low": low, "high": high}


def measure(case: Case, workers: Workers, rounds: int, sample: int) -> dict[str, Any]:
    """All contestants in turn, in an order that moves on from round to round; ratios are taken within a round."""
    timed = contestants(case, workers, sample)
    seconds: dict[str, list[float]] = {letter: [] for letter in timed}
    for number in range(-2, rounds):  # two rounds to warm up
        first = number % len(timed)
        for letter in [*list(timed)[first:], *list(timed)[:first]]:
            taken = timed[letter]()
            if number >= 0:
                seconds[letter].append(taken)
    ratios = {
        letter: _middle([theirs / ours for theirs, ours in zip(own, seconds["ours"], strict=True)])
        for letter, own in sorted(seconds.items())
        if letter != "ours"
    }
    return {
        **asdict(case),
        "seconds": {letter: _middle(own) for letter, own in seconds.items()},
        "ratios": ratios,
        "missed": {
            letter: bar for letter, bar in case.must.items() if letter in ratios and ratios[letter]["median"] < bar
        },
    }


def _status(name: str) -> float:
    """A line of /proc/self/status, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _growth(pipe: Connection, case: Case, mine: bool) -> None:
    """Megabytes by which three training steps raise the peak of a fresh process, per model."""
    small = Case("", case.variant, 8, 2, 3, 1)
    torch.set_num_threads(1)
    (ours(small) if mine else torchs(small, 1))()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    step = ours(case) if mine else torchs(case, 1)
    for _ in range(3):
        step()
    pipe.send((_status("VmHWM") - before) / (case.models if mine else 1))


def memory(case: Case) -> dict[str, float]:
    """Peak memory of training per run, ours and nn.LSTM's, in megabytes (Linux only)."""
    found: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    for name, mine in (("ours", True), ("nn", False)):
        receive, send = context.Pipe()
        process = context.Process(target=_growth, args=(send, case, mine))
        process.start()
        found[name] = round(receive.recv(), 1)
        process.join()
    return found
