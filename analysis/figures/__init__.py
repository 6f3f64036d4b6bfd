"""Every module in this folder is a figure, and every one in figures/ of a folder of your own (`extensions=`): adding
one is adding a file. A figure is a module whose docstring opens with the question it answers, and that has

    LAYOUT                                  its place in a report and the sizes of its panels
    CAPTION                                 what was measured and how, for the reader of a report
    numbers(runs, curves) -> DataFrame      exactly what it draws, of all panels; empty: the figure makes no sense here
    draw(on: Panel) -> Axes                 one panel, of these numbers alone; computes nothing, saves nothing

`runs` and `curves` are the frames of analysis.runs.load, whole. `numbers` has the columns `task` (the panel) and `name`
(the variant) at least. analysis.figures._panel puts panels on a page; `figures.draw` draws one in a notebook.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _own, _theme
from analysis.records import checks


class Layout(NamedTuple):
    """How a report shows a figure."""

    order: int  # its place in a report
    together: int | None = None  # how many variants share a panel where there are many; None: all of them
    share_y: bool = False  # whether panels side by side have one y axis
    base: float = 2.2  # inches that a panel needs
    row: float = 0.0  # inches besides, for each name of the fullest panel

    def height(self, numbers: pd.DataFrame) -> float:
        """Inches that one panel needs."""
        lines = max(_theme.folded(name).count("\n") + 1 for name in numbers["name"].unique())
        return self.base + self.row * max(1, 0.5 * lines) * int(numbers.groupby("task")["name"].nunique().max())


class Panel(NamedTuple):
    """What a figure draws a panel from."""

    ax: Axes
    rows: pd.DataFrame  # its part of the numbers
    runs: pd.DataFrame  # the runs of its task that count
    looks: dict[str, _theme.Style]  # name -> look of the names in it, in the order of the report
    every: dict[str, _theme.Style]  # likewise of all names that could be in it


class Drawing(Protocol):
    """The type of a figure's module."""

    LAYOUT: Layout
    CAPTION: str

    def numbers(self, runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame: ...
    def draw(self, on: Panel) -> Axes: ...


def ours() -> list[str]:
    """The names of the figures in this folder."""
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]


def use_own(folders: Sequence[str]) -> None:
    """Draw the user's own figures, FOLDER/figures/NAME.py, too.

    Raises:
        CommandError: naming the folder or the file that cannot be used, and why.
    """
    _own.use(folders, ours())


def discover() -> dict[str, Drawing]:
    """Figure name -> its module, in the order of a report."""
    found = {name: cast(Drawing, importlib.import_module(f"{__name__}.{name}")) for name in ours()}
    found |= _own.found()
    return dict(sorted(found.items(), key=lambda item: (item[1].LAYOUT.order, item[0])))


def question(figure: Drawing) -> str:
    """The question that a figure answers."""
    return (figure.__doc__ or "").strip().splitlines()[0]


def draw(
    figure: Drawing,
    numbers: pd.DataFrame,
    runs: pd.DataFrame,
    ax: Axes | None = None,
    task: str | None = None,
    names: list[str] | None = None,
) -> Axes:
    """One panel of a figure: a task's, or some of its names; `runs`, whole, so that a variant always looks alike.

    Raises ValueError if it is not clear which task.
    """
    tasks = _theme.panels(numbers)
    chosen = task if task is not None or len(tasks) != 1 else tasks[0]
    if chosen not in tasks:
        raise ValueError(f"task is {chosen!r}; there is {', '.join(tasks) or 'nothing to draw'}")
    rows = numbers[numbers["task"] == chosen]
    rows = rows if names is None else rows[rows["name"].isin(names)]
    present = set(rows["name"])
    every = {
        name: look for name, look in _theme.styles(rows_of(numbers, runs)).items() if names is None or name in names
    }
    scored = checks.scored(runs)
    ax = axes(figure.LAYOUT.height(numbers)) if ax is None else ax
    ax.set_title(_theme.folded(str(chosen), 38))
    looks = {name: look for name, look in every.items() if name in present}
    return figure.draw(Panel(ax, rows, scored[scored["task"] == chosen], looks, every))


def rows_of(numbers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """(variant, name, place) of every row of a report; with those that only a figure with a column `variant` has."""
    known = checks.reported(runs)
    known = known.assign(place=known.get("place", 0))[["variant", "name", "place"]].drop_duplicates()
    if "variant" not in numbers:
        return known
    own = numbers[["variant", "name"]].drop_duplicates()
    first = known.drop_duplicates("variant").set_index("variant")["place"]
    return pd.concat([known, own.assign(place=own["variant"].map(first).fillna(0))])


def axes(height: float) -> Axes:
    """Axes of their own, one column of a paper wide."""
    with _theme.applied():
        return plt.subplots(figsize=(_theme.COLUMN, height + 0.4), layout="constrained")[1]
