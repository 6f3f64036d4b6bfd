"""When do nets forget: what does the forget gate do around the task's events?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import apart, found, looked
from analysis.figures._layers import lines
from analysis.figures._legends import legend

LAYOUT = Layout(order=210, part="Looking inside", share_y=True, base=1.9, together=8)
CAPTION = (
    "The forget gate from ten steps before each event of the task to ten after, a mean over sequences, events and "
    "units; a line per variant, the median over its seeds. Where a line dips, what the cell held is erased; at 1 "
    "everything is kept. Variants whose forget gate never changes are flat."
)
APART = 5  # steps between two marks of a line
COLUMNS = ["task", "name", "event", "offset", "seed", "value", "median"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The mean forget gate of every run around every event; a panel per task and event."""
    parts = []
    for run, content in found(looked(runs)):
        rows = content.events()
        rows = rows[rows["slot"] == "forget"].groupby(["event", "offset"], sort=False)["value"].mean().reset_index()
        task = run["task"] + ": " + rows["event"].astype(str)
        parts.append(rows.assign(task=task, name=run["name"], seed=run["seed"]))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat(parts, ignore_index=True).dropna(subset="value")
    return whole.assign(median=whole.groupby(["task", "name", "offset"])["value"].transform("median"))[COLUMNS]


def draw(on: Panel) -> Axes:
    """A line per variant, a vertical line at the event."""
    lines(on, on.rows.drop_duplicates(["name", "offset"]), "offset", "median")
    apart(on.ax, APART)
    on.ax.axvline(0, color=_theme.FAINT, linewidth=_theme.LINE, zorder=0)
    on.ax.set(xticks=range(-10, 11, 5), xlabel="steps from the event", ylabel="mean forget gate")
    on.ax.set_ylim(0, max(1.03, 1.05 * on.rows["median"].max()))
    legend(on.ax, on.looks)
    return on.ax
