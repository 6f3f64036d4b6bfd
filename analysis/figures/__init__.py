"""Every module in this folder is a figure; adding one is adding a file. A figure is a module whose docstring opens with
the question it answers, and that has

    numbers(runs, curves) -> DataFrame                  exactly what it draws, of every task
    draw(runs, curves, ax=None, task=None) -> Axes      the panel of one task; never saves, never changes the data
    caption(runs) -> str                                what was measured and how, for the reader of a report
    height(runs) -> float                               inches that one panel needs
    SHARE_Y                                             whether panels side by side have one y axis

`runs` and `curves` are the frames of analysis.runs.load, whole, so that a variant looks alike in every panel.
`sheet` puts the panels of all tasks on a page.
"""

import importlib
import math
import pkgutil
from typing import Any, Protocol, cast

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import checks, theme


class Drawing(Protocol):
    """The type of a figure's module."""

    SHARE_Y: bool

    def numbers(self, runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame: ...
    def draw(
        self, runs: pd.DataFrame, curves: pd.DataFrame, ax: Axes | None = None, task: str | None = None
    ) -> Axes: ...
    def caption(self, runs: pd.DataFrame) -> str: ...
    def height(self, runs: pd.DataFrame) -> float: ...


def discover() -> dict[str, Drawing]:
    """Figure name -> its module, by name."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: cast(Drawing, importlib.import_module(f"{__name__}.{name}")) for name in found}


def question(figure: Drawing) -> str:
    """The question that a figure answers."""
    return (figure.__doc__ or "").strip().splitlines()[0]


def sheet(figure: Drawing, runs: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """A page with one panel per task and one legend under all of them."""
    tasks = theme.panels(checks.scored(runs))
    columns = min(2, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    with theme.applied():
        page = Figure(figsize=(theme.PAGE, 0.5 + rows * figure.height(runs)), layout="constrained")
        axes = list(page.subplots(rows, columns, squeeze=False, sharey="row" if figure.SHARE_Y else False).flat)
        handles: dict[str, Any] = {}
        for task, ax in zip(tasks, axes, strict=False):
            handles |= off(figure.draw(runs, curves, ax, task))
        for ax in axes[len(tasks) :]:
            ax.remove()
        page.legend(
            handles.values(), handles, loc="outside lower center", ncols=len(handles) if len(handles) < 6 else 4
        )
    return page


def off(ax: Axes) -> dict[str, Any]:
    """Take the legend off a panel: its entries as label -> handle."""
    legend = ax.get_legend()
    if legend is None:
        return {}
    legend.remove()
    return {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}


def panel(runs: pd.DataFrame, ax: Axes | None, task: str | None) -> tuple[pd.DataFrame, Axes]:
    """The runs that count of the task to draw, and the axes; raises ValueError if it is not clear which task."""
    tasks = theme.panels(checks.scored(runs))
    chosen = task if task is not None or len(tasks) != 1 else tasks[0]
    if chosen not in tasks:
        raise ValueError(f"task is {chosen!r}; there is {', '.join(tasks) or 'no run that counts'}")
    if ax is None:
        with theme.applied():
            ax = plt.subplots(figsize=(theme.COLUMN, 2.6), layout="constrained")[1]
    ax.set_title(theme.plain(str(chosen)))
    scored = checks.scored(runs)
    return scored[scored["task"] == chosen], ax


def shown(scores: "pd.Series[float]", of: "pd.Series[float]") -> "pd.Series[float]":
    """Where scores are drawn: an infinite one (diverged, and no chance level to fall to) at the worst finite one."""
    finite = of[of.abs() < math.inf]
    return scores.clip(finite.min(), finite.max()) if len(finite) else scores


def reference(ax: Axes, runs: pd.DataFrame, along: str) -> None:
    """The chance level (dashed) and the solved threshold (dotted) across the score axis `along`, "x" or "y"."""
    line = ax.axvline if along == "x" else ax.axhline
    for column, label, dashes in (("task.chance", "chance", (5, 3)), ("task.solved", "solved", (1, 1.5))):
        for level in sorted(set(runs[column].dropna())):
            line(level, color=theme.FAINT, linewidth=1, dashes=dashes, label=label, zorder=1)


def scale(ax: Axes, runs: pd.DataFrame, values: "pd.Series[float]", along: str) -> None:
    """Name the score axis; it is logarithmic for losses that span more than a factor of 30."""
    metric, unit, direction = runs.iloc[0][["task.metric", "task.unit", "task.direction"]]
    named = f"{metric} ({unit})" if isinstance(unit, str) and unit not in ("", metric) else str(metric)
    better = "lower is better" if direction == "min" else "higher is better"
    ax.set(**{f"{along}label": theme.plain(f"{named}, {better}")})
    positive = values[values.abs() < math.inf]
    if direction == "min" and len(positive) and positive.min() > 0 and positive.max() / positive.min() > 30:
        ax.set(**{f"{along}scale": "log"})
