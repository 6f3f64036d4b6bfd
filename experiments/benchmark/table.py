"""The report: the machine, the ratios, what was met and what was missed."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import torch

from experiments.benchmark.contestants import cores
from lstm_variants.engines import native

MIRROR = 20  # milliseconds that the wandb mirror may take of a run


def machine() -> dict[str, Any]:
    """What the numbers belong to."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return {
        "cpu": next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor()
        ),
        "cores": cores(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compiler": native.compiler(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def busy(facts: dict[str, Any]) -> str:
    """A loud note if other work was running, else nothing."""
    load = facts["load"][0]
    if load < 0.5:
        return ""
    return (
        f"**BUSY MACHINE**: {load} processes wanted to run on {facts['cores']} cores before the start; "
        "trust no absolute time and doubt every ratio.\n\n"
    )


def cell(letter: str, row: dict[str, Any]) -> str:
    """A ratio, its middle half, and its bar."""
    ratio = row["ratios"].get(letter)
    if ratio is None:
        return ""
    bar = row["must"].get(letter)
    mark = "" if bar is None else f" (must {bar:g}: {'**missed**' if letter in row['missed'] else 'met'})"
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}-{ratio['high']:.2f}]{mark}"


def markdown(report: dict[str, Any]) -> str:
    """The whole table."""
    facts = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    lines = [
        "# Training steps, times faster than each baseline",
        "",
        busy(report["machine"]) + facts,
        "",
        "Median of the ratios of each round, and the range of their middle half. (a) nn.LSTM (nn.GRU for the GRU) in "
        "sequence, (b) a process per core, (c) the variant's loop in eager torch, (d) JAX.",
        "",
        "| case | M | B | T | ours, ms | (a) | (b) | (c) | (d) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["cases"]:
        ours = row["seconds"]["ours"]["median"] * 1000
        cells = " | ".join(cell(letter, row) for letter in "abcd")
        lines.append(f"| {row['name']} | {row['models']} | {row['batch']} | {row['steps']} | {ours:.1f} | {cells} |")
    if shares := report["sampling"]:
        worst = ", ".join(f"{name} {share:.1%}" for name, share in sorted(shares.items(), key=lambda s: -s[1])[:5])
        lines += ["", f"Drawing a batch, of a training step on the reference engine at H=64: at most {worst}."]
    for mode, seconds in report["overhead"].items():
        lines += ["", f"A one-step run, composed, recorded, wandb {mode}: {1000 * seconds:.0f} ms."]
    if taken := report["mirror"]:
        met = "met" if taken["both"] < MIRROR else "**missed**"
        ours = f"Start and end of a run's wandb mirror, offline: {taken['both']:.1f} ms (must {MIRROR}: {met})"
        lines += ["", f"{ours}; of a wandb run that is told nothing, in turn with these: {taken['bare']:.1f} ms."]
    for name, own in report["memory"].items():
        lines += ["", f"Peak memory of training per run, {name}: {own['ours']} MB, nn's {own['nn']} MB."]
    return "\n".join(lines) + "\n"
