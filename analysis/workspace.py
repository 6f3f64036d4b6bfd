"""wandb's views of a study, as code: python -m analysis.workspace study=outputs/mine [dry_run=true]

A saved view has two kinds of sections. "All runs" draws aggregate runs, one per arm, which `experiments.push` makes
from every record: a hosted workspace shows at most 1,000 runs and draws a sample of 100 of a group. "Single runs" draws
the runs themselves, for a closer look. With `dry_run=true` the view is printed as JSON, no account is needed.
"""

import json
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from analysis import arms, runs
from analysis.commandline import CommandError, about, command
from analysis.runs import Records

SAMPLED = "Drawn by wandb from a sample of the runs; for numbers see the sections of aggregates, or the report."


@dataclass
class Options:
    """Make wandb's view of a study: curves and scores by variant, by length, importance of the settings, a table."""

    study: list[str] = field(
        default=MISSING, metadata=about("one study folder; its name is the wandb project", example="outputs/demo")
    )
    entity: str = field(default="", metadata=about("wandb user or team; the account's default unless given"))
    dry_run: bool = field(default=False, metadata=about("print the view as JSON and send nothing"))


def axes(records: Records) -> list[str]:
    """The settings, of task and length at least, in which the arms of the study differ: keys of wandb's config."""
    firsts = records.runs.drop_duplicates("arm")
    known = [column.removeprefix(arms.RESOLVED) for column in arms.differing(firsts)]
    return list(dict.fromkeys(["task.name", "task.length", *known]))


def metrics(records: Records) -> list[str]:
    """The main metric of each task, as the history has it."""
    return sorted({f"eval/{metric}" for metric in records.runs["task.metric"]})


def library() -> tuple[Any, Any]:
    """wandb-workspaces: workspaces, and the panels that they share with reports."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is written for an older pydantic
            import wandb_workspaces.reports.v2 as wr
            import wandb_workspaces.workspaces as ws
    except ImportError:
        raise CommandError("the extra is missing: pip install wandb-workspaces") from None
    return ws, wr


def view(records: Records, project: str, entity: str) -> Any:
    """The workspace of a study."""
    ws, _ = library()
    sections = [
        ws.Section(name="All runs: one curve per arm, over every seed", panels=whole(records), is_open=True),
        ws.Section(name="All runs: scores", panels=scores(), is_open=True),
        ws.Section(name="Single runs", panels=single(records), is_open=False),
    ]
    settings = ws.RunsetSettings(pinned_columns=columns(records))
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"{project}: what the gates do",
        sections=sections,
        runset_settings=settings,
    )


def whole(records: Records) -> list[Any]:
    """Panels of aggregate runs: single runs have no such metrics."""
    _, wr = library()
    panels = [
        wr.LinePlot(title=f"{metric}: {name} over the seeds of each arm", x="step", y=[f"aggregate/{metric}/{name}"])
        for metric in metrics(records)
        for name in ("mean", "median", "low", "high", "n")
    ]
    return [*panels, wr.LinePlot(title="share of runs that have solved the task", x="step", y=["aggregate/solve_rate"])]


def scores() -> list[Any]:
    """Score and solve rate by variant, and score by length."""
    _, wr = library()
    named = {"score_median": "score, median over seeds", "solve_rate": "share of seeds that solve the task"}
    bars = [wr.BarPlot(title=title, metrics=[key], groupby=wr.Config("variant.label")) for key, title in named.items()]
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
    return [wr.MarkdownPanel(markdown=SAMPLED), *curves, wr.ParameterImportancePlot(with_respect_to="score")]


def columns(records: Records) -> list[str]:
    """The columns of the run table: the axes of the study, then how the run went."""
    configured = [f"config:{axis}" for axis in ["variant.label", *axes(records), "seed", "gates.forget"]]
    return ["run:displayName", *configured, *(f"summary:{key}" for key in ("score", "solved", "status"))]


def make(options: Options) -> None:
    """Print the view, or save it."""
    if len(options.study) != 1:
        raise CommandError(f"study={','.join(options.study)}: a view is of one study")
    records = runs.load(options.study)
    project = re.sub(r"[^A-Za-z0-9_.]+", "-", str(records.runs["study"].iloc[0])).strip("-")  # as the mirror has it
    workspace = view(records, project, options.entity or ("nobody" if options.dry_run else default_entity()))
    if options.dry_run:
        print(json.dumps(json.loads(workspace._to_model().model_dump_json(by_alias=True)), indent=1))
        return
    try:
        print(workspace.save().url)
    except Exception as error:  # the client raises many kinds
        raise CommandError(f"wandb: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


def default_entity() -> str:
    """The account's own entity."""
    import wandb

    try:
        return str(wandb.Api(timeout=30).default_entity)
    except Exception as error:  # the client raises many kinds
        raise CommandError(f"wandb: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.workspace", Options, make, argv)


if __name__ == "__main__":
    sys.exit(main())
