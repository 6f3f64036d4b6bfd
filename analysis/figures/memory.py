"""How much of its cell state does each variant keep over a sequence, before any training?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures import _theme
from analysis.figures._axes import logarithmic, name_rows
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import points
from analysis.figures._legends import legend, mark

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
    rows = counted_runs.scored(runs).rename(columns=NAMES)
    return rows.loc[rows["median"].notna(), COLUMNS].sort_values(["task", "name", "seed"])


def draw(on: Panel) -> Axes:
    """One row per variant: a mark and a line per seed."""
    ax = on.ax
    seeds = on.rows.groupby("name")["seed"]
    place = on.rows["name"].map(list(on.every).index)
    rows = on.rows.assign(height=place + 0.5 * (seeds.rank(method="dense") / (seeds.transform("nunique") + 1) - 0.5))
    colours = [on.every[name].colour for name in rows["name"]]
    ax.hlines(rows["height"], rows["low"], rows["high"], colors=colours, linewidth=_theme.THIN)
    points(on, rows, "median", "height", "seeds", s=_theme.SEED)
    if rows["low"].min() > 0:
        logarithmic(ax, "x")
    name_rows(ax, on.every)
    ax.set(xlabel="dc_T / dc_0", ylabel="")
    legend(ax, {}, mark("o", "one seed", markersize=4))
    return ax
