"""Run records -> a folder with every figure and table: the same records give the same bytes.

python -m analysis.report study=outputs/demo out=reports/demo

index.html    all of it on one page that needs no other file
report.md     the tables, with links to the figures
figures/      every figure as .png, .svg and .pdf, and the numbers it draws as .csv
tables/       scores as .csv (long), .md and .tex; claims.csv; numbers.tex, a LaTeX macro per number

python -m analysis.report study=outputs/demo why=scores:LSTM/adding     the runs behind a number
"""

import base64
import dataclasses
import functools
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from omegaconf import MISSING

from analysis import figures, runs
from analysis.claims import verdicts as claims
from analysis.claims.frozen_study import FILE, FrozenStudy, UnreadableStudyError
from analysis.common import escaping, resources
from analysis.common.command_line import CommandError, about, command
from analysis.figures import _own, _panel, _theme
from analysis.pages import folder as made
from analysis.pages import tables
from analysis.pages.contents import contents
from analysis.pages.macros import key, macros
from analysis.pages.provenance import explain
from analysis.records import checks
from analysis.records.selection import choose
from analysis.runs import Skipped

PAGES = ("index.html", "report.md")
MANY = 2000  # runs from which on figures are drawn in several processes
WORKERS = 3
MOST = 60  # names from which on a figure would say nothing: the draws of a random search


class Width(Enum):
    """How wide figures are: as one column of a paper, or as its page."""

    column = _theme.COLUMN
    page = _theme.PAGE


