"""How fast a stack of models trains, beside what one would otherwise do: ``python -m experiments.benchmark``.

A case is one training step of M models of one variant. In every round ours and each baseline run once, in turn, in this
process:

- (a) nn.LSTM (nn.GRU for the GRU), one model after another, on 1 or on all threads, the better of the two in each round
- (b) the same models spread over as many processes as there are cores, one thread each, at the same time
- (c) the variant as one's own loop over time in eager torch, one model after another, 1 or all threads
- (d) JAX, jit(vmap(scan)) over all models, if it is installed

A ratio is a baseline's time over ours in the same round; the table has the median and the range of the middle half.
Of baselines that run one model after another, ``sample`` models are timed and the time is multiplied.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.common import resources
from analysis.common.command_line import CommandError, about, command
from experiments.benchmark import overhead, small_nets, whole_study
from experiments.benchmark.busy_machine import busy, machine
from experiments.benchmark.cases import Case, cases
from experiments.benchmark.contestants import Workers
from experiments.benchmark.measure import measure, memory
from experiments.benchmark.table import cell, markdown


@dataclass
class Options:
    """Time training steps of stacked models beside nn.LSTM, processes, eager loops and JAX."""

    quick: bool = field(default=False, metadata=about("the main cases only, half the steps; within a minute"))
    only: list[str] = field(default_factory=list, metadata=about("cases whose name contains one of these", "GRU,tiny"))
    rounds: int = field(default=7, metadata=about("rounds of each case, 7 or more"))
    sample: int = field(default=1, metadata=about("models timed of a baseline that runs one after another"))
    out: str = field(default="outputs/benchmark", metadata=about("folder for benchmark.json and benchmark.md"))


def _chosen(options: Options) -> list[Case]:
    chosen = [case for case in cases() if case.quick or not options.quick]
    if options.only:
        chosen = [case for case in chosen if any(part in case.name for part in options.only)]
    if not chosen and not _small(options):
        raise CommandError(
            f"only={','.join(options.only)}: no such case; there is small nets, {', '.join(c.name for c in cases())}"
        )
    return [case.halved() if options.quick else case for case in chosen]


def _small(options: Options) -> bool:
    """Whether the lines of small nets are asked for."""
    return not options.quick and (not options.only or any(part in small_nets.NAME for part in options.only))


def run(options: Options) -> None:
    """Measure, print as it goes, write the report."""
    if options.rounds < 7:
        raise CommandError(f"rounds={options.rounds}: a median of fewer than 7 says little")
    chosen = _chosen(options)
    report: dict[str, Any] = {"machine": machine(), "cases": []}
    report |= {"small": [], "memory": {}, "sampling": {}, "overhead": {}, "mirror": {}, "study": {}}
    if note := busy(report["machine"]):
        print(note.strip(), file=sys.stderr, flush=True)
    if _small(options):
        report["small"] = small_nets.measure(options.rounds)
    workers = Workers(resources.cores() if chosen else 0)
    try:
        for case in chosen:
            row = measure(case, workers, options.rounds, options.sample)
            report["cases"].append(row)
            print(case.name, *(f"({k}) {cell(k, row)}" for k in row["ratios"]), file=sys.stderr, flush=True)
    finally:
        workers.close()
    for case in (c for c in chosen if c.name in ("LSTM H=64", "LSTM H=128") and sys.platform == "linux"):
        report["memory"][case.name] = memory(case)
    if not (options.quick or options.only):
        report["sampling"] = {name: overhead.sampling_share(name) for name in overhead.bundled_tasks()}
        report["mirror"] = overhead.mirror_cost(60)
        report["overhead"] = {
            "stacked, wandb disabled": overhead.seconds_per_run(500, "disabled"),
            "stacked, wandb offline": overhead.seconds_per_run(500, "offline"),
            "Hydra's basic launcher, wandb offline": overhead.seconds_per_run(100, "offline", "basic"),
        }
        report["study"] = whole_study.measure()
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "benchmark.md").write_text(markdown(report), encoding="utf-8")
    print(markdown(report))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return command("python -m experiments.benchmark", Options, run, argv)


if __name__ == "__main__":
    sys.exit(main())
