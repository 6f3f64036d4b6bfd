"""Panels of a figure on one page, with one legend under them.

Up to MANY variants share a panel per task. Beyond that a figure whose `together` is a number splits: into one panel per
task and variant, the baseline behind each (1), or into a block of panels per group of so many variants, the
baseline in each.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from analysis.arms import counted_runs, order
from analysis.figures import _theme
from analysis.figures._axes import SHORTCUT
from analysis.figures._figure import Drawing
from analysis.figures._panel import draw
from analysis.figures._text import folded, plain

MANY = 8
FEW = 2  # rows of the complete LSTM up to which it stands in every panel
ROW = 1.15  # inches: the height of a small multiple
KEY = 0.3  # inches: a line of a legend
UNUSED = ("config.", "environment.", "inside.", "results.", "timing.")  # what looks and levels do not come from


Key = dict[tuple[str, str], Any]  # what a legend holds: (text, look) -> handle


class PanelSpec(NamedTuple):
    """One panel: a task, the variants in it (None: all), the title if it is not the task."""

    task: str
    names: list[str] | None = None
    title: str | None = None


class Block(NamedTuple):
    """Panels with one legend under them."""

    cells: list[PanelSpec]
    columns: int
    height: float  # of a panel, in inches
    title: str = ""

    @property
    def rows(self) -> int:
        return math.ceil(len(self.cells) / self.columns)


def sheet(figure: Drawing, numbers: pd.DataFrame, runs: pd.DataFrame, width: float = _theme.PAGE) -> Figure:
    """A page with every panel of a figure. width: inches."""
    parts = blocks(figure, numbers, runs, width)
    looks = counted_runs.reported(runs)
    looks = looks.drop(columns=[column for column in looks if str(column).startswith(UNUSED)])
    levels = ["task.chance", "task.solved", *(column for column in looks if str(column).startswith(SHORTCUT))]
    looks = looks.drop_duplicates(["task", "name", "status", *levels])
    pieces = {str(task): rows for task, rows in numbers.groupby("task")}
    with _theme.applied():
        if parts[0].title:
            return multiples(figure, parts, pieces, looks, width)
        heights = [part.rows * part.height + key_height(figure, part, numbers, width) for part in parts]
        page = Figure(figsize=(width, sum(heights)), layout="constrained")
        places = page.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, place in zip(parts, places, strict=True):
            shared: Any = "row" if figure.LAYOUT.share_y else False
            axes = list(place.subplots(part.rows, part.columns, squeeze=False, sharey=shared).flat)
            legend(place, fill(axes, part, figure, pieces, looks), "outside lower center")
    return page


def blocks(figure: Drawing, numbers: pd.DataFrame, runs: pd.DataFrame, width: float) -> list[Block]:
    """How a figure is laid out."""
    tasks = order.tasks(numbers)
    present = set(numbers["name"])
    names = [name for name in order.rows(counted_runs.reported(runs)) if name in present]
    columns = 1 if figure.LAYOUT.wide else min(2 if width > _theme.COLUMN else 1, len(tasks))
    height, together = figure.LAYOUT.height(numbers), figure.LAYOUT.together
    if together is None or len(names) <= MANY:
        return [Block([PanelSpec(task) for task in tasks], columns, height)]
    base = order.baselines(runs, names)
    base = base if len(base) <= FEW else []  # all of them may be LSTMs, with other settings
    others = [name for name in names if name not in base]
    if together == 1:
        return [small(task, base, others, numbers, round(width / 1.7)) for task in tasks]
    groups = [others[first : first + together] for first in range(0, len(others), together)]
    return [Block([PanelSpec(task, base + group) for task in tasks], columns, height) for group in groups]


def small(task: str, base: list[str], others: list[str], numbers: pd.DataFrame, columns: int) -> Block:
    """A panel per variant of a task."""
    present = set(numbers.loc[numbers["task"] == task, "name"])
    cells = [PanelSpec(task, [*base, name], name) for name in others if name in present]
    return Block(cells or [PanelSpec(task, base)], columns, ROW, task)


def fill(axes: list[Axes], block: Block, figure: Drawing, pieces: dict[str, pd.DataFrame], runs: pd.DataFrame) -> Key:
    """Draw the panels of a block; returns what their legends hold."""
    handles: Key = {}
    for cell, ax in zip(block.cells, axes, strict=False):
        draw(figure, pieces[cell.task], runs, ax, cell.task, cell.names)
        handles |= off(ax)
        if cell.title:
            handles = {entry: handle for entry, handle in handles.items() if entry[0] != folded(cell.title)}
            ax.set_title(folded(cell.title, 25, 2), fontweight="normal", fontsize=_theme.KEY, pad=2)
    for ax in axes[len(block.cells) :]:
        ax.remove()
    return handles


def multiples(
    figure: Drawing, parts: list[Block], pieces: dict[str, pd.DataFrame], runs: pd.DataFrame, width: float
) -> Figure:
    """Small multiples, block under block. They are many, so the margins are given, in inches, and not looked for."""
    top, left, under = 0.6, 0.75, 0.5
    whole = sum(top + part.rows * part.height + under for part in parts) + KEY
    page = Figure(figsize=(width, whole))
    handles: Key = {}
    y = whole
    for part in parts:
        page.text(0.01, (y - 0.08) / whole, plain(part.title), weight="bold", fontsize=_theme.TITLE, va="top")
        y -= top
        bottom = y - part.rows * part.height
        edges: Any = {"left": left / width, "right": 0.99, "top": y / whole, "bottom": bottom / whole}
        grid = page.add_gridspec(part.rows, part.columns, wspace=0.12, hspace=0.35, **edges)
        axes = list(grid.subplots(squeeze=False).flat)
        handles |= fill(axes, part, figure, pieces, runs)
        share(axes[: len(part.cells)], part.columns)
        label_once(page, axes[: len(part.cells)], bottom - 0.38, (y + bottom) / 2)
        y = bottom - under
    legend(page, handles, "lower center")
    return page


def share(axes: list[Axes], columns: int) -> None:
    """One scale for all panels of a task, with few ticks; labels stand at the left and below the lowest of a column.

    Much quicker than matplotlib's shared axes, which look at all of them whenever one changes.
    """
    ends = np.array([[*ax.get_xlim(), *ax.get_ylim()] for ax in axes])
    low, high = ends.min(axis=0), ends.max(axis=0)
    for place, ax in enumerate(axes):
        ax.set(xlim=(low[0], high[1]), ylim=(low[2], high[3]))
        ax.locator_params(axis="x", nbins=3)
        ax.tick_params(labelleft=place % columns == 0, labelbottom=place >= len(axes) - columns)


def label_once(page: Figure, axes: list[Axes], bottom: float, middle: float) -> None:
    """The axes of small multiples are named once."""
    width, whole = page.get_size_inches()
    page.text(0.5, bottom / whole, axes[0].get_xlabel(), ha="center")
    page.text(0.1 / width, middle / whole, axes[0].get_ylabel(), va="center", rotation=90, ha="left")
    for ax in axes:
        ax.set(xlabel="", ylabel="")


def legend(place: Figure | SubFigure, handles: Key, where: Any) -> None:
    if handles:
        texts = [text for text, _ in handles]
        place.legend(handles.values(), texts, loc=where, ncols=key_columns(texts, place.figure.get_figwidth()))


def key_columns(labels: list[str], width: float) -> int:
    """How many columns of these labels a legend has room for. width: inches; a mark takes .5 of them, a letter .07."""
    longest = max(len(line) for label in labels for line in label.splitlines())
    return max(1, min(int(width / (0.5 + 0.07 * longest)), 5 if len(labels) < 6 else 4))


def key_height(figure: Drawing, part: Block, numbers: pd.DataFrame, width: float) -> float:
    """Inches for the legend of a block, as far as its names tell."""
    names = part.cells[0].names or list(numbers["name"].unique()) if figure.LAYOUT.together else []
    labels = [*map(folded, names), "chance", "solved"]
    lines = max(label.count("\n") + 1 for label in labels)
    return 0.25 + 0.13 * (lines + 0.3) * math.ceil(len(labels) / key_columns(labels, width))


def off(ax: Axes) -> Key:
    """Take the legend off a panel and return its entries."""
    legend = ax.get_legend()
    if legend is None:
        return {}
    legend.remove()
    entries = zip(legend.get_texts(), legend.legend_handles, strict=True)
    return {(text.get_text(), look(handle)): handle for text, handle in entries}


def look(handle: Any) -> str:
    """What tells marks apart whose names, folded, are one."""
    known = (getattr(handle, f"get_{what}", None) for what in ("color", "facecolor", "marker", "linestyle"))
    return repr([get() for get in known if get])
