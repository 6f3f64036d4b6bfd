"""How likely is a run of each variant to beat one of the complete LSTM?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.claims.effects import opposites
from analysis.figures import _theme
from analysis.figures._axes import name_rows
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import points
from analysis.figures._legends import legend, mark
from analysis.statistics.aggregates import probability_of_improvement

LAYOUT = Layout(order=30, base=0.7, row=0.24)
CAPTION = (
    "The share of all pairs of one run of the variant and one of the complete LSTM in which the variant's has the "
    "better final score, a tie counting half (Agarwal et al. 2021). Small points: one task each; large markers: "
    "the mean over these tasks. Dashed: half of the pairs, where neither is better. It says how often, not by how "
    "much; a diverged run loses against every other, and two of them tie."
)
ALL = "all tasks"
COLUMNS = ["task", "name", "baseline", "of", "runs", "baseline_runs", "probability", "mean"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Per task (column `of`) the share of pairs of runs that the variant wins, and the mean of that over tasks."""
    rows = []
    for task, panel in counted_runs.scored(runs).groupby("task"):
        cells = {str(name): cell for name, cell in panel.groupby("name")}
        for name, baseline in opposites(panel).items():
            won = wins(cells[name], cells[baseline])
            rows.append((ALL, name, baseline, str(task), len(cells[name]), len(cells[baseline]), won))
    found = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return found.assign(mean=found.groupby("name")["probability"].transform("mean"))


def wins(cell: pd.DataFrame, baseline: pd.DataFrame) -> float:
    sign = -1 if cell["task.direction"].iloc[0] == "min" else 1
    first, second = (sign * np.asarray(rows["score"], dtype=float)[:, None] for rows in (cell, baseline))
    return probability_of_improvement(first, second)


def draw(on: Panel) -> Axes:
    """A row per variant: a small point per task, a large marker at their mean."""
    ax, rows = on.ax, on.rows.assign(place=on.rows["name"].map(list(on.looks).index))
    points(on, rows, "probability", "place", "tasks", marker="o", s=2 * _theme.DOT, alpha=0.6, linewidth=0)
    points(on, rows.drop_duplicates("name"), "mean", "place", "means", s=_theme.LARGE)
    level: Any = {"color": _theme.FAINT, "linewidth": _theme.LINE, "dashes": (5, 3), "label": "as often as not"}
    equal = ax.axvline(0.5, **level)
    name_rows(ax, on.looks)
    ax.set(xlim=(-0.03, 1.03), xlabel="probability of a better\nscore than the LSTM's", ylabel="")
    ax.set_title("")
    legend(ax, {}, equal, mark("o", "one task", markersize=3), mark("D", "mean over tasks", markersize=5))
    return ax
