"""The report: the machine, the ratios, what was met and what was missed."""

from __future__ import annotations

import statistics
from typing import Any

from experiments.benchmark import gains, small_nets
from experiments.benchmark.busy_machine import busy

OVERHEAD = 50  # milliseconds that a run may take outside training
MIRROR = 20  # milliseconds that the wandb mirror may take of a run
STUDY = 3  # times faster than a skilled user's script


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def cell(letter: str, row: dict[str, Any]) -> str:
    """A ratio, its middle half, and its bar."""
    ratio = row["ratios"].get(letter)
    if ratio is None:
        return ""
    bar = row["must"].get(letter)
    mark = "" if bar is None else f" (must {bar:g}: {_met(letter not in row['missed'])})"
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
    if gained := gains.table(report):
        lines += ["", "What a user gains, times faster:", "", *gained]
    if report["small"]:
        lines += ["", small_nets.markdown(report["small"])]
    if shares := report["sampling"]:
        worst = ", ".join(f"{name} {share:.1%}" for name, share in sorted(shares.items(), key=lambda s: -s[1])[:5])
        lines += ["", f"Drawing a batch, of a training step on the reference engine at H=64: at most {worst}."]
    for how, seconds in report["overhead"].items():
        bar = f" (must {OVERHEAD}: {_met(1000 * seconds < OVERHEAD)})" if how == "stacked, wandb offline" else ""
        lines += ["", f"A run of one step in a sweep of hundreds, {how}: {1000 * seconds:.0f} ms{bar}."]
    if taken := report["mirror"]:
        ours = f"Start and end of a run's wandb mirror, offline: {taken['both']:.1f} ms"
        ours += f" (must {MIRROR}: {_met(taken['both'] < MIRROR)})"
        lines += ["", f"{ours}; of a wandb run that is told nothing, in turn with these: {taken['bare']:.1f} ms."]
    if study := report["study"]:
        ways = ", ".join(f"{name} {statistics.median(study[name]):.0f} s" for name in study if name != "ratio")
        ratio = statistics.median(study["ratio"])
        lines += ["", f"A whole study: {ways}; ratio {ratio:.1f} (must {STUDY}: {_met(ratio >= STUDY)})."]
    for name, own in report["memory"].items():
        lines += ["", f"Peak memory of training per run, {name}: {own['ours']} MB, nn's {own['nn']} MB."]
    return "\n".join(lines) + "\n"
