"""wandb's view of a study and a report with its claims, as code: python -m analysis.workspace study=outputs/mine

With `dry_run=true` both are printed as JSON, and no account is needed. Every other call saves new ones.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from analysis.arms import counted_runs
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.common.command_line import CommandError, about, command
from analysis.records.load import Records, load
from analysis.wandb_views import panels, run_table
from analysis.wandb_views.report import report


@dataclass
class Options:
    """Save wandb's view of a study (curves, scores, importance, a table of runs) and a report with its claims."""

    study: list[str] = field(
        default=MISSING, metadata=about("one study folder; its name is the wandb project", example="outputs/demo")
    )
    entity: str = field(default="", metadata=about("wandb user or team; the account's default unless given"))
    dry_run: bool = field(default=False, metadata=about("print view and report as JSON and send nothing"))


def view(records: Records, project: str, entity: str) -> Any:
    """The workspace of a study."""
    ws, _ = panels.library()
    curves, scores, single = panels.whole(records), panels.scores(records), panels.single(records)
    sections = [
        ws.Section(name="All runs: one curve per arm, over every seed", panels=curves, is_open=True),
        ws.Section(name="All runs: scores", panels=scores, is_open=True),
        ws.Section(name="Single runs", panels=single, is_open=False),
    ]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"{project}: what the gates do",
        sections=sections,
        runset_settings=ws.RunsetSettings(
            pinned_columns=run_table.columns(records),
            filters=f"Metric('JobType') != '{panels.SUPERSEDED}'",
            order=[
                ws.Ordering(ws.Metric("JobType"))
            ],  # aggregates come first, so they are among the runs that are shown
        ),
    )


def make(options: Options) -> None:
    """Print view and report, or save them."""
    if len({Path(study).resolve() for study in options.study}) != 1:
        raise CommandError(f"study={','.join(options.study)}: a view is of one study")
    study = options.study[0]
    FrozenStudy.read(study)  # refused if it was changed
    records = load([study])
    if stale := counted_runs.stale(records.runs):
        print(stale, file=sys.stderr)
    project = (
        re.sub(r"[^A-Za-z0-9_.]+", "-", str(records.runs["study"].iloc[0])).strip("-") or "study"
    )  # as the mirror has it
    if options.dry_run:
        made = {
            "view": view(records, project, "nobody"),
            "report": report(records, project, "", study),
        }
        print(json.dumps({name: spec(content) for name, content in made.items()}, indent=1))
        return
    try:
        entity = options.entity or default_entity()
        print(view(records, project, entity).save().url)
        print(report(records, project, entity, study).save().url)
    except CommandError:
        raise
    except Exception as error:  # the client raises many kinds
        raise CommandError(f"wandb: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


def spec(made: Any) -> Any:
    """What would be sent."""
    return json.loads(made._to_model().model_dump_json(by_alias=True, exclude_none=True))


def default_entity() -> str:
    """The account's own entity."""
    import wandb

    return str(wandb.Api(timeout=30).default_entity)


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.workspace", Options, make, argv)


if __name__ == "__main__":
    sys.exit(main())