@dataclass
class Options:
    """Draw every figure and table of one or several studies into a folder; index.html shows them on one page."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, separated by commas", example="outputs/demo")
    )
    out: str = field(
        default="", metadata=about("the folder to write; an earlier report in it is replaced", example="reports/demo")
    )
    variants: list[str] = field(default_factory=list, metadata=about("show these, in this order; all unless given"))
    labels: list[str] = field(default_factory=list, metadata=about("what to call them, one for each of variants="))
    tasks: list[str] = field(default_factory=list, metadata=about("show these; all unless given"))
    width: Width = field(default=Width.page, metadata=about("figures as wide as a paper's column or page"))
    why: str = field(
        default="", metadata=about("print what is behind a number, TABLE:ROW/COLUMN (scores:LSTM/adding); no report")
    )
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))
    extensions: list[str] = field(default_factory=list, metadata=about("folders with figures of your own in figures/"))


def report(options: Options) -> None:
    if not options.out and not options.why:
        raise CommandError("out= is missing: the folder to write; --help shows an example")
    out = Path(options.out).resolve()
    if not options.why:
        if str(out) in {str(Path(study).resolve()) for study in options.study}:
            raise CommandError(f"out={options.out} is the study itself; a report goes into a folder of its own")
        made.refuse_foreign(out, options.out, PAGES)
    decided, damaged = frozen(options.study, options.strict)
    figures.use_own(options.extensions)
    everything = runs.load(options.study, options.strict)
    everything = dataclasses.replace(everything, skipped=sorted(everything.skipped + damaged))
    current = functools.reduce(lambda frame, one: one.current(frame), decided, everything.runs)
    now = dataclasses.replace(everything, runs=current)
    chosen = choose(now, options.variants, options.labels, options.tasks)
    records = dataclasses.replace(chosen, runs=claims.marked(chosen.runs, decided))
    if options.why:
        print(explain(records, options.why, decided))
        return
    if checks.scored(records.runs).empty:
        raise CommandError(f"no run has a score yet; {tables.counts(records.runs).replace(chr(10), '; ')}")
    verdicts = [verdict for one in decided for verdict in claims.judge(everything, one)]
    made.write(out, options.out, lambda folder: fill(folder, records, verdicts, options.width.value))
    print(tables.plain(tables.wide(tables.scores(records.runs))))
    if stale := checks.stale(everything.runs):
        print(f"\n{stale}")
    if boxes := _theme.lacking([*records.runs["name"], *records.runs["task"]]):
        print(
            f"\nnote: the font of the figures lacks {boxes}: boxes in PNG and PDF, not in tables, pages and SVG",
            file=sys.stderr,
        )
    print(f"\n{Path(options.out) / 'index.html'}")


def frozen(studies: Sequence[str], strict: bool) -> tuple[list[FrozenStudy], list[Skipped]]:
    """What the studies have frozen, each once, in a fixed order, and which study.json cannot be read.

    Raises CommandError for one that was changed and, if `strict`, for one that cannot be read.
    """
    found: dict[str, FrozenStudy] = {}
    skipped = []
    for folder in sorted({Path(study).resolve() for study in studies}):
        try:
            if one := FrozenStudy.read(folder):
                found.setdefault(one.hash, one)
        except UnreadableStudyError as error:
            if strict:
                raise
            skipped.append(Skipped(f"{folder.name}/{FILE}", f"its claims are not judged: {error}"))
    return list(found.values()), skipped


def fill(folder: Path, records: runs.Records, verdicts: list[claims.Verdict], width: float) -> None:
    """Write the whole report into an empty folder."""
    scores = tables.scores(records.runs)
    studies = checks.reported(records.runs).groupby(["task", "name"])["study"].agg(key)
    write_tables(folder / "tables", scores, studies.to_dict(), verdicts)
    (folder / "figures").mkdir()
    drawn = drawings(folder / "figures", records, width)
    content = contents(records, scores, verdicts, [one for one in drawn if one])
    source = jinja2.FileSystemLoader(Path(__file__).parent / "pages" / "templates", encoding="utf-8")
    pages = jinja2.Environment(
        loader=source, autoescape=jinja2.select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["cell"] = escaping.in_markdown
    for name in PAGES:
        (folder / name).write_text(pages.get_template(name).render(content), encoding="utf-8")


def write_tables(folder: Path, scores: pd.DataFrame, studies: dict[Any, str], verdicts: list[claims.Verdict]) -> None:
    folder.mkdir()
    tables.write_csv(scores, folder / "scores.csv")
    (folder / "scores.md").write_text(tables.markdown(tables.wide(scores)) + "\n", encoding="utf-8")
    (folder / "scores.tex").write_text(tables.latex(tables.wide(scores)), encoding="utf-8")
    (folder / "numbers.tex").write_text(macros(scores, studies, verdicts), encoding="utf-8")
    if verdicts:
        tables.write_csv(claims.table(verdicts), folder / "claims.csv")


def drawings(folder: Path, records: runs.Records, width: float) -> list[dict[str, str]]:
    """Write every figure; of many runs in several processes."""
    names = list(figures.discover())
    workers = min(WORKERS, resources.cores())
    if len(records.runs) < MANY or workers == 1:
        return [draw(folder, records, width, name) for name in names]
    own = (figures.use_own, (_own.folders(),))
    with ProcessPoolExecutor(workers, get_context("spawn"), *own) as pool:
        return list(pool.map(partial(draw, folder, records, width), names))


def draw(folder: Path, records: runs.Records, width: float, name: str) -> dict[str, str]:
    """Write one figure and its numbers; what the pages say about it, nothing if it makes no sense for these runs."""
    figure = figures.discover()[name]
    with _own.named(name):
        numbers = figure.numbers(records.runs, records.curves)
        if numbers.empty or numbers["name"].nunique() > MOST:
            return {}
        _theme.save(_panel.sheet(figure, numbers, records.runs, width), folder / name)
    tables.write_csv(numbers, folder / f"{name}.csv")
    picture = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
    variants = set(numbers["name"])
    shown = [row for row in _theme.order(checks.reported(records.runs)) if row in variants]
    alt = f"{figures.question(figure)} Panels: {', '.join(_theme.panels(numbers))}. "
    alt += f"Variants: {', '.join(shown)}. The numbers are in figures/{name}.csv."
    title = name.replace("_", " ").capitalize()
    texts = {"question": figures.question(figure), "caption": figure.CAPTION}
    return {"name": name, "title": title, **texts, "alt": alt, "data": f"data:image/png;base64,{picture}"}


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.report", Options, report, argv)


if __name__ == "__main__":
    sys.exit(main())
