"""The table of a report: variant x task, as a long frame, as text, Markdown, LaTeX and CSV."""

import math
from typing import Any

import pandas as pd

from analysis.pages.formats import number
from analysis.records import counted, order
from analysis.statistics.estimates import ENOUGH, median_interval

KEYS = {
    "variant": "variant",
    "metric": "task.metric",
    "unit": "task.unit",
    "direction": "task.direction",
    "length": "task.length",
    "chance": "task.chance",
    "solved_from": "task.solved",
    "hidden_size": "parameters.hidden_size",
    "parameters": "parameters.layer",
    "parameters_total": "parameters.total",
}
REFERENCES = {"chance": "chance", "solved from": "solved_from"}  # the last rows of the table -> their columns
NOTE = (
    "Median over seeds of the task's own measure at the end of training; n is the number of seeds. In round brackets "
    f"the smallest and largest seed, where n is below {ENOUGH}; in square brackets the exact 95 % interval of the "
    f"median, from n = {ENOUGH} on. A diverged run is worse than every other and never solves. Parameters: those of "
    "the recurrent layers."
)


def scores(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per (task, name), in the order of the names: the score over seeds, its references, sizes and costs.

    `median`, `smallest`, `largest`, `low`, `high` (the 95 % interval, from n = 6), `chance` and `solved_from` are in
    the metric's unit; `steps` is the median of the steps trained, `seconds` and `steps_per_second` of the wall clock.
    """
    chosen = counted.reported(runs)
    groups = {(str(task), str(name)): cell for (task, name), cell in chosen.groupby(["task", "name"])}
    keys = [(task, name) for name in order.rows(chosen) for task in order.tasks(chosen)]
    return pd.DataFrame([{"task": key[0], "name": key[1], **summary(groups[key])} for key in keys if key in groups])


def summary(cell: pd.DataFrame) -> dict[str, Any]:
    """One cell of the table; a cell without a scored run has no median."""
    scored = counted.scored(cell)
    spread = median_interval(scored["score"]) if len(scored) else None
    exact = spread is not None and spread.kind == "interval"
    return {
        **{key: cell.iloc[0][column] for key, column in KEYS.items()},
        "n": len(scored),
        "solved": int(scored["solved"].sum()),
        "diverged": int((scored["status"] == "diverged").sum()),
        "missing": len(cell) - len(scored),
        "median": spread.median if spread else math.nan,
        "smallest": scored["score"].min(),
        "largest": scored["score"].max(),
        "low": spread.low if spread and exact else math.nan,
        "high": spread.high if spread and exact else math.nan,
        "steps": scored["results.steps"].median(),
        "seconds": scored["timing.seconds"].median(),
        "steps_per_second": scored["timing.steps_per_second"].median(),
    }


def cell(row: "pd.Series[Any]") -> tuple[str, str, str]:
    """How a cell reads: the median, its range or interval, and the counts."""
    counts = [f"{row[key]} {key}" for key in ("diverged", "missing") if row[key]]
    if not row["n"]:
        return "–", "", ", ".join(counts)
    if row["n"] < ENOUGH:
        spread = f"({number(row['smallest'])} to {number(row['largest'])})"
    else:
        spread = f"[{number(row['low'])}, {number(row['high'])}]"
    return number(row["median"]), spread, ", ".join([f"n={row['n']}", *counts])


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Variant x task as text, with a column of parameters; the last rows are chance and the solved threshold."""
    tasks = order.tasks(table)
    texts = {(row["name"], row["task"]): " ".join(filter(None, cell(row))) for _, row in table.iterrows()}
    names = list(dict.fromkeys(table["name"]))
    rows = [[parameters(table, name), *(texts.get((name, task), "") for task in tasks)] for name in names]
    for column in REFERENCES.values():
        rows.append(["", *(number(table.loc[table["task"] == task, column].median()) for task in tasks)])
    return pd.DataFrame(rows, index=[*names, *REFERENCES], columns=["parameters", *tasks])


def parameters(table: pd.DataFrame, name: str) -> str:
    """The parameter count of a row; a range where tasks of different widths make it vary."""
    counts = table.loc[table["name"] == name, "parameters"].dropna()
    if counts.empty:
        return "–"
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
