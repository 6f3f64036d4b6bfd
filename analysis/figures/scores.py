"""What does each variant score at the end, and how much of that is the seed?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._axes import LEVELS, name_rows, reference, scale, shown
from analysis.figures._figure import Layout, Panel
from analysis.figures._legends import legend, mark
from analysis.records import counted
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
    rows = counted.scored(runs)[["task", "name", "seed", "run_id", "status", "score"]]
    cells = rows.groupby(["task", "name"], as_index=False)["score"]
    spreads = [{"task": task, "name": name, **median_interval(cell)._asdict()} for (task, name), cell in cells]
    return rows.sort_values(["task", "name", "seed"]).merge(pd.DataFrame(spreads), on=["task", "name"])


def draw(on: Panel) -> Axes:
    """One row per variant: a point per seed, a bar for the median, a line for the range or interval."""
    ax, rows, scored, looks = on.ax, on.rows.copy(), on.runs, on.every  # a row for all, so that panels share them
    for column in ("median", "low", "high", "score"):
        rows[column] = shown(rows[column], on.rows["score"], scored)
    ranks = rows["seed"].rank(method="dense")
    rows["offset"] = SPREAD * (ranks - (ranks.max() + 1) / 2) / max(ranks.max(), 5)
    for place, (name, look) in enumerate(looks.items()):
        if name in set(rows["name"]):
            row(ax, rows[rows["name"] == name], place, look)
    reference(ax, scored, "x")
    scale(ax, scored, pd.concat([rows["score"], scored["task.chance"].dropna()]), "x")
    name_rows(ax, looks)
    marks = [mark("o", "one seed", markersize=4), mark("|", "median", markersize=9, markeredgewidth=2)]
    legend(ax, {}, *marks, *([mark("X", "diverged")] if (rows["status"] == "diverged").any() else []))
    return ax


def row(ax: Axes, cell: pd.DataFrame, place: int, look: _theme.Style) -> None:
    """The seeds of one variant; a seed has the same height in every row."""
    median, low, high = cell.iloc[0][["median", "low", "high"]]
    ax.hlines(place, low, high, color=look.colour, linewidth=1, zorder=2)
    ax.vlines(median, place - 0.36, place + 0.36, color=look.colour, linewidth=1.8, zorder=2)
    for status, marker, size in (("finished", look.marker, 18), ("diverged", "X", 32)):
        chosen = cell[cell["status"] == status]
        ax.scatter(
            chosen["score"],
            place + chosen["offset"],
            s=size,
            marker=marker,
            color=look.colour,
            edgecolors="white",
            linewidths=0.4,
            zorder=3,
            gid=f"{status}:{cell.iloc[0]['name']}",
        )
