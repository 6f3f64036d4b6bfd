"""Run directories -> one frame of runs and one of curves. What a run directory holds is docs/record.md.

`runs` has one row a run. A column is named by its path in run.json (`task.name`, `results.score`,
`config.resolved.train.lr`, `environment.engine`), and these are added:

    record   study folder / run folder
    task     the panel: the task's name, with what differs between tasks of that name     (arms.py)
    name     the row: the variant's label, with what differs between its arms             (arms.py)
    score    `results.score`; the chance level for a diverged run; NaN for a run that has not ended
    solved   whether a finished run solved its task; a diverged run never did

`curves` has one row a number: run_id, step, metric, value.

    python -m analysis.runs study=outputs/demo
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import MISSING

from analysis import arms, checks, tables
from analysis.commandline import CommandError, about, command
from analysis.record import Row, UnreadableError, read_curves, read_run

NUMBERS = ["task.length", "task.chance", "task.solved", "parameters.layer", "parameters.total"]
NUMBERS += ["parameters.hidden_size", "results.score", "results.steps", "results.steps_to_solve"]
NUMBERS += ["timing.seconds", "timing.steps_per_second"]
Found = tuple[dict[str, Any], list[Row]]  # run.json, flat, and the numbers of metrics.csv


class Skipped(NamedTuple):
    record: str
    reason: str


@dataclass(frozen=True)
class Records:
    """What the study folders hold; `skipped` names every record that is not in `runs`, with the reason."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    skipped: list[Skipped]


def load(studies: Iterable[str | Path], strict: bool = False) -> Records:
    """Read study folders.

    Raises CommandError for a folder that is missing or holds no readable run, for a record of a newer schema,
    and, if `strict`, for any record that cannot be read.
    """
    folders = [Path(path) for path in sorted({str(Path(study).resolve()) for study in studies})]
    found: list[Found] = []
    skipped: list[Skipped] = []
    for directory in [directory for folder in folders for directory in directories(folder)]:
        record = f"{directory.parent.name}/{directory.name}"
        try:
            row = {"record": record, **read_run(directory)}
            found.append((row, read_curves(directory, row["run_id"], row["status"])))
        except UnreadableError as reason:
            skipped.append(Skipped(record, str(reason)))
    stop_if_unusable(skipped, strict, bool(found))
    kept, repeated = once_each(found)
    curves = pd.DataFrame(
        [number for _, rows in kept for number in rows], columns=["run_id", "step", "metric", "value"]
    )
    return Records(frame([row for row, _ in kept]), curves, sorted(skipped + repeated))


def directories(study: Path) -> list[Path]:
    """The run directories of a study, by name; CommandError if there is none."""
    if not study.is_dir():
        raise CommandError(f"study={study}: there is no such folder")
    marks = ("run.json", "metrics.csv", "checkpoint.pt", ".hydra")
    found = [path for path in sorted(study.iterdir()) if any((path / mark).exists() for mark in marks)]
    if found:
        return found
    inside = sorted({path.parent.parent.name for path in study.glob("*/*/run.json")})
    hint = f"; it holds the studies {', '.join(inside)}: name one, study={study / inside[0]}" if inside else ""
    raise CommandError(f"study={study}: no runs in this folder{hint}")


def stop_if_unusable(skipped: Sequence[Skipped], strict: bool, any_readable: bool) -> None:
    if skipped and (strict or not any_readable):
        why = f"strict=true and {len(skipped)} of the records" if any_readable else f"all {len(skipped)} records"
        raise CommandError(f"{why} cannot be read, the first is {skipped[0].record}: {skipped[0].reason}")


def once_each(
    found: Sequence[Found],
) -> tuple[list[Found], list[Skipped]]:
    """A run that stands in two places counts once: the finished one, else the first."""
    kept: dict[str, Found] = {}
    repeated = []
    for row, rows in sorted(found, key=lambda pair: (checks.STATUSES.index(pair[0]["status"]), pair[0]["record"])):
        first, _ = kept.setdefault(row["run_id"], (row, rows))
        if first is not row:
            repeated.append(Skipped(row["record"], f"it is the same run as {first['record']}, which is used"))
    return sorted(kept.values(), key=lambda pair: (pair[0]["study"], pair[0]["run_id"])), repeated


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The tidy frame of runs, with the columns that this module adds."""
    runs = pd.DataFrame(list(rows))
    runs = runs.reindex(columns=list(dict.fromkeys([*runs.columns, *NUMBERS])))
    runs = runs.astype(dict.fromkeys(NUMBERS, float))
    worst = pd.Series(np.where(runs["task.direction"] == "min", np.inf, -np.inf), runs.index)
    chance = runs["task.chance"].fillna(worst)  # a task without a chance level: diverged is worse than any score
    runs["score"] = runs["results.score"].where(runs["status"] == "finished", np.nan)
    runs["score"] = runs["score"].where(runs["status"] != "diverged", chance)
    runs["solved"] = [row.get("results.solved") is True and row["status"] == "finished" for row in rows]
    return arms.named(runs)


@dataclass
class Options:
    """Print what the runs of a study scored, how many ended how, and which records were skipped and why."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, separated by commas", example="outputs/demo")
    )
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))


def show(options: Options) -> None:
    records = load(options.study, options.strict)
    print(tables.counts(records.runs), end="\n\n")
    table = tables.scores(records.runs)
    print(tables.plain(tables.wide(table)) if len(table) else "every run is stale: nothing to compare")
    if records.skipped:
        print(f"\nskipped ({len(records.skipped)})")
        print("\n".join(f"  {record}: {reason}" for record, reason in records.skipped))


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.runs", Options, show, argv)


if __name__ == "__main__":
    sys.exit(main())
