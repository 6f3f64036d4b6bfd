"""What does each variant score at the end, and how much of that is the seed?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures import _theme
from analysis.figures._axes import LEVELS, name_rows, reference, scale, shown
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import points
from analysis.figures._legends import legend, mark
from analysis.statistics.estimates import ENOUGH, median_interval

LAYOUT = Layout(order=20, share_y=True, base=0.75, row=0.27)
CAPTION = (
    f"The task's own measure on its fixed evaluation set at the end of training. One point per seed; a seed, which "
    f"means one set of data, has the same height in every row. The bar is the median of the seeds. The thin line "
    f"is their range where there are fewer than {ENOUGH}, and from {ENOUGH} the exact 95 % interval of the median. "
    f"{LEVELS} A cross is a run that diverged: it counts as worse than every other, and stands at the worst of the "
    f"others and of chance."
)
SPREAD = 0.5  # the height over which the seeds of one row are spread, of the distance between rows


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Every seed's score, with the median of its row and the range or interval around it."""
    rows = counted_runs.scored(runs)[["task", "name", "seed", "run_id", "status", "score"]]
    cells = rows.groupby(["task", "name"], as_index=False)["score"]
    spreads = [{"task": task, "name": name, **median_interval(cell)._asdict()} for (task, name), cell in cells]
    return rows.sort_values(["task", "name", "seed"]).merge(pd.DataFrame(spreads), on=["task", "name"])


def draw(on: Panel) -> Axes:
    """One row per variant: a point per seed, a bar for the median, a line for the range or interval."""
    ax = on.ax
    columns = ("median", "low", "high", "score")
    levels = {column: shown(on.rows[column], on.rows["score"], on.runs) for column in columns}
    ranks = on.rows["seed"].rank(method="dense")
    offset = SPREAD * (ranks - (ranks.max() + 1) / 2) / max(ranks.max(), 5)
    place = on.rows["name"].map(list(on.every).index)  # a row for all, so that panels share them
    rows = on.rows.assign(**levels, place=place, height=place + offset)
    rest = rows.drop_duplicates("name")
    colours = [on.every[name].colour for name in rest["name"]]
    ax.hlines(rest["place"], rest["low"], rest["high"], colors=colours, linewidth=_theme.LINE, zorder=2, gid="spreads")
    ends = rest["place"] - 0.36, rest["place"] + 0.36
    ax.vlines(rest["median"], *ends, colors=colours, linewidth=2 * _theme.LINE, zorder=2, gid="medians")
    diverged = rows["status"] == "diverged"
    points(on, rows[~diverged], "score", "height", "finished", s=_theme.SEED)
    points(on, rows[diverged], "score", "height", "diverged", marker="X", s=_theme.CROSS)
    reference(ax, on.runs, "x")
    scale(ax, on.runs, pd.concat([rows["score"], on.runs["task.chance"].dropna()]), "x")
    ax.set_ylabel("")
    name_rows(ax, on.every)
    marks = [mark("o", "one seed", markersize=4), mark("|", "median", markersize=9, markeredgewidth=2)]
    legend(ax, {}, *marks, *([mark("X", "diverged")] if diverged.any() else []))
    return ax
