"""The columns of the list of runs in a study's saved view on wandb."""

from analysis.arms import arms, counted_runs
from analysis.records.load import Records
from analysis.wandb_views.panels import COST


def axes(records: Records) -> list[str]:
    """The settings, of task and length at least, in which the arms of the study differ: keys of wandb's config."""
    firsts = records.runs[counted_runs.current(records.runs)].drop_duplicates("arm")
    known = [column.removeprefix(arms.RESOLVED) for column in arms.differing(firsts)]
    return list(dict.fromkeys(["task.name", "task.length", *known]))


def columns(records: Records) -> list[str]:
    """The columns of the run table: the axes of the study, then how the run went."""
    configured = [f"config:{axis}" for axis in ["variant.label", *axes(records), "seed", "gates.forget"]]
    found = [COST.replace("inside.", "inside/")] if COST in records.runs else []
    return ["run:displayName", *configured, *(f"summary:{key}" for key in ("score", "solved", "status", *found))]
