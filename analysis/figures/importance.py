"""Over a random search, which knob does the score depend on?"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import counted_runs
from analysis.figures._bars import shares
from analysis.figures._figure import Layout, Panel
from analysis.statistics import grids
from analysis.statistics.aggregates import ENOUGH_FIT, ENOUGH_RUNS, importance

LAYOUT = Layout(order=65, base=0.8, row=0.34)
CAPTION = (
    f"How much of the variance of the final score (of its log for losses) each knob of a random search explains "
    f"alone, by functional ANOVA of a random forest; what the bars leave is what knobs explain together. Below "
    f"{ENOUGH_RUNS} runs a task or an out-of-bag R² of {ENOUGH_FIT} the shares are undecided. They depend on the "
    f"ranges that were searched, which stand beside the knobs. A diverged run counts as the worst that did not."
)
FEWEST = 50  # runs of a task below which a random search is not looked at
COLUMNS = ["task", "name", "effect", "share", "low", "high", "runs", "fit", "decided", "text"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The importance of each knob of every task whose runs are a random search, with the range that was searched."""
    parts = [knobs(panel).assign(task=str(task)) for task, panel in counted_runs.scored(runs).groupby("task")]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def knobs(runs: pd.DataFrame) -> pd.DataFrame:
    values = grids.responses(runs)[0]
    found = grids.searched(runs) if len(runs) >= FEWEST else None
    if found is None or found.shape[1] < 2:
        return pd.DataFrame()
    try:
        result = importance(found.assign(score=values), "score", list(found.columns))
    except ImportError:
        return pd.DataFrame()
    table = pd.DataFrame(result.shares.items(), columns=["effect", "share"]).sort_values("share", ascending=False)
    ranges = runs[[f"config.resolved.{knob}" for knob in table["effect"]]].agg(["min", "max"])
    texts = [f"{share:.0%}" if result.decided else "undecided" for share in table["share"]]
    low, high = ranges.loc["min"].to_numpy(), ranges.loc["max"].to_numpy()
    same: Any = {"name": table["effect"], "runs": len(runs), "fit": result.fit, "decided": result.decided}
    return table.assign(low=low, high=high, text=texts, **same)


def draw(on: Panel) -> Axes:
    """A bar per knob, named with the range that was searched."""
    ax, rows = on.ax, on.rows
    shares(ax, rows, "")
    labels = zip(rows["effect"], rows["low"], rows["high"], strict=True)
    ax.set_yticks(range(len(rows)), [f"{knob}\n{low:.3g} to {high:.3g}" for knob, low, high in labels])
    ax.set_xlabel(f"share of the variance explained (fit: R² {rows['fit'].iloc[0]:.2f})")
    return ax
