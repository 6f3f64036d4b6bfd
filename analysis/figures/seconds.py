"""What does a score cost in training time?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import panel
from analysis.marks import against, costs

TOGETHER = 8
SHARE_Y = False
ORDER = 90


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Score and training seconds of every run that counts."""
    return costs(runs, "timing.seconds")


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
    ax.set_xlabel("seconds of training")
    return ax


def caption(runs: pd.DataFrame) -> str:
    return (
        "The task's own measure at the end of training against the seconds that training took, on the machine and "
        "engine that the run records name; runs that were trained together in one batched program share its time. "
        "Large markers: medians over seeds; small points: seeds. All variants had the same budget in steps."
    )


def height(numbers: pd.DataFrame) -> float:
    return 2.2
