"""Run directories -> one frame of runs and one of curves. What a run directory holds is docs/record.md.

`runs` has one row a run. A column is named by its path in run.json (`task.name`, `results.score`,
`config.resolved.train.lr`, `environment.engine`), and these are added:

    record   study folder / run folder
    task     the panel: the task's name, with what differs between tasks of that name     (arms.py)
    name     the row: the variant's label, with what differs between its arms             (arms.py)
    score    `results.score`; worse than every other for a diverged run, which is inf where less is better, else -inf;
             NaN for a run that has not ended
    solved   whether a finished run solved its task; a diverged run never did
    inside.  and a name: what was found inside its trained net; `inside.folder` or `inside.archive`: where (inside.py)
    stale    what of a run has another version today (code_versions.py), "cell, trainer"; its `status` is then `stale`

`curves` has one row a number: run_id, step, metric, value.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.common.command_line import CommandError
from analysis.records import archive, cache, code_versions, columns, inside, wandb_source
from analysis.records.frames import frame, long
from analysis.records.schema import STATUSES

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
    """Read study folders, their archives, or what wandb was told: `wandb-offline:FOLDER`, `wandb:ENTITY/PROJECT`.

    Raises CommandError for a folder that is missing or holds no readable run, for a record of a newer schema,
    and, if `strict`, for any record that cannot be read.
    """
    sources = [str(study) for study in studies]
    mirrored = sorted({source for source in sources if wandb_source.is_source(source)})
    folders = [
        Path(path) for path in sorted({str(Path(study).resolve()) for study in sources if study not in mirrored})
    ]
    found = [read(folder) for folder in folders]
    found += [wandb_source.read(source) for source in mirrored]
    archives = [folder if archive.is_archive(folder) else Path() for folder in folders] + [Path()] * len(mirrored)
    folders = [Path() if archive.is_archive(folder) else folder for folder in folders]  # the names say their study
    folders += [Path()] * len(mirrored)  # there too
    return framed(folders, found, archives, strict)


def load_one(folder: Path) -> Records:
    """One run directory, as :func:`load` gives those of a study; CommandError if it cannot be read."""
    return framed([folder.parent], [cache.parse(folder.parent, {folder.name: ()})], [Path()], strict=True)


def framed(folders: Sequence[Path], found: Sequence[cache.Study], archives: Sequence[Path], strict: bool) -> Records:
    """What was found in these folders, as frames; archives: of each, the archive that it was read from, if it was."""
    records, skipped = opened(folders, found)
    stop_if_unusable(skipped, strict, bool(records))
    study = cache.join(found)
    named = {"record": columns.code(records)}
    if any(key.startswith(inside.COLUMN) for key in study.rows):
        named[inside.FOLDER] = columns.code(places(folders, found))
        named[inside.ARCHIVE] = columns.code(origins(archives, found))
    rows = code_versions.mark(columns.frame(study.rows | named))
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


def places(folders: Sequence[Path], found: Sequence[cache.Study]) -> list[str]:
    """The run directory of each record that could be read; empty for one that has none here."""
    return [
        str(folder / name) if folder.name else ""
        for folder, study in zip(folders, found, strict=True)
        for name, reason in zip(study.names, study.reasons, strict=True)
        if reason is None
    ]


def origins(archives: Sequence[Path], found: Sequence[cache.Study]) -> list[str]:
    """The archive of each record that could be read; empty for one of another source."""
    return [
        str(folder) if folder.name else "" for folder, study in zip(archives, found, strict=True) for _ in study.curves
    ]


def read(study: Path) -> cache.Study:
    """The records of a study folder or of an archive."""
    if not archive.is_archive(study):
        return cache.read(study, directories(study))
    if beside := sorted(entry.name for entry in os.scandir(study) if is_run(entry)):
        raise CommandError(f"study={study} is an archive, and the run {beside[0]} stands in it: move one of them away")
    return archive.read(study)


def directories(study: Path) -> list[str]:
    """The names of the run directories of a study; CommandError if there is none."""
    if not study.is_dir():
        raise CommandError(f"study={study}: there is no such folder")
    archive.refuse(study, "this needs the run directories of the study itself")
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
    ranked = rows.assign(rank=rows["status"].map(STATUSES.index), renamed=renamed)
    ranked = ranked.sort_values(["rank", "renamed", "record"], kind="stable").drop(columns=["rank", "renamed"])
    again = ranked[ranked.duplicated("run_id")]
    kept = ranked.drop(index=again.index)
    used = dict(zip(kept["run_id"], kept["record"], strict=True))
    repeated = [
        Skipped(record, f"it is the same run as {used[run_id]}, which is used")
        for record, run_id in zip(again["record"], again["run_id"], strict=True)
    ]
    return kept.sort_values(["study", "run_id"]), repeated
