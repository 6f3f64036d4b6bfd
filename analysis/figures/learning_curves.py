"""How fast does each variant learn its task, and does every seed get there?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from analysis import checks, theme
from analysis.figures import panel
from analysis.marks import legend, mark, reference, scale, shown

TOGETHER = 1
SHARE_Y = False
ORDER = 40


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The task's own metric at every evaluation of every run that counts."""
    keep = checks.scored(runs)[["run_id", "task", "name", "seed", "status", "task.metric"]]
    keep = keep.assign(metric="eval/" + keep["task.metric"])
    wanted = curves[curves["metric"].isin(set(keep["metric"])) & curves["run_id"].isin(set(keep["run_id"]))]
    rows = keep.merge(wanted.astype({"run_id": object, "metric": object}), on=["run_id", "metric"])
    return rows[["task", "name", "seed", "run_id", "status", "step", "metric", "value"]]


def draw(
    numbers: pd.DataFrame,
    runs: pd.DataFrame,
    ax: Axes | None = None,
    task: str | None = None,
    names: list[str] | None = None,
) -> Axes:
    """One thin line per seed; a cross on the chance line where a run diverged."""
    ax, rows, scored, looks = panel(numbers, runs, ax, task, names)
    for name, look in looks.items():
        curves = by_run(rows[rows["name"] == name])
        style: Any = {"colors": look.colour, "linestyles": [(0, look.dashes)], "linewidths": 0.8}
        ax.add_collection(LineCollection(curves, gid=name, **style))
        ends = np.array([curve[-1] for curve in curves])
        ax.plot(*ends.T, linestyle="", marker=look.marker, color=look.colour, markersize=3.5, gid=f"ends:{name}")
    ax.autoscale_view()
    crossed = crosses(ax, rows, scored, looks)
    reference(ax, scored, "y")
    scale(ax, scored, rows["value"], "y")
    ax.set_xlabel("training steps")
    legend(ax, looks, *([mark("X", "diverged")] if crossed else []))
    return ax


def by_run(rows: pd.DataFrame) -> list[NDArray[np.float64]]:
    """(step, value) of each run; its rows stand together."""
    starts = np.flatnonzero((rows["run_id"] != rows["run_id"].shift()).to_numpy())
    return np.split(rows[["step", "value"]].to_numpy(dtype=float), starts[1:])


def crosses(ax: Axes, rows: pd.DataFrame, scored: pd.DataFrame, looks: dict[str, theme.Style]) -> bool:
    """Mark each diverged run, on the chance line, where its record ends; whether there was one."""
    ended = rows[rows["status"] == "diverged"].groupby("run_id")[["name", "step"]].last()
    known = scored[scored["status"] == "diverged"].set_index("run_id")["score"]
    levels = shown(known[ended.index], rows["value"])
    for name, step, level in zip(ended["name"], ended["step"], levels, strict=True):
        look: Any = {"color": looks[name].colour, "markersize": 6, "markeredgecolor": "white", "mew": 0.4}
        ax.plot(step, level, "X", gid="diverged", **look)
    return len(ended) > 0


def caption(runs: pd.DataFrame) -> str:
    seeds = checks.scored(runs).groupby(["task", "name"])["seed"].nunique()
    count = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    return (
        f"The task's own measure on its fixed evaluation set, at every evaluation during training: one thin line per "
        f"seed ({count} per variant), no smoothing and no averaging; the variant's marker ends the line. Dashed: what "
        f"chance scores. Dotted: the threshold from which the task counts as solved. A cross on the chance line marks "
        f"the step after which a run diverged. An axis is logarithmic where losses span more than a factor of 30. "
        f"Where there are many variants each has its own panel, with the complete LSTM behind it."
    )


def height(numbers: pd.DataFrame) -> float:
    return 2.2
