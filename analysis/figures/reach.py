"""How far back does what a net holds reach?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._axes import logarithmic
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import apart, found, looked
from analysis.figures._layers import lines
from analysis.figures._legends import legend

LAYOUT = Layout(order=240, part="Looking inside", base=2.2, together=8)
CAPTION = (
    "Weight: the cell is a weighted sum of the candidates that came in, c_t = Σ_j w_tj z_j with "
    "w_tj = i_j f_(j+1) ... f_t; the mean |w|. Gradient: of what is due at a step in the hidden state so many steps "
    "before, its norm, relative to that at the step itself. Lines: the median over seeds; what is below a millionth "
    "is not drawn."
)
COLUMNS = ["task", "name", "measure", "lag", "seed", "value", "median"]
MEASURES = {"weight_by_lag": "weight in the cell", "gradient/h": "gradient of what is due"}
LEAST = 1e-6
MARKS = 10  # on a line, about


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Weight and gradient of every run by lag, of its last layer; a panel per task and measure."""
    parts = []
    for run, content in found(looked(runs)):
        rows = content.lags()
        rows = rows[rows["measure"].isin(list(MEASURES)) & (rows["layer"] == content.layers - 1)].dropna()
        first = rows.groupby("measure")["value"].transform("first")
        value = rows["value"].where(rows["measure"] == "weight_by_lag", rows["value"] / first)
        task = run["task"] + ": " + rows["measure"].map(MEASURES)
        parts.append(rows.assign(value=value, task=task, name=run["name"], seed=run["seed"]))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(median=whole.groupby(["task", "name", "lag"])["value"].transform("median"))[COLUMNS]


def draw(on: Panel) -> Axes:
    """A line per variant on a log axis."""
    rows = on.rows.drop_duplicates(["name", "lag"])
    visible = rows[rows["median"] > LEAST]
    longest = max(10, int(visible["lag"].max()) if len(visible) else 10)
    lines(on, rows.assign(median=rows["median"].where(rows["median"] > LEAST, np.nan)), "lag", "median")
    apart(on.ax, max(1, longest // MARKS))
    logarithmic(on.ax, "y")
    weight = on.rows["measure"].iloc[0] == "weight_by_lag"
    on.ax.set(xlabel="steps back", ylabel="mean |w|" if weight else "|gradient|, relative")
    on.ax.set_xlim(0, longest)
    legend(on.ax, on.looks)
    return on.ax
