"""Which of the settings that a grid varies decide the score, and do they act together?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures._bars import shares
from analysis.figures._figure import Layout, Panel
from analysis.statistics import grids
from analysis.statistics.aggregates import anova
from analysis.statistics.many_comparisons import holm

LAYOUT = Layout(order=60, base=0.7, row=0.22)
CAPTION = (
    "Exact analysis of variance over the balanced grid of settings, the seeds of a cell being its replicates: the "
    "share of the variance of the final score (of its log for losses) that each setting explains alone, and that "
    "settings explain only together (`a × b`). What a gate sees counts as three settings, x, h and b. Grey: what "
    "is left to the seeds. p: of the F test, after Holm over the effects of a panel. A diverged run counts as the "
    "worst that did not."
)
COLUMNS = ["task", "name", "effect", "runs", "df", "share", "F", "p", "text"]
REST = "seeds"


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The analysis of variance of every task whose runs are a balanced grid of two to four settings."""
    parts = [effects(panel).assign(task=str(task)) for task, panel in counted_runs.scored(runs).groupby("task")]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per effect, largest share first, the seeds last; nothing if the runs are no such grid."""
    grid = grids.factors(runs)
    names, values = list(grid.columns), grids.responses(runs)[0]
    if not 2 <= len(names) <= grids.MOST:
        return pd.DataFrame()
    try:
        table = anova(grid.assign(score=values), "score", names)
    except ValueError:  # not balanced
        return pd.DataFrame()
    table = table.rename_axis("effect").reset_index().replace({"effect": {"residual": REST}})
    table = table.sort_values("share", ascending=False).sort_values("effect", key=lambda e: e == REST, kind="stable")
    tested = table["p"].notna()
    table.loc[tested, "p"] = holm(table.loc[tested, "p"])
    pairs = zip(table["share"], table["p"], strict=True)
    texts = [f"{share:.0%}" + ("" if np.isnan(p) else f", p={p:.2g}") for share, p in pairs]
    return table.assign(name=table["effect"], runs=len(runs), text=texts)


def draw(on: Panel) -> Axes:
    """A bar per effect."""
    ax, rows = on.ax, on.rows
    shares(ax, rows, REST)
    return ax
