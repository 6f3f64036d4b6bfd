"""How fast does each variant learn its task, and does every seed get there?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures import _theme
from analysis.figures._axes import LEVELS, reference, scale, shown
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import lines, points
from analysis.figures._legends import legend, mark
from analysis.records.archive import POINTS

LAYOUT = Layout(order=40, together=1)
CAPTION = (
    "The task's own measure on its fixed evaluation set, at every evaluation during training (in an archived study at "
    f"{POINTS} of them at most, the lowest and highest of every stretch among them): one thin line per "
    f"seed, no smoothing and no averaging; the variant's marker ends the line. {LEVELS} A cross, at the worst value "
    "drawn, marks the step after which a run diverged. An axis is logarithmic where losses span more than a factor of "
    "30. Where there are many variants each has its own panel, with the complete LSTM behind it."
)
THIN_LINE = 0.8  # points: there may be hundreds


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The task's own metric at every evaluation of every run that counts."""
    keep = counted_runs.scored(runs)[["run_id", "task", "name", "seed", "status", "score", "task.metric"]]
    keep = keep.assign(metric="eval/" + keep["task.metric"])
    wanted = curves[curves["metric"].isin(set(keep["metric"])) & curves["run_id"].isin(set(keep["run_id"]))]
    rows = keep.merge(wanted.astype({"run_id": object, "metric": object}), on=["run_id", "metric"])
    rows = rows[rows.groupby("task")["step"].transform("max") > 0]  # else nothing was trained
    return rows[["task", "name", "seed", "run_id", "status", "score", "step", "metric", "value"]]


def draw(on: Panel) -> Axes:
    """One thin line per seed; a cross where a run diverged."""
    ax, rows = on.ax, on.rows
    lines(on, rows, "step", "value", units="run_id", linewidth=THIN_LINE)
    ends = rows.groupby("run_id", sort=False).tail(1)
    points(on, ends, "step", "value", "ends", s=_theme.MARKER**2)
    diverged = ends[ends["status"] == "diverged"]
    levels = shown(diverged["score"], rows["value"], on.runs)
    points(on, diverged.assign(value=levels), "step", "value", "diverged", marker="X", s=_theme.CROSS)
    reference(ax, on.runs, "y")
    scale(ax, on.runs, rows["value"], "y")
    ax.set_xlabel("training steps")
    legend(ax, on.looks, *([mark("X", "diverged")] if len(diverged) else []))
    return ax
