"""Medians with their seeds: along an axis, and over what a run cost."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._axes import logarithmic, reference, scale, shown
from analysis.figures._figure import Panel
from analysis.figures._legends import legend
from analysis.records import counted


def medians(on: Panel, x: str) -> None:
    """Per variant a line that joins the medians along `x`, and a small point per seed (columns `median`, `value`)."""
    ax, rows = on.ax, on.rows
    for name, look in on.looks.items():
        own = rows[rows["name"] == name]
        line = own.drop_duplicates(x).sort_values(x)
        points: Any = {"s": 5, "color": look.colour, "alpha": 0.6, "linewidths": 0, "gid": f"seeds:{name}"}
        ax.scatter(own[x], shown(own["value"], rows["value"], on.runs), **points)
        ax.plot(
            line[x],
            shown(line["median"], rows["value"], on.runs),
            color=look.colour,
            dashes=look.dashes,
            linewidth=1,
            marker=look.marker,
            markersize=3.5,
            gid=name,
        )


def costs(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Score and cost of every run that counts, with their medians over seeds, for tasks on which the costs differ."""
    rows = counted.scored(runs).rename(columns={column: "cost", "score": "value"})
    rows = rows[rows["cost"].notna()]
    rows = rows[rows.groupby("task")["cost"].transform("nunique") > 1]
    groups = rows.groupby(["task", "name"])
    rows = rows.assign(median_cost=groups["cost"].transform("median"), median=groups["value"].transform("median"))
    columns = ["task", "name", "seed", "run_id", "status", "cost", "value", "median_cost", "median"]
    return rows[columns].sort_values(["task", "name", "seed"])


def against(on: Panel, label: str) -> Axes:
    """Scores over costs: per variant a large marker at the medians, and a small point per seed."""
    ax, rows = on.ax, on.rows
    for name, look in on.looks.items():
        own = rows[rows["name"] == name]
        own = own.assign(
            value=shown(own["value"], rows["value"], on.runs), median=shown(own["median"], rows["value"], on.runs)
        )
        ax.scatter(own["cost"], own["value"], s=5, color=look.colour, alpha=0.6, linewidths=0, gid=f"seeds:{name}")
        middle = own.iloc[:1]
        style: Any = {"color": look.colour, "marker": look.marker, "edgecolors": "white", "linewidths": 0.4}
        ax.scatter(middle["median_cost"], middle["median"], s=36, zorder=3, gid=name, **style)
    reference(ax, on.runs, "y")
    scale(ax, on.runs, rows["value"], "y")
    ax.set_xlabel(label)
    ax.locator_params(axis="x", nbins=5)
    if rows["cost"].max() > 10 * rows["cost"].min() > 0:
        logarithmic(ax, "x")
    legend(ax, {name: look._replace(dashes=(0, 1)) for name, look in on.looks.items()})
    return ax
