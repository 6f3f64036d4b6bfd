"""What the runs of a study are doing: python -m experiments.status study=outputs/demo"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analysis.common.command_line import about, command
from experiments.studies.standing import Standing, look

STATUSES = ("finished", "running", "interrupted", "diverged", "failed", "stale", "waiting")


@dataclass
class Options:
    """Show what the runs of a study are doing: by task and variant, rate, time left, the last errors."""

    study: str = field(default=MISSING, metadata=about("the study's folder", example="outputs/demo"))
    watch: bool | None = field(
        default=None, metadata=about("go on showing until nothing is left to do (unless given: on a terminal)")
    )
    every: float = field(default=2.0, metadata=about("seconds between looks, with watch=true"))


def draw(standing: Standing, title: str) -> Group:
    """The table, the running runs and the last errors."""
    shown = [status for status in STATUSES if standing.total[status]]
    table = Table(title=Text(title), show_footer=True)
    table.add_column("task", footer="all")
    table.add_column("variant")
    for status in shown:
        table.add_column(status, str(standing.total[status]), justify="right")
    for (task, variant), count in sorted(standing.counts.items()):
        table.add_row(Text(task), Text(variant), *(str(count[status] or "") for status in shown))
    lines = [Text(line) for line in standing.progress]
    if standing.total["stale"]:
        lines.append(Text("stale: another version of cell, task or trainer made the numbers; retry=stale"))
    if standing.rate is not None:
        left = standing.minutes_left
        ahead = f", about {left:.1f} min left" if left else ""
        lines.append(Text(f"{standing.rate:.1f} runs a minute{ahead}"))
    if standing.slurm is not None:
        lines.append(Text(f"Slurm: {standing.slurm}"))
    lines += [Text(f"error: {line}", style="red") for line in standing.errors]
    return Group(table, *lines)


def show(options: Options) -> None:
    """Print the standing, once or until nothing is left to do; on a terminal the table lives."""
    study, console = Path(options.study), Console()
    standing = look(study)
    watch = console.is_terminal if options.watch is None else options.watch
    if not watch:
        console.print(draw(standing, study.name))
        return
    with Live(draw(standing, study.name), console=console, auto_refresh=False) as live:
        while standing.total["running"] or standing.total["waiting"]:
            time.sleep(options.every)
            standing = look(study)
            live.update(draw(standing, study.name), refresh=True)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    return command("python -m experiments.status", Options, show, argv)


if __name__ == "__main__":
    sys.exit(main())
