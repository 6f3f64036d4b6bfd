"""The table of a report: variant x task, as a long frame, as text, Markdown, LaTeX and CSV."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from analysis.common.escaping import in_latex, in_markdown, tidy
from analysis.figures import _theme
from analysis.records import arms, checks
from analysis.statistics.tests import ENOUGH, median_interval

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
    chosen = checks.reported(runs)
    groups = {(str(task), str(name)): cell for (task, name), cell in chosen.groupby(["task", "name"])}
    keys = [(task, name) for name in _theme.order(chosen) for task in _theme.panels(chosen)]
    return pd.DataFrame([{"task": key[0], "name": key[1], **summary(groups[key])} for key in keys if key in groups])


def summary(cell: pd.DataFrame) -> dict[str, Any]:
    """One cell of the table; a cell without a scored run has no median."""
    scored = checks.scored(cell)
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


def number(value: float) -> str:
    """Three significant digits; a score that no chance level bounds is no number."""
    if math.isnan(value):
        return "–"
    return "diverged" if math.isinf(value) else f"{value:.3g}"


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Variant x task as text, with a column of parameters; the last rows are chance and the solved threshold."""
    tasks = _theme.panels(table)
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


def plain(table: pd.DataFrame) -> str:
    return tabulate(strings(table), headers=header(table), tablefmt="simple", disable_numparse=True)


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table; text from records cannot end a cell or start HTML."""
    rows = [[in_markdown(text) for text in row] for row in strings(table)]
    titles = [in_markdown(text) for text in header(table)]
    return tabulate(rows, headers=titles, tablefmt="github", disable_numparse=True)


def latex(table: pd.DataFrame) -> str:
    """A booktabs tabular."""
    head, *rows = [" & ".join(map(in_latex, row)) + r" \\" for row in (header(table), *strings(table))]
    lines = [rf"\begin{{tabular}}{{{'l' * len(header(table))}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}", ""])


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """A CSV file with every text on one line."""
    texts = {
        column: table[column].map(lambda value: tidy(value) if isinstance(value, str) else value)
        for column in map(str, table)
        if not pd.api.types.is_numeric_dtype(table[column])
    }
    table.assign(**texts).to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def counts(runs: pd.DataFrame) -> str:
    """One line per study: how many runs, and how they ended; and one about stale runs."""
    lines = []
    for study, group in runs.groupby("study"):
        statuses = group["status"].value_counts()
        ended = ", ".join(f"{statuses[status]} {status}" for status in checks.STATUSES if status in statuses)
        lines.append(f"{tidy(str(study))}: {len(group)} runs: {ended}")
    return "\n".join([*lines, *filter(None, [checks.stale(runs)])])


def strings(table: pd.DataFrame) -> list[list[str]]:
    return [[str(name), *map(str, values)] for name, values in zip(table.index, table.to_numpy(), strict=True)]


def header(table: pd.DataFrame) -> list[str]:
    return ["variant", *map(str, table.columns)]


def tasks(runs: pd.DataFrame) -> pd.DataFrame:
    """What each task of a report measures."""
    columns = ["task", "length", "metric", "unit", "direction", "chance", "solved_from"]
    table = scores(runs).drop_duplicates("task").set_index("task", drop=False).loc[_theme.panels(runs), columns]
    return table.rename(columns={"length": "length (steps)", "direction": "better", "solved_from": "solved from"})


def variants(runs: pd.DataFrame) -> pd.DataFrame:
    """Each row of a report: the variant it is and its source."""
    table = runs.drop_duplicates("name").set_index("name").loc[_theme.order(runs)].reset_index()
    return table[["name", "variant", "cite"]].rename(columns={"cite": "source"})


def texts(table: pd.DataFrame) -> list[list[str]]:
    """A frame as text: nothing for what is missing, whole numbers without a point, others to three digits."""
    return [[text(value) for value in row] for row in table.astype(object).to_numpy()]


def text(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else number(value)
    return tidy(str(value))


def tuned(runs: pd.DataFrame) -> pd.DataFrame:
    """What was tuned for each row of a report: its value, those that were tried, whether it is one of their ends."""
    tuning = runs[(runs["phase"] == "tune") & checks.current(runs)]
    firsts, rows = tuning.drop_duplicates("arm"), []
    cells = firsts.groupby(["task.name", "variant"])
    settings = [key for key in arms.settings(firsts) if len(arms.present(firsts[key])) > 1]
    tried = {key: cells[key].agg(arms.present) for key in settings}
    for _, run in checks.reported(runs).drop_duplicates(["task", "name"]).iterrows():
        place = (run["task.name"], run["variant"])
        for key in [key for key in settings if run["phase"] == "confirm" and len(tried[key].get(place, ())) > 1]:
            values = sorted(tried[key][place], key=arms.natural)
            value = arms.spelled(run[key])
            edge = "at the edge of the grid" if value in (values[0], values[-1]) else ""
            rows.append((run["task"], run["name"], key.removeprefix(arms.RESOLVED), value, ", ".join(values), edge))
    return pd.DataFrame(rows, columns=["task", "name", "setting", "value", "tried", "note"])
