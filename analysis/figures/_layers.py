"""What seaborn draws of variants, each in its own look: lines, points, medians with their seeds, scores over costs.

Whatever is drawn has the numbers of its rows, as long as the axes are scaled afterwards: on an axis that is logarithmic
already seaborn takes logs and their powers.
"""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures import _theme
from analysis.figures._axes import logarithmic, reference, scale, shown
from analysis.figures._figure import Panel
from analysis.figures._legends import legend


def lines(on: Panel, rows: pd.DataFrame, x: str, y: str, **how: Any) -> None:
    """A line per variant, named by it (gid); with `units` a column, one for each of its values."""
    before, units = len(on.ax.lines), how.get("units")
    look = looks(on, rows, "dashes") | {"markers": False} if units else looks(on, rows, "dashes", "markers")
    size = {"linewidth": _theme.LINE, "markersize": _theme.MARKER, "markeredgewidth": _theme.EDGE}
    sns.lineplot(rows, x=x, y=y, estimator=None, ax=on.ax, **look, **{**size, **how})
    counts = rows.groupby("name")[units].nunique() if units else rows.groupby("name")["name"].nunique()
    names = [name for name in look["hue_order"] for _ in range(counts[name])]
    for line, name in zip(on.ax.lines[before:], names, strict=True):
        line.set_gid(name)


def points(on: Panel, rows: pd.DataFrame, x: str, y: str, gid: str, **how: Any) -> None:
    """A point per row, in the colour and with the marker of its variant, the first variant's at the bottom.

    With `marker` all have that one.
    """
    if rows.empty:
        return
    places = {name: place for place, name in enumerate(on.every)}
    rows = rows.sort_values("name", key=lambda names: names.map(places), kind="stable")
    look = looks(on, rows) if "marker" in how else looks(on, rows, "markers")
    edge = {"edgecolor": "white", "linewidth": _theme.EDGE, "zorder": 3}
    sns.scatterplot(rows, x=x, y=y, ax=on.ax, gid=gid, **look, **{**edge, **how})


def dots(on: Panel, rows: pd.DataFrame, x: str, y: str, gid: str) -> None:
    """A small point per row: what lies behind the medians."""
    points(on, rows, x, y, gid, marker="o", s=_theme.DOT, alpha=0.6, linewidth=0, zorder=1)


def looks(on: Panel, rows: pd.DataFrame, *styles: str) -> dict[str, Any]:
    """Seaborn's arguments for the looks of the variants in these rows; styles: `dashes`, `markers`."""
    present = set(rows["name"])
    known = {name: look for name, look in on.every.items() if name in present}
    found: dict[str, Any] = {"hue": "name", "hue_order": list(known), "legend": False}
    found["palette"] = {name: look.colour for name, look in known.items()}
    values = {"dashes": lambda look: look.dashes, "markers": lambda look: look.marker}
    if styles:
        found |= {"style": "name", "style_order": list(known)}
    return found | {style: {name: values[style](look) for name, look in known.items()} for style in styles}


def medians(on: Panel, x: str) -> None:
    """Per variant a line that joins the medians along `x`, and a small point per seed (columns `median`, `value`)."""
    value, median = (shown(on.rows[column], on.rows["value"], on.runs) for column in ("value", "median"))
    rows = on.rows.assign(value=value, median=median)
    dots(on, rows, x, "value", "seeds")
    lines(on, rows.drop_duplicates(["name", x]), x, "median")


def costs(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Score and cost of every run that counts, with their medians over seeds, for tasks on which the costs differ."""
    rows = counted_runs.scored(runs).rename(columns={column: "cost", "score": "value"})
    rows = rows[rows["cost"].notna()]
    rows = rows[rows.groupby("task")["cost"].transform("nunique") > 1]
    groups = rows.groupby(["task", "name"])
    rows = rows.assign(median_cost=groups["cost"].transform("median"), median=groups["value"].transform("median"))
    columns = ["task", "name", "seed", "run_id", "status", "cost", "value", "median_cost", "median"]
    return rows[columns].sort_values(["task", "name", "seed"])


def against(on: Panel, label: str) -> Axes:
    """Scores over costs: per variant a large marker at the medians, and a small point per seed."""
    ax = on.ax
    value, median = (shown(on.rows[column], on.rows["value"], on.runs) for column in ("value", "median"))
    rows = on.rows.assign(value=value, median=median)
    dots(on, rows, "cost", "value", "seeds")
    points(on, rows.drop_duplicates("name"), "median_cost", "median", "medians", s=_theme.LARGE)
    reference(ax, on.runs, "y")
    scale(ax, on.runs, on.rows["value"], "y")
    ax.set_xlabel(label)
    ax.locator_params(axis="x", nbins=5)
    if rows["cost"].max() > 10 * rows["cost"].min() > 0:
        logarithmic(ax, "x")
    legend(ax, {name: look._replace(dashes=(0, 1)) for name, look in on.looks.items()})
    return ax
