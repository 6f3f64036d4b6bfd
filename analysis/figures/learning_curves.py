"""How fast does each variant learn its task, and does every seed get there?"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis import checks, theme
from analysis.figures import panel, reference, scale, shown

SHARE_Y = False


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The task's own metric at every evaluation of every run that counts."""
    keep = checks.scored(runs)[["run_id", "task", "name", "seed", "status", "task.metric"]]
    rows = keep.merge(curves, on="run_id")
    rows = rows[rows["metric"] == "eval/" + rows["task.metric"]]
    return rows[["task", "name", "seed", "run_id", "status", "step", "metric", "value"]].reset_index(drop=True)


def draw(runs: pd.DataFrame, curves: pd.DataFrame, ax: Axes | None = None, task: str | None = None) -> Axes:
    """One thin line per seed; a cross on the chance line where a run diverged."""
    scored, ax = panel(runs, ax, task)
    looks = theme.styles(checks.reported(runs))
    rows = numbers(scored, curves)
    handles: dict[str, Line2D] = {}
    for (name, run_id), curve in rows.groupby(["name", "run_id"], sort=False):
        look = looks[str(name)]
        (handles[str(name)],) = ax.plot(
            curve["step"],
            curve["value"],
            color=look.colour,
            dashes=look.dashes,
            linewidth=0.8,
            marker=look.marker,
            markersize=3.5,
            markevery=[-1],
            label=theme.plain(str(name)),
            gid=str(run_id),
        )
    crosses(ax, scored, rows, looks)
    reference(ax, scored, "y")
    scale(ax, scored, rows["value"], "y")
    ax.set_xlabel("training steps")
    legend(ax, [handles[name] for name in looks if name in handles])
    return ax


def crosses(ax: Axes, scored: pd.DataFrame, rows: pd.DataFrame, looks: dict[str, theme.Style]) -> None:
    """Mark each diverged run where its record ends."""
    diverged = scored[scored["status"] == "diverged"]
    ends = rows.groupby("run_id")["step"].max().reindex(diverged["run_id"], fill_value=0)
    levels = shown(diverged["score"], rows["value"])
    for step, level, name in zip(ends, levels, diverged["name"], strict=True):
        ax.plot(
            step, level, "X", color=looks[name].colour, markersize=6, markeredgecolor="white", mew=0.4, gid="diverged"
        )


def legend(ax: Axes, lines: list[Line2D]) -> None:
    """Variants first, then the lines and marks that mean the same for all of them."""
    marks = [line for line in ax.lines if line.get_label() in ("chance", "solved")]
    if any(line.get_gid() == "diverged" for line in ax.lines):
        marks.append(Line2D([], [], color=theme.FAINT, marker="X", linestyle="", label="diverged"))
    ax.legend(handles=lines + list({str(mark.get_label()): mark for mark in marks}.values()))


def caption(runs: pd.DataFrame) -> str:
    seeds = checks.scored(runs).groupby(["task", "name"])["seed"].nunique()
    count = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    return (
        f"The task's own measure on its fixed evaluation set, at every evaluation during training: one thin line per "
        f"seed ({count} per variant), no smoothing and no averaging; the variant's marker ends the line. Dashed: what "
        f"chance scores. Dotted: the threshold from which the task counts as solved. A cross on the chance line marks "
        f"the step after which a run diverged. An axis is logarithmic where losses span more than a factor of 30."
    )


def height(runs: pd.DataFrame) -> float:
    return 2.7
