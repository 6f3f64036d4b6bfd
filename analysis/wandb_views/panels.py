"""Panels of wandb that a study's view and its report share, and what they read of the mirror.

"All runs" draws aggregate runs, one per arm, which `experiments.push` makes from every record: a hosted workspace shows
at most 1,000 runs and draws a sample of 100 of a group. "Single runs" draws the runs themselves, for a closer look.
"""

import warnings
from typing import Any

from analysis.arms import counted_runs
from analysis.common.command_line import CommandError
from analysis.records.load import Records
from analysis.statistics import arm_curves

ALL = "Drawn from one aggregate run per arm, made from every record: python -m experiments.push."
SAMPLED = "Drawn by wandb from a sample of the runs; for numbers see the sections of aggregates, or the report."
COST = "inside.surgery/forget=1/cost"  # what holding the forget gate at 1 costs, of runs that were looked inside
PICTURES = ["inside/gate_traces", "inside/surgery"]  # of the same runs
SUPERSEDED = "superseded"  # the job type of aggregates that newer ones replace


def library() -> tuple[Any, Any]:
    """wandb-workspaces: workspaces, and the reports with the panels that both have."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is written for an older pydantic
            import wandb_workspaces.reports.v2 as wr
            import wandb_workspaces.workspaces as ws
    except ImportError:
        raise CommandError("the extra is missing: pip install wandb-workspaces") from None
    return ws, wr


def metrics(records: Records) -> list[str]:
    """The main metric of each task, as the history has it."""
    return sorted({f"eval/{metric}" for metric in records.runs.loc[counted_runs.current(records.runs), "task.metric"]})


def arms_of(records: Records) -> int:
    """How many aggregate runs there are, to draw them all: a panel of wandb shows the first 10 of its runs."""
    scored = counted_runs.scored(records.runs)
    return max(1, len(scored.drop_duplicates(["task", "name", "arm", "phase"])))


def whole(records: Records) -> list[Any]:
    """Curves of aggregate runs: single runs have no such metrics."""
    _, wr = library()
    named = {
        f"{metric}/{name}": f"{metric}: {name} over the seeds of each arm"
        for metric in metrics(records)
        for name in arm_curves.STATISTICS
    }
    named["solved/share"] = "share of runs that have solved the task"
    most = arms_of(records)
    return [wr.LinePlot(title=title, x="step", y=[key], max_runs_to_show=most) for key, title in named.items()]


def scores(records: Records) -> list[Any]:
    """Score and solve rate by variant, and score by length."""
    _, wr = library()
    named = {"score_median": "score, median over seeds", "solve_rate": "share of seeds that solve the task"}
    label, most = wr.Config("variant.label"), arms_of(records)
    bars = [
        wr.BarPlot(title=title, metrics=[key], groupby=label, max_runs_to_show=most) for key, title in named.items()
    ]
    by_length = wr.ScatterPlot(title="score by length", x=wr.Config("task.length"), y=wr.SummaryMetric("score_median"))
    return [*bars, by_length]


def single(records: Records) -> list[Any]:
    """Panels of the runs themselves."""
    _, wr = library()
    curves = [
        wr.LinePlot(
            title=metric,
            x="step",
            y=[metric],
            groupby=wr.Config("variant.label"),
            groupby_aggfunc="median",
            groupby_rangefunc="minmax",
        )
        for metric in metrics(records)
    ]
    media = [wr.MediaBrowser(title="inside trained nets", media_keys=PICTURES)] if COST in records.runs else []
    return [wr.MarkdownPanel(markdown=SAMPLED), *curves, wr.ParameterImportancePlot(with_respect_to="score"), *media]
