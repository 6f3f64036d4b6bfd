"""A study's report on wandb, as code: the claims with their verdicts, the scores, and panels of the aggregate runs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from analysis.arms import counted_runs
from analysis.claims.claimed_runs import with_claims
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.claims.verdicts import Verdict, judge
from analysis.common.escaping import in_markdown
from analysis.pages import contents, tables
from analysis.pages.formats import markdown
from analysis.pages.listings import counts
from analysis.records.load import Records
from analysis.wandb_views import panels

HEAD = ["comparison", "estimate", "of", "p", "verdict", "note"]
MADE = "Verdicts and scores are those of the records on disk when this was saved; panels draw what wandb has now."
NONE = "Nothing was claimed before this study ran, so nothing is decided here."


def report(records: Records, project: str, entity: str, study: str) -> Any:
    """The report of a study folder; without an entity its panels name no project, and no server is asked."""
    _, wr = panels.library()
    frozen = FrozenStudy.read(study)
    verdicts = judge(records, frozen) if frozen else []
    studies = [frozen] if frozen else []
    current = frozen.current(records.runs) if frozen else records.runs
    records = dataclasses.replace(records, runs=with_claims(current, studies))
    runset = wr.Runset(entity, project if entity else "", "arms", filters="Metric('JobType') == 'aggregate'")
    return wr.Report(
        project=project,
        entity=entity or "nobody",
        title=f"{project[:100]}: claims and verdicts",
        description=counts(records.runs).replace("\n", "; "),
        blocks=[
            wr.MarkdownBlock(MADE),
            wr.H2("Claims"),
            *([wr.MarkdownBlock(text) for text in judged(verdicts)] or [wr.MarkdownBlock(NONE)]),
            wr.H2("Scores"),
            wr.MarkdownBlock(scored(records)),
            wr.H2("All runs"),
            wr.MarkdownBlock(panels.ALL),
            wr.PanelGrid(runsets=[runset], panels=[*panels.scores(records), *panels.whole(records)]),
        ],
        width="fluid",
    )


def judged(verdicts: Sequence[Verdict]) -> list[str]:
    """Each claim in markdown: its verdict, sentence and source, and the comparisons that decide it."""
    return [
        f"**{claim['verdict']}**: {in_markdown(claim['sentence'])} "
        f"({in_markdown(claim['source'])}; study {in_markdown(claim['study'])}, {in_markdown(claim['frozen'])})\n\n"
        + "\n".join(row(cells) for cells in [HEAD, ["---"] * len(HEAD), *claim["rows"]])
        for claim in contents.judged(verdicts)
    ]


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(in_markdown(cell) for cell in cells)} |"


def scored(records: Records) -> str:
    """The table of scores in markdown; a study without a score says so."""
    if counted_runs.scored(records.runs).empty:
        return "No run has a score yet."
    scores = tables.scores(records.runs)
    return f"{markdown(tables.wide(scores))}\n\n{tables.note(scores)}"
