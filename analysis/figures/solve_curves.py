"""How many training steps until each variant has solved its task, and how many seeds never do?"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from analysis.arms import counted_runs
from analysis.figures._figure import Layout, Panel
from analysis.figures._layers import lines
from analysis.figures._legends import legend
from analysis.statistics.solving import unsolved_curve

LAYOUT = Layout(order=50, together=8, share_y=True)
CAPTION = (
    "Kaplan-Meier curves: the share of seeds that have solved the task by each training step. A task is solved "
    "at the first of two successive evaluations past its threshold. A run that never solves is censored at the "
    "budget, where the lines end; a diverged run never solves. Markers: the steps at which a seed solved, and "
    "the budget. Tasks that nobody solved are left out. The CSV has the 95 % intervals (Greenwood, log-log)."
)
COLUMNS = ["task", "name", "runs", "solved", "budget", "step", "share_solved", "low", "high"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The Kaplan-Meier curve of each row, of the tasks that have a threshold and that some run has solved."""
    scored = counted_runs.scored(runs)
    scored = scored[scored["solved"].groupby(scored["task"]).transform("any") & scored["task.solved"].notna()]
    budgets = scored.groupby("task")["config.resolved.train.steps"].min()
    parts = []
    for (task, name), cell in scored.groupby(["task", "name"]):
        parts.append(curve(cell, budgets[str(task)]).assign(task=str(task), name=str(name)))
    return pd.concat(parts)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def curve(cell: pd.DataFrame, budget: float) -> pd.DataFrame:
    """The share of the runs of one row that have solved, after each step at which one did."""
    steps = cell["results.steps_to_solve"].where(cell["solved"])
    steps = steps.where(steps <= budget)
    table = pd.DataFrame(unsolved_curve(steps, budget), columns=["step", "left", "low", "high"])
    share = {"share_solved": 1 - table["left"], "low": 1 - table["high"], "high": 1 - table["low"]}
    return table.assign(runs=len(cell), solved=int(steps.notna().sum()), budget=budget, **share)


def draw(on: Panel) -> Axes:
    """A step line per variant, up to the budget; its marker stands where a seed solved, and at the budget."""
    ax, rows = on.ax, on.rows
    ends = rows.groupby("name", sort=False).tail(1)
    whole = pd.concat([rows, ends.assign(step=ends["budget"])])
    lines(on, whole, "step", "share_solved", drawstyle="steps-post", markevery=slice(1, None), clip_on=False)
    ax.set(xlabel="training steps", ylabel="seeds that have solved it", ylim=(0, 1), xlim=(0, rows["budget"].max()))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend(ax, on.looks)
    return ax
