"""How fast does each variant learn its task, and does every seed get there?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from analysis.figures._axes import LEVELS, reference, scale, shown
from analysis.figures._figure import Layout, Panel
from analysis.figures._legends import legend, mark
from analysis.records import counted

LAYOUT = Layout(order=40, together=1)
CAPTION = (
    "The task's own measure on its fixed evaluation set, at every evaluation during training: one thin line per "
    f"seed, no smoothing and no averaging; the variant's marker ends the line. {LEVELS} A cross, at the worst value "
    "drawn, marks the step after which a run diverged. An axis is logarithmic where losses span more than a factor of "
    "30. Where there are many variants each has its own panel, with the complete LSTM behind it."
)


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The task's own metric at every evaluation of every run that counts."""
    keep = counted.scored(runs)[["run_id", "task", "name", "seed", "status", "score", "task.metric"]]
    keep = keep.assign(metric="eval/" + keep["task.metric"])
    wanted = curves[curves["metric"].isin(set(keep["metric"])) & curves["run_id"].isin(set(keep["run_id"]))]
    rows = keep.merge(wanted.astype({"run_id": object, "metric": object}), on=["run_id", "metric"])
    rows = rows[rows.groupby("task")["step"].transform("max") > 0]  # else nothing was trained
    return rows[["task", "name", "seed", "run_id", "status", "score", "step", "metric", "value"]]


def draw(on: Panel) -> Axes:
    """One thin line per seed; a cross where a run diverged."""
    ax, rows, scored, looks = on.ax, on.rows, on.runs, on.looks
    for name, look in looks.items():
        curves = by_run(rows[rows["name"] == name])
        style: Any = {"colors": look.colour, "linestyles": [(0, look.dashes)], "linewidths": 0.8}
        ax.add_collection(LineCollection(curves, gid=name, **style))
        ends = np.array([curve[-1] for curve in curves])
        ax.plot(*ends.T, linestyle="", marker=look.marker, color=look.colour, markersize=3.5, gid=f"ends:{name}")
    ax.autoscale_view()
    crossed = crosses(on)
    reference(ax, scored, "y")
    scale(ax, scored, rows["value"], "y")
    ax.set_xlabel("training steps")
    legend(ax, looks, *([mark("X", "diverged")] if crossed else []))
    return ax


def by_run(rows: pd.DataFrame) -> list[NDArray[np.float64]]:
    """(step, value) of each run; its rows stand together."""
    starts = np.flatnonzero((rows["run_id"] != rows["run_id"].shift()).to_numpy())
    return np.split(rows[["step", "value"]].to_numpy(dtype=float), starts[1:])


def crosses(on: Panel) -> bool:
    """Mark each diverged run where its record ends, at the worst value drawn; whether there was one."""
    ax, rows, looks = on.ax, on.rows, on.looks
    ended = rows[rows["status"] == "diverged"].groupby("run_id")[["name", "step", "score"]].last()
    for name, step, level in zip(
        ended["name"], ended["step"], shown(ended["score"], rows["value"], on.runs), strict=True
    ):
        look: Any = {"color": looks[name].colour, "markersize": 6, "markeredgecolor": "white", "mew": 0.4}
        ax.plot(step, level, "X", gid="diverged", **look)
    return len(ended) > 0
