"""How far do the seeds of a variant lie apart?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import Layout, Panel, scored

LAYOUT = Layout(order=200, base=0.6, row=0.3)
CAPTION = "The task's own measure at the end of training: the best seed of a variant minus its worst, as a distance."


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The range of the scores of every variant."""
    scores = scored(runs).groupby(["task", "name"], observed=True)["score"]
    return (scores.max() - scores.min()).rename("range").reset_index()


def draw(on: Panel) -> Axes:
    """A bar for every variant."""
    rows = on.rows.set_index("name").reindex([name for name in on.looks if name in set(on.rows["name"])])
    on.ax.barh(rows.index, rows["range"], color=[on.looks[name].colour for name in rows.index])
    on.ax.invert_yaxis()
    on.ax.set_xlabel("range of the scores")
    return on.ax
