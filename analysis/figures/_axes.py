"""Axes that figures share: of scores, with the levels that a reader compares them with, and of names."""

import math
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from analysis.arms import arms
from analysis.figures import _theme
from analysis.figures._text import folded

BESIDE_NAMES = 24  # letters of an axis label for which there is room below axes with names beside them, in one column
SHORTCUT = "task.references."  # a column, followed by a name and `.score`
LEVELS = (  # of a caption
    "Dashed: what chance scores. Dash-dotted: the threshold from which the task counts as solved. Dotted, with its "
    "name: what a shortcut scores, on tasks that state one."
)


def shown(scores: "pd.Series[float]", of: "pd.Series[float]", runs: pd.DataFrame) -> "pd.Series[float]":
    """Where scores are drawn: that of a diverged run, which is infinite, at the worst of those `of` and of chance."""
    levels = pd.concat([of, runs["task.chance"]]).astype(float)
    finite = levels[levels.abs() < math.inf]
    return scores.clip(finite.min(), finite.max()) if len(finite) else scores.clip(1, 1)


def reference(ax: Axes, runs: pd.DataFrame, along: str) -> None:
    """Levels across the score axis `along`, "x" or "y": chance, the solved threshold, what named shortcuts reach."""
    line = ax.axvline if along == "x" else ax.axhline
    levels = [("task.chance", "chance", (5, 3)), ("task.solved", "solved", (6, 1.5, 1, 1.5))]
    named = [column for column in map(str, runs) if column.startswith(SHORTCUT) and column.endswith(".score")]
    shortcuts = [(column, column.removeprefix(SHORTCUT).removesuffix(".score"), (1, 1.5)) for column in named]
    for column, label, dashes in [*levels, *shortcuts]:
        numbers = pd.to_numeric(runs[column], errors="coerce")
        for level in sorted(set(numbers[numbers.abs() < math.inf])):
            line(level, color=_theme.FAINT, linewidth=_theme.LINE, dashes=dashes, label=label, zorder=1)
            if column in named:
                beside(ax, level, label, along)


def beside(ax: Axes, level: float, name: str, along: str) -> None:
    """Write what a line across the score axis is beside its end, inside the axes and behind the data."""
    upright = along == "x"
    ax.annotate(
        folded(name),
        (level, 1) if upright else (1, level),
        xycoords=ax.get_xaxis_transform() if upright else ax.get_yaxis_transform(),
        xytext=(-1, -1) if upright else (-1, 1),
        textcoords="offset points",
        rotation=90 if upright else 0,
        ha="right",
        va="top" if upright else "bottom",
        fontsize=_theme.TINY,
        color=_theme.FAINT,
        zorder=1,
    )


def scale(ax: Axes, runs: pd.DataFrame, values: "pd.Series[float]", along: str) -> None:
    """Name the score axis; it is logarithmic for losses that span more than a factor of 30."""
    metric, unit, direction = runs.iloc[0][["task.metric", "task.unit", "task.direction"]]
    better = "lower is better" if direction == "min" else "higher is better"
    ax.set(**{f"{along}label": f"{folded(arms.metric_label(metric, unit), BESIDE_NAMES)}\n{better}"})
    positive = values[values.abs() < math.inf]
    if direction == "min" and len(positive) and positive.min() > 0 and positive.max() / positive.min() > 30:
        logarithmic(ax, along)


def logarithmic(ax: Axes, along: str) -> None:
    """A log axis, `along` "x" or "y", without the ticks between the decades: they take most of the time of drawing."""
    ax.set(**{f"{along}scale": "log"})
    (ax.xaxis if along == "x" else ax.yaxis).set_minor_locator(NullLocator())


def name_rows(ax: Axes, names: Iterable[str]) -> None:
    """One row per name, from the top."""
    texts = [folded(name) for name in names]
    size = _theme.TINY if any("\n" in text for text in texts) else _theme.TEXT
    ax.set_yticks(range(len(texts)), texts, fontsize=size, linespacing=0.9)
    ax.set_ylim(len(texts) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
