"""How well does what was learned at one length work at another?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures import _theme
from analysis.figures._axes import LEVELS, logarithmic, reference, scale
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import medians
from analysis.figures._legends import legend

LAYOUT = Layout(order=70, together=8)
CAPTION = (
    "The task's own measure at the end of training on evaluation sets of other lengths than the one it was "
    "trained on, which the thick vertical line marks. Lines join the medians over seeds; small points are the "
    "seeds. A diverged run is worse than every other at every length. "
    f"{LEVELS} All these are stated for the length of training."
)
COLUMNS = ["task", "name", "seed", "run_id", "status", "length", "value", "median"]
PREFIX = "results.final.eval@"


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The task's own measure of every run at every length on which it was evaluated, where there are several."""
    scored = counted_runs.scored(runs)
    found = [scored.assign(length=scored["task.length"], value=scored["score"])]
    for column in [column for column in scored.columns if column.startswith(PREFIX)]:
        length, _, metric = column.removeprefix(PREFIX).partition("/")
        values = scored[column].where(scored["status"] == "finished", scored["score"])
        part = scored.assign(length=float(length), value=values)
        found.append(part[(part["task.metric"] == metric) & part["value"].notna()])
    rows = pd.concat(found)
    several = rows.groupby("task")["length"].transform("nunique") > 1
    rows = rows[several & rows["length"].notna()]
    rows = rows.assign(median=rows.groupby(["task", "name", "length"])["value"].transform("median"))
    return rows[COLUMNS].sort_values(["task", "name", "length", "seed"])


def draw(on: Panel) -> Axes:
    """A line of medians per variant, a small point per seed; a vertical line at the length of training."""
    ax, rows, scored, looks = on.ax, on.rows, on.runs, on.looks
    medians(on, "length")
    reference(ax, scored, "y")
    scale(ax, scored, rows["value"], "y")
    ax.axvline(scored["task.length"].iloc[0], color=_theme.PALE, linewidth=3, zorder=0)
    ax.set_xlabel("length at evaluation (thick line: at training)")
    if rows["length"].max() / rows["length"].min() > 10:
        logarithmic(ax, "x")
    legend(ax, looks)
    return ax
