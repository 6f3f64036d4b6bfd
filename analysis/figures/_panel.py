"""One panel of a figure: for a page, and for a notebook."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs, order
from analysis.figures import _theme
from analysis.figures._figure import Drawing, Panel
from analysis.figures._text import folded


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
    tasks = order.tasks(numbers)
    chosen = task if task is not None or len(tasks) != 1 else tasks[0]
    if chosen not in tasks:
        raise ValueError(f"task is {chosen!r}; there is {', '.join(tasks) or 'nothing to draw'}")
    rows = numbers[numbers["task"] == chosen]
    rows = rows if names is None else rows[rows["name"].isin(names)]
    present = set(rows["name"])
    every = {
        name: look for name, look in _theme.styles(rows_of(numbers, runs)).items() if names is None or name in names
    }
    scored = counted_runs.scored(runs)
    ax = axes(figure.LAYOUT.height(numbers)) if ax is None else ax
    ax.set_title(folded(str(chosen), 38))
    looks = {name: look for name, look in every.items() if name in present}
    return figure.draw(Panel(ax, rows, scored[scored["task"] == chosen], looks, every))


def rows_of(numbers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """(variant, name, place) of every row of a report; with those that only a figure with a column `variant` has."""
    known = counted_runs.reported(runs)
    known = known.assign(place=known.get("place", 0))[["variant", "name", "place"]].drop_duplicates()
    if "variant" not in numbers:
        return known
    drawn = numbers[["variant", "name"]].drop_duplicates()
    first = known.drop_duplicates("variant").set_index("variant")["place"]
    return pd.concat([known, drawn.assign(place=drawn["variant"].map(first).fillna(0))])


def axes(height: float) -> Axes:
    """Axes of their own, one column of a paper wide."""
    with _theme.applied():
        return plt.subplots(figsize=(_theme.COLUMN, height + 0.4), layout="constrained")[1]
