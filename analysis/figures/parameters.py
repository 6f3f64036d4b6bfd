"""Does a variant score better only because it has more parameters?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import against, costs

LAYOUT = Layout(order=95, together=8)
CAPTION = (
    "The task's own measure at the end of training against the number of trained parameters of the recurrent "
    "layers, without the read-out. Large markers: medians over seeds; small points: seeds. Tasks on which all "
    "variants have the same number are left out."
)


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Score and parameter count of every run that counts."""
    return costs(runs, "parameters.layer")


def draw(on: Panel) -> Axes:
    """A large marker per variant at its medians, a small point per seed."""
    return against(on, "parameters of the recurrent layers")
