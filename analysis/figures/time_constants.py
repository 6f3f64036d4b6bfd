"""For how many steps do units keep what they hold, before training and after it?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._axes import logarithmic, name_rows
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import fold_title, found, looked
from analysis.figures._legends import legend, mark

LAYOUT = Layout(order=230, part="Looking inside", share_y=True, base=0.9, row=0.3)
CAPTION = (
    "The time constant of each unit, -1 / mean ln f: after so many steps a share 1/e of what it held is left. Filled: "
    "after training, above; open: before it, below; a mark per unit and seed. ∞, at the right edge: nothing is lost "
    "(f = 1, or above 1 as much as below). 0, at the left edge: f is 0 or less at some step."
)
COLUMNS = ["task", "name", "seed", "layer", "unit", "trained", "untrained"]
LEAST, MOST = 0.1, 1e4  # steps that are drawn


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The time constants of every unit of every run."""
    parts = []
    for run, content in found(looked(runs)):
        rows = content.units()
        rows = rows[rows["measure"].str.fullmatch("time_constant/(un)?trained/steps")]
        table = rows.pivot(index=["layer", "unit"], columns="measure", values="value")
        table = table.rename(columns=lambda name: name.split("/")[1]).reset_index().rename_axis(columns=None)
        parts.append(table.assign(task=run["task"], name=run["name"], seed=run["seed"]))
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS) if parts else pd.DataFrame(columns=COLUMNS)


def draw(on: Panel) -> Axes:
    """Two strips of marks per variant."""
    ax, rows = on.ax, on.rows
    finite = rows[["trained", "untrained"]].to_numpy(dtype=float)
    finite = finite[np.isfinite(finite) & (finite > LEAST)]
    right = min(MOST, 3 * max(finite.max(initial=10), 10))
    for place, (name, look) in enumerate(on.every.items()):
        own = rows[rows["name"] == name]
        spread = 0.12 * ((np.arange(len(own)) * 0.618) % 1 - 0.5)
        for column, shift, face in (("trained", -0.15, look.colour), ("untrained", 0.18, "white")):
            values = np.clip(own[column].to_numpy(dtype=float), LEAST, right)
            style: Any = {"s": _theme.SEED * 0.7, "marker": look.marker, "facecolor": face, "edgecolor": look.colour}
            ax.scatter(values, place + shift + spread, linewidth=0.5, alpha=0.8, gid=f"{name}/{column}", **style)
    logarithmic(ax, "x")
    ax.set_xlim(LEAST / 1.3, right * 1.3)
    ticks = [LEAST, *(10.0**power for power in range(5) if 10.0**power < right / 2), right]
    ax.set_xticks(ticks, ["0", *(f"{tick:g}" for tick in ticks[1:-1]), "∞"])
    name_rows(ax, on.every)
    fold_title(ax)
    ax.set_xlabel("time constant of a unit (steps)")
    legend(ax, {}, mark("o", "after training"), mark("o", "before training", markerfacecolor="none"))
    return ax
