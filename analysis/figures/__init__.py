"""Every module in this folder is a figure; adding one is adding a file. A figure is a module whose docstring opens with
the question it answers, and that has

    numbers(runs, curves) -> DataFrame      exactly what it draws, of all panels; empty: the figure makes no sense here
    draw(numbers, runs, ax=None, task=None, names=None) -> Axes
                                            one panel, of these numbers alone: the task's, or of some of its rows; never
                                            saves; `runs` gives the looks, the levels of chance and the units
    caption(runs) -> str                    what was measured and how, for the reader of a report
    height(numbers) -> float                inches that one panel needs
    TOGETHER                                how many variants share a panel where there are many; None: all of them
    SHARE_Y                                 whether panels side by side have one y axis
    ORDER                                   its place in a report

`runs` and `curves` are the frames of analysis.runs.load, whole, so that a variant looks alike in every panel.
`numbers` has the columns `task` (the panel) and `name` (the variant) at least. analysis.page puts panels on a page.
"""

import importlib
import pkgutil
from typing import NamedTuple, Protocol, cast

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from analysis import checks, theme


class Drawing(Protocol):
    """The type of a figure's module."""

    TOGETHER: int | None
    SHARE_Y: bool
    ORDER: int

    def numbers(self, runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame: ...
    def draw(
        self,
        numbers: pd.DataFrame,
        runs: pd.DataFrame,
        ax: Axes | None = None,
        task: str | None = None,
        names: list[str] | None = None,
    ) -> Axes: ...
    def caption(self, runs: pd.DataFrame) -> str: ...
    def height(self, numbers: pd.DataFrame) -> float: ...


class Panel(NamedTuple):
    """What a figure draws a panel from."""

    ax: Axes
    rows: pd.DataFrame  # its part of the numbers
    runs: pd.DataFrame  # the runs of its task that count
    looks: dict[str, theme.Style]  # name -> look, in order


def discover() -> dict[str, Drawing]:
    """Figure name -> its module, in the order of a report."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    found = {name: cast(Drawing, importlib.import_module(f"{__name__}.{name}")) for name in names}
    return dict(sorted(found.items(), key=lambda item: (item[1].ORDER, item[0])))


def question(figure: Drawing) -> str:
    """The question that a figure answers."""
    return (figure.__doc__ or "").strip().splitlines()[0]


def panel(
    numbers: pd.DataFrame, runs: pd.DataFrame, ax: Axes | None, task: str | None, names: list[str] | None
) -> Panel:
    """The part of the numbers to draw, and the axes; raises ValueError if it is not clear which task."""
    tasks = theme.panels(numbers)
    chosen = task if task is not None or len(tasks) != 1 else tasks[0]
    if chosen not in tasks:
        raise ValueError(f"task is {chosen!r}; there is {', '.join(tasks) or 'nothing to draw'}")
    rows = numbers[numbers["task"] == chosen]
    rows = rows if names is None else rows[rows["name"].isin(names)]
    present = set(rows["name"])
    looks = {name: look for name, look in theme.styles(rows_of(numbers, runs)).items() if name in present}
    scored = checks.scored(runs)
    ax = axes() if ax is None else ax
    ax.set_title(theme.plain(str(chosen)))
    return Panel(ax, rows, scored[scored["task"] == chosen], looks)


def rows_of(numbers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """(variant, name, place) of every row of a report; with those that only a figure with a column `variant` has."""
    known = checks.reported(runs)
    known = known.assign(place=known.get("place", 0))[["variant", "name", "place"]].drop_duplicates()
    if "variant" not in numbers:
        return known
    own = numbers[["variant", "name"]].drop_duplicates()
    first = known.drop_duplicates("variant").set_index("variant")["place"]
    return pd.concat([known, own.assign(place=own["variant"].map(first).fillna(0))])


def axes(height: float = 2.6) -> Axes:
    """Axes of their own, one column of a paper wide."""
    with theme.applied():
        return plt.subplots(figsize=(theme.COLUMN, height), layout="constrained")[1]
