"""Today's versions of trainer, cells and tasks. This is the one place that knows them.

A change that alters results raises a number here: every record made before it is stale from then on, left out by all
that reads records, and made again with `retry=stale`. What is not listed has version 1, so that a new cell or task
edits nothing. What is a user's own has no number: its version is the content of its files, a cell's with those of the
activations and the initialisation that it has.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

TRAINER = 2
CELLS: dict[str, int] = {}  # by file in lstm_variants/cells; `gated` is the gate algebra
TASKS: dict[str, int] = {  # by file in experiments/tasks; with a setting beside it only the runs that have it
    "adding layout=1997": 2,
    "arithmetic": 2,
    "arrays": 2,
    "associative_recall fill=random": 2,
    "continual_adding": 2,
    "continual_reber": 2,
    "counting": 2,
    "multiplication": 2,
    "noisy_lag layout=2a": 2,
    "noisy_lag layout=2b": 2,
    "timing": 2,
}

PARTS = ("cell", "task", "trainer")
CELL, GATED = "config.resolved.variant.cell", "gated"
SETTINGS = sorted({word.partition("=")[0] for words in TASKS for word in words.split()[1:]})
COLUMNS = [CELL, "task.name", "sources.cell", "sources.task", *(f"semantics.{part}" for part in PARTS)]
COLUMNS += [f"config.resolved.task.{key}" for key in SETTINGS]
Version = int | str


def today(cell: str, task: str, settings: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Version]:
    """The versions that a run made today has, a record's `semantics`.

    cell, task: their names; settings: the task's; sources: the user's own files, one a line, of those of the two that
    rest on some.
    """
    listed: dict[str, Version] = {"cell": CELLS.get(cell, 1), "task": of_task(task, settings), "trainer": TRAINER}
    users = {part: content(paths) for part, paths in sources.items()}
    return {**listed, **{part: text if listed[part] == 1 else f"{listed[part]}-{text}" for part, text in users.items()}}


def of_task(name: str, settings: Mapping[str, Any]) -> int:
    """The version of a task with these settings."""
    words = {name, *(f"{key}={value}" for key, value in settings.items())}
    return max((version for listed, version in TASKS.items() if {name} <= set(listed.split()) <= words), default=1)


def content(paths: str | Path) -> str:
    """8 hex digits that change with the content of files, one a line."""
    return hashlib.sha256(b"".join(Path(path).read_bytes() for path in str(paths).split("\n"))).hexdigest()[:8]


def outdated(semantics: Mapping[str, Any], now: Mapping[str, Version]) -> list[str]:
    """Which of cell, task and trainer had another version when a record was made than now."""
    return [part for part in PARTS if part in now and semantics.get(part) != now[part]]


def outdated_of(row: Mapping[str, Any]) -> list[str]:
    """The same for a record as one flat mapping.

    A file of the user's own that is no longer where it was, or cannot be read, tells nothing: its part counts as it is.
    """
    settings = {key: row.get(f"config.resolved.task.{key}") for key in SETTINGS}
    facts = str(row.get(CELL) or GATED), str(row.get("task.name")), settings
    now = today(*facts, {})
    sources = {part: paths for part in PARTS if isinstance(paths := row.get(f"sources.{part}"), str)}
    for part, paths in sources.items():
        del now[part]
        with suppress(OSError, ValueError):
            now[part] = today(*facts, {part: paths})[part]
    return outdated({part: row.get(f"semantics.{part}") for part in PARTS}, now)


def mark(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs with the status `stale` where their versions are not today's, and `stale`: what of them is another."""
    known = rows.reindex(columns=COLUMNS).astype(object)
    known = known.where(known.notna(), None)
    judged = cache(lambda values: ", ".join(outdated_of(dict(zip(COLUMNS, values, strict=True)))))
    keys = ([value if value.__hash__ else str(value) for value in row] for row in known.itertuples(index=False))
    stale = pd.Series([judged(tuple(key)) for key in keys], rows.index, dtype=object)
    return rows.assign(status=rows["status"].where(stale == "", "stale"), stale=stale)
