"""A whole report: which runs it shows, its files, its pages."""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from analysis import figures
from analysis.arms import counted_runs
from analysis.claims.claimed_runs import with_claims
from analysis.claims.frozen_study_file import FILE, FrozenStudy, UnreadableStudyError
from analysis.claims.verdicts import Verdict, judge, table
from analysis.common import escaping
from analysis.common.command_line import CommandError
from analysis.explorer.page import FILE as EXPLORER
from analysis.explorer.page import page as explorer_page
from analysis.figures import PAGE
from analysis.pages import formats, listings, tables
from analysis.pages.chosen_variants import choose
from analysis.pages.contents import contents, replicated
from analysis.pages.figure_files import drawings, refuse_unknown
from analysis.pages.macros import key, macros
from analysis.pages.provenance import explain
from analysis.pages.report_folder import refuse_foreign, write
from analysis.records.archive import is_archive
from analysis.records.load import Records, Skipped, load
from analysis.replications import published_verdicts
from analysis.replications.published_verdicts import CellVerdict

PAGES = ("index.html", "report.md")


@dataclass
class Request:
    """What is to be reported: the studies, which of their variants and tasks, and how."""

    studies: Sequence[str]
    variants: Sequence[str] = ()
    labels: Sequence[str] = ()
    tasks: Sequence[str] = ()
    figures: Sequence[str] = ()
    width: float = PAGE  # of a figure, in inches
    strict: bool = False
    extensions: Sequence[str] = ()


@dataclass(frozen=True)
class Gathered:
    """The runs of a report, those of its studies whole, and what these have frozen."""

    shown: Records
    everything: Records
    frozen: list[FrozenStudy] = field(default_factory=list)


def gather(asked: Request) -> Gathered:
    """What a report is made of; CommandError for whatever cannot be read or does not exist."""
    studies, damaged = frozen(asked.studies, asked.strict)
    figures.use_extensions(asked.extensions)
    refuse_unknown(asked.figures)
    everything = load(asked.studies, asked.strict)
    everything = dataclasses.replace(everything, skipped=sorted(everything.skipped + damaged))
    current = functools.reduce(lambda runs, study: study.current(runs), studies, everything.runs)
    chosen = choose(dataclasses.replace(everything, runs=current), asked.variants, asked.labels, asked.tasks)
    return Gathered(dataclasses.replace(chosen, runs=with_claims(chosen.runs, studies)), everything, studies)


def explained(asked: Request, place: str) -> str:
    """What is behind a number, `TABLE:ROW/COLUMN`."""
    found = gather(asked)
    return explain(found.shown, place, found.frozen)


def build(asked: Request, out: str) -> None:
    """Write a report into the folder `out`, and print its table.

    Raises CommandError where it cannot be written, or there is nothing to report.
    """
    folder = Path(out).resolve()
    if str(folder) in {str(Path(study).resolve()) for study in asked.studies}:
        raise CommandError(f"out={out} is the study itself; a report goes into a folder of its own")
    if is_archive(folder):
        raise CommandError(f"out={out} is an archive; a report goes into a folder of its own")
    refuse_foreign(folder, out, PAGES)
    found = gather(asked)
    runs = found.shown.runs
    if counted_runs.scored(runs).empty:
        raise CommandError(f"no run has a score yet; {listings.counts(runs).replace(chr(10), '; ')}")
    verdicts = [verdict for study in found.frozen for verdict in judge(found.everything, study)]
    published = {s.study: published_verdicts.judge(found.everything, s) for s in found.frozen if s.replication}
    write(folder, out, lambda place: fill(place, found.shown, verdicts, published, asked))
    print(formats.plain(tables.wide(tables.scores(runs))))
    if stale := counted_runs.stale(found.everything.runs):
        print(f"\n{stale}")
    if boxes := figures.lacking([*runs["name"], *runs["task"]]):
        lacks = f"the font of the figures lacks {boxes}: boxes in PNG and PDF, not in tables, pages and SVG"
        print(f"\nnote: {lacks}", file=sys.stderr)
    if (explorer := Path(out) / EXPLORER).exists():
        print(f"\n{explorer}: the trained nets, live")
    print(f"\n{Path(out) / 'index.html'}")


def frozen(studies: Sequence[str], strict: bool) -> tuple[list[FrozenStudy], list[Skipped]]:
    """What the studies have frozen, each once, in a fixed order, and which study.json cannot be read.

    Raises CommandError for one that was changed and, if `strict`, for one that cannot be read.
    """
    found: dict[str, FrozenStudy] = {}
    skipped = []
    for folder in sorted({Path(study).resolve() for study in studies}):
        try:
            if frozen_study := FrozenStudy.read(folder):
                found.setdefault(frozen_study.hash, frozen_study)
        except UnreadableStudyError as error:
            if strict:
                raise
            skipped.append(Skipped(f"{folder.name}/{FILE}", f"its claims are not judged: {error}"))
    return list(found.values()), skipped


def fill(
    folder: Path, records: Records, verdicts: list[Verdict], published: dict[str, list[CellVerdict]], asked: Request
) -> None:
    """Write the whole report into an empty folder."""
    scores = tables.scores(records.runs)
    studies = counted_runs.reported(records.runs).groupby(["task", "name"])["study"].agg(key)
    write_tables(folder / "tables", scores, studies.to_dict(), verdicts)
    for rows in published.values():
        formats.write_csv(published_verdicts.frame(rows), folder / "tables" / "published.csv")
    (folder / "figures").mkdir()
    drawn = drawings(folder / "figures", records, asked.width, asked.extensions, asked.figures)
    content = contents(records, scores, verdicts, drawn) | {"published": replicated(published)}
    explorer, _ = explorer_page(records)
    if explorer is not None:
        (folder / EXPLORER).write_text(explorer, encoding="utf-8")
        content["explorer"] = EXPLORER
    source = jinja2.FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8")
    pages = jinja2.Environment(
        loader=source, autoescape=jinja2.select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["cell"] = escaping.in_markdown
    for name in PAGES:
        (folder / name).write_text(pages.get_template(name).render(content), encoding="utf-8")


def write_tables(folder: Path, scores: pd.DataFrame, studies: dict[Any, str], verdicts: list[Verdict]) -> None:
    folder.mkdir()
    formats.write_csv(scores, folder / "scores.csv")
    (folder / "scores.md").write_text(formats.markdown(tables.wide(scores)) + "\n", encoding="utf-8")
    (folder / "scores.tex").write_text(formats.latex(tables.wide(scores)), encoding="utf-8")
    (folder / "numbers.tex").write_text(macros(scores, studies, verdicts), encoding="utf-8")
    if verdicts:
        formats.write_csv(table(verdicts), folder / "claims.csv")
