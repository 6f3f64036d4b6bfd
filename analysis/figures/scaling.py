"""How do score and speed of each variant change with the length it is trained on?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import arms, counted_runs
from analysis.claims.measures import OF_STEPS
from analysis.figures import _theme
from analysis.figures._axes import logarithmic
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import medians
from analysis.figures._legends import legend

LAYOUT = Layout(order=68, together=8)
CAPTION = (
    "Left: the task's own measure at the end of training; right: training steps until the task is solved, of a run "
    "that never does its budget, which is the least that it takes. Each against the length of the sequences that the "
    "runs were trained on: lines join the medians over seeds, small points are the seeds. Where a study tuned "
    "settings, each length has its own. Dashed: what chance scores. A diverged run is worse than every other and "
    "never solves."
)
LENGTH = f"{arms.TASK}length"
COLUMNS = ["task", "name", "variant", "seed", "run_id", "status", "length", "value", "median", "chance", "label"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Score and steps to solve of every run, of the rows that were trained on several lengths of one task."""
    scored = counted_runs.scored(runs)
    if LENGTH not in scored or scored[LENGTH].nunique() < 2:
        return pd.DataFrame(columns=COLUMNS)
    merged = arms.without(scored, LENGTH, *tuned(runs)).rename(columns={LENGTH: "length"})
    merged = merged[merged.groupby(["task", "name"])["length"].transform("nunique") > 1]
    better = merged["task.direction"].map({"min": "lower", "max": "higher"})
    named = merged["task.metric"].map(arms.metric_label) + "\n" + better + " is better"
    scores = merged.assign(value=merged["score"], chance=merged["task.chance"], label=named)
    steps = merged["results.steps_to_solve"].where(merged["solved"], merged["config.resolved.train.steps"])
    solving = merged.assign(value=steps, chance=np.nan, label="steps to solve\nlower is better")
    solving = solving[solving["solved"].groupby(solving["task"]).transform("any")]
    rows = pd.concat([scores, solving.assign(task=solving["task"] + OF_STEPS)])
    rows = rows.assign(median=rows.groupby(["task", "name", "length"])["value"].transform("median"))
    return rows[COLUMNS].sort_values(["task", "name", "length", "seed"])


def tuned(runs: pd.DataFrame) -> list[str]:
    """The settings that were tuned on each length alone."""
    tuning = runs[(runs["phase"] == "tune") & counted_runs.current(runs)]
    cells = [cell for _, cell in tuning.groupby(["task", "variant"])]
    keys = [key for key in arms.settings(tuning) if not key.startswith((arms.TASK, f"{arms.RESOLVED}init"))]
    return [key for key in keys if any(len(arms.present(cell[key])) > 1 for cell in cells)]


def draw(on: Panel) -> Axes:
    """A line of medians per variant, a small point per seed; the chance level of each length."""
    medians(on, "length")
    lengths = on.rows.drop_duplicates("length").sort_values("length")
    if lengths["chance"].notna().any():
        look: Any = {"color": _theme.FAINT, "linewidth": _theme.LINE, "dashes": (5, 3)}
        on.ax.plot(lengths["length"], lengths["chance"], label="chance", **look)
    values = on.rows["value"][np.isfinite(on.rows["value"])]
    if values.min() > 0 and values.max() > 30 * values.min():
        logarithmic(on.ax, "y")
    if lengths["length"].max() > 10 * lengths["length"].min():
        logarithmic(on.ax, "x")
    on.ax.set_xticks(lengths["length"], [f"{length:g}" for length in lengths["length"]])
    on.ax.set(xlabel="length at training", ylabel=on.rows["label"].iloc[0])
    legend(on.ax, on.looks)
    return on.ax
