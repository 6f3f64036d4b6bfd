"""Does a variant score better only because it has more parameters?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import panel
from analysis.marks import against, costs

TOGETHER = 8
SHARE_Y = False
ORDER = 95


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Score and parameter count of every run that counts."""
    return costs(runs, "parameters.layer")


def draw(
    numbers: pd.DataFrame,
    runs: pd.DataFrame,
    ax: Axes | None = None,
    task: str | None = None,
    names: list[str] | None = None,
) -> Axes:
    """A large marker per variant at its medians, a small point per seed."""
    ax, rows, scored, looks = panel(numbers, runs, ax, task, names)
    against(ax, rows, scored, looks)
    ax.set_xlabel("parameters of the recurrent layers")
    return ax


def caption(runs: pd.DataFrame) -> str:
    return (
        "The task's own measure at the end of training against the number of trained parameters of the recurrent "
        "layers, without the read-out. Large markers: medians over seeds; small points: seeds. Tasks on which all "
        "variants have the same number are left out."
    )


def height(numbers: pd.DataFrame) -> float:
    return 2.2
