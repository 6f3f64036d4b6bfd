"""How likely is a run of each variant to beat one of the complete LSTM?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis import checks, theme
from analysis.aggregates import probability_of_improvement
from analysis.effects import opposite
from analysis.figures import axes
from analysis.marks import legend, mark

TOGETHER = None
SHARE_Y = False
ORDER = 30
ALL = "all tasks"
COLUMNS = ["task", "name", "baseline", "of", "runs", "baseline_runs", "probability", "mean"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Per task (column `of`) the share of pairs of runs that the variant wins, and the mean of that over tasks."""
    rows = []
    for task, panel in checks.scored(runs).groupby("task"):
        cells = {str(name): cell for name, cell in panel.groupby("name")}
        for name, cell in cells.items():
            baseline = opposite(panel, name)
            if baseline is not None:
                won = wins(cell, cells[baseline])
                rows.append((ALL, name, baseline, str(task), len(cell), len(cells[baseline]), won))
    found = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return found.assign(mean=found.groupby("name")["probability"].transform("mean"))


def wins(cell: pd.DataFrame, baseline: pd.DataFrame) -> float:
    sign = -1 if cell["task.direction"].iloc[0] == "min" else 1
    first, second = (sign * np.asarray(rows["score"], dtype=float)[:, None] for rows in (cell, baseline))
    return probability_of_improvement(first, second)


def draw(
    numbers: pd.DataFrame,
    runs: pd.DataFrame,
    ax: Axes | None = None,
    task: str | None = None,
    names: list[str] | None = None,
) -> Axes:
    """A row per variant: a small point per task, a large marker at their mean."""
    ax = axes(height(numbers)) if ax is None else ax
    present = set(numbers["name"])
    looks = {name: look for name, look in theme.styles(checks.reported(runs)).items() if name in present}
    for place, (name, look) in enumerate(looks.items()):
        own = numbers[numbers["name"] == name]
        ax.scatter(own["probability"], [place] * len(own), s=10, color=look.colour, alpha=0.6, gid=f"tasks:{name}")
        ax.scatter(
            own["mean"].iloc[0], place, s=44, color=look.colour, marker=look.marker, edgecolors="white", gid=name
        )
    ax.axvline(0.5, color=theme.FAINT, linewidth=1, dashes=(5, 3), label="chance")
    ax.set_yticks(range(len(looks)), [theme.plain(name) for name in looks])
    ax.set(xlim=(-0.03, 1.03), ylim=(len(looks) - 0.4, -0.6), xlabel="probability of a better score than the LSTM's")
    ax.tick_params(axis="y", length=0)
    legend(ax, {}, mark("o", "one task", markersize=3), mark("D", "mean over tasks", markersize=5))
    return ax


def caption(runs: pd.DataFrame) -> str:
    return (
        "The share of all pairs of one run of the variant and one of the complete LSTM in which the variant's has the "
        "better final score, a tie counting half (Agarwal et al. 2021). Small points: one task each; large markers: "
        "the mean over these tasks. It says how often, not by how much; a diverged run scores chance."
    )


def height(numbers: pd.DataFrame) -> float:
    return 0.7 + 0.24 * numbers["name"].nunique()
