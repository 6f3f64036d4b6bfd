"""What a figure is: a module with these members (analysis/figures/__init__.py says what they are for)."""

from typing import NamedTuple, Protocol

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._text import folded


class Layout(NamedTuple):
    """How a report shows a figure."""

    order: int  # its place in a report
    together: int | None = None  # how many variants share a panel where there are many; None: all of them
    share_y: bool = False  # whether panels side by side have one y axis
    base: float = 2.2  # inches that a panel needs
    row: float = 0.0  # inches besides, for each name of the fullest panel
    unasked: bool = True  # whether a report has it without being asked for it by name
    part: str = ""  # the title of the part of a report that it belongs to, if not the first one
    wide: bool = False  # whether a panel is as wide as the page

    def height(self, numbers: pd.DataFrame) -> float:
        """Inches that one panel needs."""
        lines = max(folded(name).count("\n") + 1 for name in numbers["name"].unique())
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
