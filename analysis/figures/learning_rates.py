"""How much does each variant's score depend on the learning rate?"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import arms, counted_runs
from analysis.claims.claimed_runs import about_steps
from analysis.claims.measures import OF_STEPS
from analysis.figures._axes import logarithmic, reference, scale, shown
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import medians
from analysis.figures._legends import legend, mark

LAYOUT = Layout(order=80, together=8)
CAPTION = (
    "The task's own measure at the end of training against the learning rate: lines join the medians over "
    "seeds, small points are the seeds. Of a study that was tuned these are its tuning runs, other seeds than "
    "those reported elsewhere; a ring marks the rate with which the variant is reported. A ring at the end of a "
    "line says that a wider grid might have served the variant better. A diverged run is worse than every other: it "
    "stands at the worst of the others and of chance. Of a task that is about steps to solve a second panel has these; "
    "a run that never solves stands at its budget, which is the least that it takes."
)
RING = 8  # the breadth of the ring around a chosen rate, in points
MARKED = 6  # learning rates that are marked on the axis, at most
RATE = "config.resolved.train.lr"
COLUMNS = ["task", "name", "variant", "learning_rate", "phase", "seed", "run_id", "status", "value", "median", "chosen"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The score of every run at every learning rate, where there are several; of a tuned study its tuning runs."""
    ended = runs[runs["status"].isin(counted_runs.COUNTED) & runs[RATE].notna()]
    if ended.groupby("task.name")[RATE].nunique().max() in (0, 1):
        return pd.DataFrame(columns=COLUMNS)
    merged = arms.without(ended, RATE).rename(columns={RATE: "learning_rate", "score": "value"})
    tuned = (merged["phase"] == "tune").groupby(merged["study"]).transform("any")
    rows = merged[~tuned | (merged["phase"] == "tune")]
    chosen = merged[merged["phase"] == "confirm"].groupby(["task", "name"])["learning_rate"].first().rename("chosen")
    rows = rows.join(chosen, on=["task", "name"])
    rows = rows[rows.groupby(["task", "name"])["learning_rate"].transform("nunique") > 1]
    rows = pd.concat([rows, solving(rows, merged)])
    rows = rows.assign(median=rows.groupby(["task", "name", "learning_rate"])["value"].transform("median"))
    return rows[COLUMNS].sort_values(["task", "name", "learning_rate", "seed"])


def solving(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs with their steps to solve, of the tasks that are about these."""
    about = [task for task, panel in runs.groupby("task") if about_steps(panel)]
    timed = rows[rows["task"].isin(about)]
    steps = timed["results.steps_to_solve"].where(timed["solved"], timed["config.resolved.train.steps"])
    return timed.assign(task=timed["task"] + OF_STEPS, value=steps)


def draw(on: Panel) -> Axes:
    """A line of medians per variant, a small point per seed; a ring around the rate that the study chose."""
    ax, rows, scored, looks = on.ax, on.rows, on.runs, on.looks
    medians(on, "learning_rate")
    chosen = rows[rows["learning_rate"] == rows["chosen"]].drop_duplicates("name")
    for name, row in chosen.assign(level=shown(chosen["median"], rows["value"], scored)).set_index("name").iterrows():
        ring: Any = {"ms": RING, "mfc": "none", "mec": looks[str(name)].colour}
        ax.plot(row["learning_rate"], row["level"], "o", gid=f"chosen:{name}", **ring)
    if scored.empty:  # steps to solve
        ax.set_ylabel("steps to solve\nlower is better")
    else:
        reference(ax, scored, "y")
        scale(ax, scored, rows["value"], "y")
    logarithmic(ax, "x")
    rates = sorted(rows["learning_rate"].unique())
    rates = rates[:: math.ceil(len(rates) / MARKED)]
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.set_xlabel("learning rate")
    legend(ax, looks, *([mark("o", "chosen", markerfacecolor="none", markersize=RING)] if len(chosen) else []))
    return ax
