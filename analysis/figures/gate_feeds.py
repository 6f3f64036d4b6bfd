"""What do gates listen to: the input, the previous output, the cell?"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._axes import name_rows
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import FEEDS, GATES, fold_title, looked

LAYOUT = Layout(order=250, part="Looking inside", share_y=True, base=0.85, row=0.24)
CAPTION = (
    "Before it is squashed a gate is a sum, W x + U h + p c + b: the share of each term in the variance of that sum "
    "over steps and sequences, cov(term, sum) / var(sum), of all units together; the mean over seeds. Shares add up to "
    "1; one below 0 works against the others. The bias does not vary. Only gates with weights of their own."
)
COLUMNS = ["task", "name", "gate", "feed", "share"]
SHADES = {
    "x": (_theme.COLOURS[1], ""),
    "h": (_theme.COLOURS[3], ""),
    "c": (_theme.PALE, "///"),
    "gates": ("white", "..."),
}


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The share of every feed, a mean over seeds; a panel per task and gate."""
    rows = looked(runs)
    parts = []
    for gate, title in GATES.items():
        for feed in FEEDS:
            column = f"inside.feeds/{gate}/{feed}"
            if column in rows and rows[column].notna().any():
                known = rows[rows[column].notna()]
                mean = known.groupby(["task", "name"], sort=False)[column].mean().rename("share").reset_index()
                task = mean["task"].astype(str) + ": " + title
                parts.append(mean.assign(task=task, gate=gate, feed=feed))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def draw(on: Panel) -> Axes:
    """A bar per variant, a piece per feed."""
    ax, names = on.ax, list(on.every)
    for feed, (colour, hatch) in SHADES.items():
        if (on.rows["feed"] == feed).any():
            table = on.rows.pivot(index="name", columns="feed", values="share").reindex(names).fillna(0.0)
            others = [
                other for other in SHADES if other in table and list(SHADES).index(other) < list(SHADES).index(feed)
            ]
            left = sum((table[other].clip(lower=0) for other in others), start=0 * table[feed])
            left = left.where(table[feed] >= 0, 0.0)
            style: Any = {"color": colour, "hatch": hatch, "edgecolor": _theme.INK, "linewidth": 0.4, "height": 0.65}
            ax.barh(range(len(names)), table[feed], left=left, label=FEEDS[feed], gid=feed, **style)
    name_rows(ax, names)
    fold_title(ax)
    ax.axvline(0, color=_theme.FAINT, linewidth=_theme.THIN)
    ax.set_xlabel("share of the variance")
    ax.legend()
    return ax
