"""What figures of the report's last part share: the runs that were looked inside, and what was found in each."""

import functools
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import arms, counted_runs, order
from analysis.figures import _theme
from analysis.records import archive, inside

GATES = {"forget": "forget gate f", "input": "input gate i", "output": "output gate o"}
GATES |= {"reset": "reset gate r", "refine": "refine gate v"}
FEEDS = {"x": "input x", "h": "previous output h", "c": "cell c", "gates": "previous gates"}


def looked(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs in which something was found, by task and in the order of the report."""
    if "inside.untouched" not in runs:
        return runs.iloc[:0]
    rows = counted_runs.scored(runs)
    rows = rows[rows["inside.untouched"].notna()]
    place = {name: at for at, name in enumerate(order.rows(counted_runs.reported(runs)))}
    return rows.assign(at=rows["name"].map(place)).sort_values(["task", "at", "seed"])


def found(rows: pd.DataFrame) -> Iterator[tuple[Any, inside.Inside]]:
    """Each of these runs, a row of the frame, with its arrays, of which an archive has some."""
    for _, run in rows.iterrows():
        content = None
        if run[inside.FOLDER]:
            content = _read(run[inside.FOLDER], os.stat(Path(run[inside.FOLDER], inside.JSON)).st_mtime_ns)
        elif run[inside.ARCHIVE]:
            content = archive.read_inside(Path(run[inside.ARCHIVE])).get(run["run_id"])
        if content is not None:
            yield run, content


@functools.lru_cache(maxsize=64)
def _read(folder: str, changed: int) -> inside.Inside | None:
    return inside.read(Path(folder), None)


def shown(runs: pd.DataFrame) -> Iterator[tuple[Any, inside.Inside]]:
    """Of each task the one run that is shown step by step: the complete LSTM's first seed, or the first variant's."""
    for _, rows in looked(runs).groupby("task"):
        base = rows[rows["variant"] == order.BASELINE]
        yield from found((base if len(base) else rows).head(1))


def lost(runs: pd.DataFrame) -> str:
    """What a cost is: `lost of the share right (accuracy)`, `added to loss (MSE)`, in a task's own words."""
    metric, unit, direction = runs.iloc[0][["task.metric", "task.unit", "task.direction"]]
    if unit == "share" and direction != "min":
        return f"lost of the share right ({arms.metric_label(metric)})"
    return f"{'added to' if direction == 'min' else 'lost of'} {arms.metric_label(metric, unit)}"


def narrow(ax: Axes) -> bool:
    """Whether a panel of the page's width is drawn for a column of a paper."""
    return float(ax.get_figure(root=True).get_figwidth()) < _theme.PAGE  # type: ignore[union-attr]


def apart(ax: Axes, steps: int) -> None:
    """Marks on every line so many steps apart, each line's at others: lines on top of each other are told apart."""
    for place, line in enumerate(ax.lines):
        line.set_markevery((place * steps // max(1, len(ax.lines)), steps))


def fold_title(ax: Axes) -> None:
    """Fold the title of a panel whose names take half of a column of a paper."""
    if narrow(ax):
        ax.set_title("\n".join(textwrap.wrap(ax.get_title(loc="left"), 24)))
