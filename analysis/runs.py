"""Run directories -> one frame of runs and one of curves. What a run directory holds is docs/record.md.

`runs` has one row a run. A column is named by its path in run.json (`task.name`, `results.score`,
`config.resolved.train.lr`, `environment.engine`), and these are added:

    record   study folder / run folder
    task     the panel: the task's name, with what differs between tasks of that name     (arms.py)
    name     the row: the variant's label, with what differs between its arms             (arms.py)
    score    `results.score`; worse than every other for a diverged run, which is inf where less is better, else -inf;
             NaN for a run that has not ended
    solved   whether a finished run solved its task; a diverged run never did
    stale    what of a run has another version today (versions.py), "cell, trainer"; its `status` is then `stale`

`curves` has one row a number: run_id, step, metric, value.

    python -m analysis.runs study=outputs/demo
"""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import MISSING

from analysis.common.command_line import CommandError, about, command
from analysis.pages import tables
from analysis.records import arms, cache, checks, columns, versions, wandb_source
from analysis.records.read import Curves

NUMBERS = ["task.length", "task.chance", "task.solved", "parameters.layer", "parameters.total"]
NUMBERS += ["parameters.hidden_size", "results.score", "results.steps", "results.steps_to_solve"]
NUMBERS += ["results.final.eval/loss", "timing.seconds", "timing.steps_per_second"]


MARKS = ("run.json", "metrics.csv", "checkpoint.pt", ".hydra")  # of a run directory


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
    """Read study folders, or what their mirror told wandb: `wandb-offline:FOLDER`, `wandb:ENTITY/PROJECT`.

    Raises CommandError for a folder that is missing or holds no readable run, for a record of a newer schema,
    and, if `strict`, for any record that cannot be read.
    """
    sources = [str(study) for study in studies]
    mirrored = sorted({source for source in sources if wandb_source.is_source(source)})
    folders = [
        Path(path) for path in sorted({str(Path(study).resolve()) for study in sources if study not in mirrored})
    ]
    found = [cache.read(folder, directories(folder)) for folder in folders]
    found += [wandb_source.read(source) for source in mirrored]
    folders += [Path()] * len(mirrored)  # the names there say their study
    records, skipped = opened(folders, found)
    stop_if_unusable(skipped, strict, bool(records))
    study = cache.join(found)
    rows = versions.mark(columns.frame(study.rows | {"record": columns.code(records)}))
    kept, repeated = once_each(rows)
    return Records(frame(kept.reset_index(drop=True)), long(kept, study.curves), sorted(skipped + repeated))


def opened(folders: Sequence[Path], found: Sequence[cache.Study]) -> tuple[list[str], list[Skipped]]:
    """Which records could be read, and which could not and why."""
    names = [
        f"{folder.name}/{name}".lstrip("/")
        for folder, study in zip(folders, found, strict=True)
        for name in study.names
    ]
    reasons = [reason for study in found for reason in study.reasons]
    read = [name for name, reason in zip(names, reasons, strict=True) if reason is None]
    return read, [Skipped(name, reason) for name, reason in zip(names, reasons, strict=True) if reason is not None]


def directories(study: Path) -> list[str]:
    """The names of the run directories of a study; CommandError if there is none."""
    if not study.is_dir():
        raise CommandError(f"study={study}: there is no such folder")
    found = sorted(entry.name for entry in os.scandir(study) if is_run(entry))
    if found:
        return found
    inside = sorted({path.parent.parent.name for path in study.glob("*/*/run.json")})
    hint = f"; it holds the studies {', '.join(inside)}: name one, study={study / inside[0]}" if inside else ""
    raise CommandError(f"study={study}: no runs in this folder{hint}")


def is_run(entry: "os.DirEntry[str]") -> bool:
    """Whether this is a run directory, or hides whether it is: a link that leads nowhere, a folder kept from us."""
    if not os.path.isdir(entry.path):
        return entry.is_symlink() and not os.path.exists(entry.path) and not entry.name.startswith(".")
    kept_from_us = not os.access(entry.path, os.X_OK) and not entry.name.startswith(".")
    return kept_from_us or any(os.path.lexists(f"{entry.path}/{mark}") for mark in MARKS)


