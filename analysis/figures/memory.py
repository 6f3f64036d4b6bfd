"""How much of its cell state does each variant keep over a sequence, before any training?"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._axes import logarithmic, name_rows
from analysis.figures._figure import Layout, Panel
from analysis.figures._legends import legend, mark
from analysis.records import counted

LAYOUT = Layout(order=55, share_y=True, base=0.75, row=0.27)
CAPTION = (
    "dc_T / dc_0, the slope of a unit's last cell state in its first one, through every gate and step of the "
    "evaluation sequences, of networks as they were initialised. A mark per seed: the median over units and sequences; "
    "the thin line runs between the quartiles. A network whose forget gate is s(b) at every step has s(b)^T."
)
COLUMNS = ["task", "name", "seed", "run_id", "median", "low", "high"]
NAMES = {f"results.final.memory/{name}": name for name in ("median", "low", "high")}


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """What every run that was not trained keeps."""
    if not set(NAMES) <= set(runs):
        return pd.DataFrame(columns=COLUMNS)
    rows = counted.scored(runs).rename(columns=NAMES)
    return rows.loc[rows["median"].notna(), COLUMNS].sort_values(["task", "name", "seed"])


def draw(on: Panel) -> Axes:
    """One row per variant: a mark and a line per seed."""
    for place, (name, look) in enumerate(on.every.items()):
        own = on.rows[on.rows["name"] == name]
        heights = place + 0.5 * (own["seed"].rank(method="dense") / (own["seed"].nunique() + 1) - 0.5)
        on.ax.hlines(heights, own["low"], own["high"], color=look.colour, linewidth=0.6)
        style: Any = {"color": look.colour, "marker": look.marker, "edgecolors": "white", "linewidths": 0.4}
        on.ax.scatter(own["median"], heights, s=18, zorder=3, gid=name, **style)
    if on.rows["low"].min() > 0:
        logarithmic(on.ax, "x")
    name_rows(on.ax, on.every)
    on.ax.set_xlabel("dc_T / dc_0")
    legend(on.ax, {}, mark("o", "one seed", markersize=4))
    return on.ax
