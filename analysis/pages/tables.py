"""The table of a report: variant x task, as a long frame, and as the text of its cells."""

import math
from typing import Any

import pandas as pd

from analysis.arms import counted_runs, order
from analysis.claims.claimed_runs import about_steps
from analysis.claims.measures import OF_STEPS, budget, steps_to_solve
from analysis.pages.formats import number
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
STEP_ENDS = ["steps_to_solve_low", "steps_to_solve_high"]
REFERENCES = {"chance": "chance", "solved from": "solved_from"}  # the last rows of the table -> their columns
NOTE = (
    "Median over seeds of the task's own measure at the end of training; n is the number of seeds. In round brackets "
    f"the smallest and largest seed, where n is below {ENOUGH}; in square brackets the exact 95 % interval of the "
    f"median, from n = {ENOUGH} on. A diverged run is worse than every other and never solves. Parameters: those of "
    "the recurrent layers."
)
STEPS_NOTE = (
    " Steps to solve, of tasks that a claim is about in steps or whose runs stop when solved: the median over seeds, "
    "with its range or interval likewise. ≥: a seed that has not solved takes its budget or more."
)


def scores(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per (task, name), in the order of the names: the score over seeds, its references, sizes and costs.

    `median`, `smallest`, `largest`, `low`, `high` (the 95 % interval, from n = 6), `chance` and `solved_from` are in
    the metric's unit; `steps` is the median of the steps trained, `seconds` and `steps_per_second` of the wall clock.
    Steps to solve are those of `steps_columns`; `about_steps` says whether they are what the task was run for.
    """
    chosen = counted_runs.reported(runs)
    groups = {(str(task), str(name)): cell for (task, name), cell in chosen.groupby(["task", "name"])}
    keys = [(task, name) for name in order.rows(chosen) for task in order.tasks(chosen)]
    about = {str(task): about_steps(panel) for task, panel in chosen.groupby("task")}
    rows = [{"task": key[0], "name": key[1], **summary(groups[key])} for key in keys if key in groups]
    return pd.DataFrame([{**row, "about_steps": about[row["task"]]} for row in rows])


def summary(cell: pd.DataFrame) -> dict[str, Any]:
    """One cell of the table; a cell without a scored run has no median."""
    scored = counted_runs.scored(cell)
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
        **steps_columns(scored),
    }


def steps_columns(scored: pd.DataFrame) -> dict[str, float]:
    """Steps to solve of one cell: the median, its interval (from n = 6) or range, the budget; NaN without threshold.

    A run that has not solved takes its budget or more: `steps_to_solve` is then the least that the median can be and
    `steps_to_solve_most`, which is the same where it is known, infinite. Ends of the interval likewise: infinite where
    the seed that they are has not solved.
    """
    columns = ["steps_to_solve", "steps_to_solve_most", "steps_to_solve_low", "steps_to_solve_high", "budget"]
    if scored.empty or scored["task.solved"].isna().all():
        return dict.fromkeys(columns, math.nan)
    steps = budget(scored)
    known = steps_to_solve(scored, steps)
    least, most = median_interval(known.low), median_interval(known.high)
    return dict(zip(columns, [least.median, most.median, most.low, most.high, steps], strict=True))


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


def steps_cell(row: "pd.Series[Any]") -> tuple[str, str, str]:
    """How steps to solve read: the median, its range or interval, and how many seeds have solved."""
    least, most, low, high, limit = row[["steps_to_solve", "steps_to_solve_most", *STEP_ENDS, "budget"]]
    if not row["n"] or math.isnan(least):
        return "–", "", ""
    ends = [whole(end) if math.isfinite(end) else f"≥ {whole(limit)}" for end in (low, high)]
    spread = "({} to {})" if row["n"] < ENOUGH else "[{}, {}]"
    median = "never" if math.isinf(least) else f"{'' if least == most else '≥ '}{whole(least)}"
    return median, spread.format(*ends), f"{row['solved']} of {row['n']} solved"


def whole(steps: float) -> str:
    return f"{steps:,.0f}"


def cells(table: pd.DataFrame) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(name, column) -> how the cell reads: a column per task, and one of its steps to solve where it is about them."""
    found = {(row["name"], row["task"]): cell(row) for _, row in table.iterrows()}
    timed = table[table["about_steps"]] if len(table) else table
    return found | {(row["name"], row["task"] + OF_STEPS): steps_cell(row) for _, row in timed.iterrows()}


def columns(table: pd.DataFrame) -> list[str]:
    """The columns of the table in order."""
    about = set(table.loc[table["about_steps"], "task"]) if len(table) else set()
    return [column for task in order.tasks(table) for column in (task, *([task + OF_STEPS] if task in about else []))]


def note(table: pd.DataFrame) -> str:
    """What the cells of the table are."""
    return NOTE + (STEPS_NOTE if len(table) and table["about_steps"].any() else "")


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Variant x task as text, with a column of parameters; the last rows are chance and the solved threshold."""
    texts = {place: " ".join(filter(None, parts)) for place, parts in cells(table).items()}
    names, headings = list(dict.fromkeys(table["name"])), columns(table)
    rows = [[parameters(table, name), *(texts.get((name, heading), "") for heading in headings)] for name in names]
    for column in REFERENCES.values():
        levels = {str(task): number(panel[column].median()) for task, panel in table.groupby("task")}
        rows.append(["", *(levels.get(heading, "") for heading in headings)])
    return pd.DataFrame(rows, index=[*names, *REFERENCES], columns=["parameters", *headings])


def parameters(table: pd.DataFrame, name: str) -> str:
    """The parameter count of a row; a range where tasks of different widths make it vary."""
    counts = table.loc[table["name"] == name, "parameters"].dropna()
    if counts.empty:
        return "–"
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
