"""What does a score cost in training time?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import against, costs

LAYOUT = Layout(order=90, together=8, unasked=False)  # a machine is seldom quiet for all runs alike
CAPTION = (
    "The task's own measure at the end of training against the seconds that training took, on the machine and "
    "engine that the run records name; runs that were trained together in one batched program share its time. "
    "Seconds of runs beside which a machine did other things do not compare, and no record says so. "
    "Large markers: medians over seeds; small points: seeds. All variants had the same budget in steps."
)


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Score and training seconds of every run that counts."""
    return costs(runs, "timing.seconds")


def draw(on: Panel) -> Axes:
    """A large marker per variant at its medians, a small point per seed."""
    return against(on, "seconds of training")
