"""What the runs of a study are doing: python -m experiments.status study=outputs/demo"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import MISSING
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analysis.commandline import CommandError, about, command
from experiments.jobs import SWEEP

STATUSES = ("finished", "running", "interrupted", "diverged", "failed", "stale", "waiting")
ERRORS_SHOWN = 5


@dataclass
class Options:
    """Show what the runs of a study are doing: by task and variant, rate, time left, the last errors."""

    study: str = field(default=MISSING, metadata=about("the study's folder", example="outputs/demo"))
    watch: bool = field(default=False, metadata=about("go on showing until nothing is left to do"))
    every: float = field(default=2.0, metadata=about("seconds between looks, with watch=true"))


@dataclass(frozen=True)
class Standing:
    """A study at one instant.

    Attributes:
        counts: (task, variant) -> how many runs have each status.
        waiting: runs of the last sweep that have not begun.
        progress: running runs as "run_id: step of steps".
        rate: runs ended a minute since the sweep began; None before the first.
        errors: the last failures, a line each.
    """

    counts: dict[tuple[str, str], Counter[str]]
    waiting: int
    progress: list[str]
    rate: float | None
    errors: list[str]

    @property
    def total(self) -> Counter[str]:
        """How many runs have each status."""
        return sum(self.counts.values(), Counter({"waiting": self.waiting}))

    @property
    def minutes_left(self) -> float | None:
        """Minutes until nothing waits, at the rate so far."""
        left = self.total["waiting"] + self.total["running"]
        return left / self.rate if self.rate else None


def look(study: Path) -> Standing:
    """Read where a study stands.

    Raises:
        CommandError: if there is no such study.
    """
    if not study.is_dir():
        raise CommandError(f"study={study}: no such folder")
    records = [record for path in study.glob("*/run.json") if (record := _read(path))]
    sweep = _read(study / SWEEP) or {"run_ids": [], "started": None}
    if not records and not sweep["run_ids"]:
        raise CommandError(f"study={study}: no runs in this folder")
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        counts[record["task"]["name"], record["variant"]][record["status"]] += 1
    begun = {record["run_id"] for record in records}
    failed = sorted((r for r in records if r["error"]), key=lambda r: str(r["timing"]["finished"]))
    return Standing(
        counts=dict(counts),
        waiting=len(set(sweep["run_ids"]) - begun),
        progress=[_progress(study, record) for record in records if record["status"] == "running"],
        rate=_rate(records, sweep["started"]),
        errors=[f"{r['run_id']}: {r['error']}" for r in failed[-ERRORS_SHOWN:]],
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def _progress(study: Path, record: Mapping[str, Any]) -> str:
    path = study / record["run_id"] / "metrics.csv"
    lines = path.read_text().splitlines() if path.is_file() else []
    step = lines[-1].split(",")[0] if len(lines) > 1 else "0"
    return f"{record['run_id']}: step {step} of {record['config']['resolved']['train']['steps']}"


def _rate(records: Sequence[Mapping[str, Any]], started: str | None) -> float | None:
    ended = [r["timing"]["finished"] for r in records if r["timing"]["finished"]]
    since = [end for end in ended if started is None or end >= started]
    if not since or started is None:
        return None
    running = any(record["status"] == "running" for record in records)
    last = datetime.now(UTC) if running else datetime.fromisoformat(max(since))
    minutes = (last - datetime.fromisoformat(started)).total_seconds() / 60
    return len(since) / minutes if minutes > 0 else None


def draw(standing: Standing, title: str) -> Group:
    """The table, the running runs and the last errors."""
    shown = [status for status in STATUSES if standing.total[status]]
    table = Table(title=title, show_footer=True)
    table.add_column("task", footer="all")
    table.add_column("variant")
    for status in shown:
        table.add_column(status, str(standing.total[status]), justify="right")
    for (task, variant), count in sorted(standing.counts.items()):
        table.add_row(task, variant, *(str(count[status] or "") for status in shown))
    lines = [Text(line) for line in standing.progress]
    if standing.rate is not None:
        left = standing.minutes_left
        ahead = f", about {left:.1f} min left" if left else ""
        lines.append(Text(f"{standing.rate:.1f} runs a minute{ahead}"))
    lines += [Text(f"error: {line}", style="red") for line in standing.errors]
    return Group(table, *lines)


def show(options: Options) -> None:
    """Print the standing, once or until nothing is left to do."""
    study, console = Path(options.study), Console()
    standing = look(study)
    if not options.watch:
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