def stop_if_unusable(skipped: Sequence[Skipped], strict: bool, any_readable: bool) -> None:
    if skipped and (strict or not any_readable):
        why = f"strict=true and {len(skipped)} of the records" if any_readable else f"all {len(skipped)} records"
        raise CommandError(f"{why} cannot be read, the first is {skipped[0].record}: {skipped[0].reason}")


def once_each(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Skipped]]:
    """A run that stands in several places, copies and links, counts once.

    That is the finished one, else the one whose folder has the run's name, else the first. rows: at least the columns
    run_id, record, status, study.
    """
    renamed = rows["record"].str.rpartition("/")[2] != rows["run_id"]
    ranked = rows.assign(rank=rows["status"].map(checks.STATUSES.index), renamed=renamed)
    ranked = ranked.sort_values(["rank", "renamed", "record"], kind="stable").drop(columns=["rank", "renamed"])
    again = ranked[ranked.duplicated("run_id")]
    kept = ranked.drop(index=again.index)
    used = dict(zip(kept["run_id"], kept["record"], strict=True))
    repeated = [
        Skipped(record, f"it is the same run as {used[run_id]}, which is used")
        for record, run_id in zip(again["record"], again["run_id"], strict=True)
    ]
    return kept.sort_values(["study", "run_id"]), repeated


FILES = "task.content."


def one_name_per_file(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, in which a file has one name, the first of those it goes by, and a name is that of one file.

    A setting that names a file has its content in `task.content.` beside it, which is what makes the run.
    """
    for column in [column for column in runs.columns if column.startswith(FILES)]:
        setting = f"{arms.TASK}{column.removeprefix(FILES)}"
        known = runs[runs[column].notna()]
        several = known.groupby(setting)[column].transform("nunique") > 1
        ambiguous = known[column].isin(known.loc[several, column])
        name = known.groupby(column)[setting].transform("min")
        name = name.where(~ambiguous, name + " [" + known[column].str[:8] + "]")
        runs = runs.assign(**{setting: name.reindex(runs.index).fillna(runs[setting])})
    return runs


def frame(rows: pd.DataFrame) -> pd.DataFrame:
    """The tidy frame of runs, with the columns that this module adds."""
    rows = one_name_per_file(rows)
    runs = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *NUMBERS, "results.solved"])))
    runs = runs.astype(dict.fromkeys(NUMBERS, float))
    worst = pd.Series(np.where(runs["task.direction"] == "min", np.inf, -np.inf), runs.index)
    runs["score"] = runs["results.score"].where(runs["status"] == "finished", np.nan)
    runs["score"] = runs["score"].where(runs["status"] != "diverged", worst)
    runs["solved"] = [solved is True for solved in runs["results.solved"]]
    runs["solved"] &= runs["status"] == "finished"
    return arms.named(runs)


def long(kept: pd.DataFrame, curves: Sequence[Curves]) -> pd.DataFrame:
    """One row per number. `kept` are the runs to have them of, its index their places in `curves`."""
    chosen = [(run, curves[place]) for run, place in enumerate(kept.index)]
    headers = dict.fromkeys(curve.metrics for _, curve in chosen)
    names = sorted({metric for header in headers for metric in header})
    parts = [melted([pair for pair in chosen if pair[1].metrics == header], header, names) for header in headers]
    runs, steps, metrics, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    run_id = pd.Categorical.from_codes(runs, pd.Index(kept["run_id"]))
    metric = pd.Categorical.from_codes(metrics, pd.Index(names))
    return pd.DataFrame({"run_id": run_id, "step": steps.astype(int), "metric": metric, "value": values})


def melted(chosen: Sequence[tuple[int, Curves]], header: Sequence[str], names: Sequence[str]) -> list[NDArray[Any]]:
    """The numbers of runs that have one header, without the empty cells: run, step, place in `names`, value."""
    whole = np.concatenate([curve.table for _, curve in chosen])
    runs = np.repeat([run for run, _ in chosen], [len(curve.table) for _, curve in chosen])
    places = np.array([names.index(metric) for metric in header], dtype=int)
    row, column = np.nonzero(~np.isnan(whole[:, 1:]))
    return [runs[row], whole[row, 0], places[column], whole[row, 1 + column]]


@dataclass
class Options:
    """Print what the runs of a study scored, how many ended how, and which records were skipped and why."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, by comma; or source=wandb-offline:DIR", example="outputs/demo")
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
