"""The runs, commit and command behind a number of a report: `why=TABLE:ROW/COLUMN`.

    why=scores:LSTM/adding                  a cell of the table of scores
    why=solve_curves:LSTM/adding            what a figure draws for a variant on a task

A claim's numbers are those of the two arms it compares, each a row of the table of scores.
"""

import shlex
from collections.abc import Iterable
from typing import Any

import pandas as pd
from tabulate import tabulate

from analysis import checks, figures, tables
from analysis.commandline import CommandError, nearest
from analysis.runs import Records

TABLE = "scores"
COLUMNS = ["record", "seed", "status", "score", "commit", "command"]


def explain(records: Records, asked: str) -> str:
    """What stands behind `TABLE:ROW/COLUMN`; raises CommandError naming what there is."""
    table, colon, place = asked.partition(":")
    known = [TABLE, *figures.discover()]
    if table not in known or not colon:
        raise CommandError(f"why={asked}: expected TABLE:ROW/COLUMN{nearest(table, known)}")
    task, name = located(records.runs, asked, place)
    runs = checks.reported(records.runs)
    runs = runs[(runs["task"] == task) & (runs["name"] == name)]
    if table != TABLE:
        return "\n\n".join([drawn(records, table, task, name), behind(runs, task, name)])
    (row,) = tables.scores(runs).to_dict("records")
    shown = " ".join(filter(None, tables.cell(pd.Series(row))))
    return f"{table}, {name}, {task}: {shown}\n\n{behind(runs, task, name)}"


def located(runs: pd.DataFrame, asked: str, place: str) -> tuple[str, str]:
    """The (task, name) that ROW/COLUMN says; either may have a slash in it."""
    cells = {f"{name}/{task}": (task, name) for task, name in pairs(checks.reported(runs))}
    if place not in cells:
        raise CommandError(f"why={asked}: there is no {place or 'empty cell'}{nearest(place, cells)}")
    return cells[place]


def pairs(runs: pd.DataFrame) -> Iterable[tuple[str, str]]:
    rows = runs[["task", "name"]].drop_duplicates().itertuples(index=False)
    return [(str(task), str(name)) for task, name in rows]


def drawn(records: Records, figure: str, task: str, name: str) -> str:
    """The rows of a figure's numbers for one variant on one task."""
    rows = figures.discover()[figure].numbers(records.runs, records.curves)
    rows = rows[(rows.get("of", rows["task"]) == task) & (rows["name"] == name)]
    if rows.empty:
        raise CommandError(f"why={figure}:{name}/{task}: the figure draws nothing for it")
    return f"{figure}, {name}, {task}\n\n{tabulate(tables.texts(rows), list(rows.columns), disable_numparse=True)}"


def behind(runs: pd.DataFrame, task: str, name: str) -> str:
    """Every run of a cell: its record, what it scored, the commit of the code and the command that makes it again."""
    table = runs.assign(commit=[commit(run) for _, run in runs.iterrows()], command=runs["config.said"].map(command))
    rows = tabulate(tables.texts(table.sort_values("seed")[COLUMNS]), COLUMNS, disable_numparse=True)
    counted = int(runs["status"].isin(checks.COUNTED).sum())
    return f"{len(runs)} runs, {counted} of them counted\n\n{rows}"


def commit(run: "pd.Series[Any]") -> str:
    known = run.get("environment.commit")
    changed = " with uncommitted changes" if run.get("environment.dirty") is True else ""
    return f"{known}{changed}" if isinstance(known, str) else "unknown"


def command(said: object) -> str:
    """The command that makes the run again."""
    words = said if isinstance(said, list) else []
    return " ".join(["python -m experiments.run", *(shlex.quote(str(word)) for word in words)])
