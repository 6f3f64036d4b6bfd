"""Run records -> a folder with every figure and table: the same records give the same bytes.

python -m analysis.report study=outputs/demo out=reports/demo

index.html    all of it on one page that needs no other file
explorer.html where runs have been looked inside: a page in which their nets run live
report.md     the tables, with links to the figures
figures/      every figure as .png, .svg and .pdf, and the numbers it draws as .csv
tables/       scores as .csv (long), .md and .tex; claims.csv; numbers.tex, a LaTeX macro per number

python -m analysis.report study=outputs/demo why=scores:LSTM/adding     the runs behind a number
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from analysis import figures
from analysis.common.command_line import CommandError, about, command
from analysis.common.terminal import as_typed
from analysis.pages.build import Request, build, explained


class Width(Enum):
    """How wide figures are: as one column of a paper, or as its page."""

    column = figures.COLUMN
    page = figures.PAGE


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
    figures: list[str] = field(
        default_factory=list,
        metadata=about(f"draw these of {', '.join(figures.ours())}; unless given all that make sense, but for seconds"),
    )
    width: Width = field(default=Width.page, metadata=about("figures as wide as a paper's column or page"))
    why: str = field(
        default="", metadata=about("print what is behind a number, TABLE:ROW/COLUMN (scores:LSTM/adding); no report")
    )
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))
    extensions: list[str] = field(default_factory=list, metadata=about("folders with figures of your own in figures/"))


def report(options: Options) -> None:
    """Write the report, or print what is behind a number."""
    if not options.out and not options.why:
        raise CommandError("out= is missing: the folder to write; --help shows an example")
    asked = Request(
        studies=options.study,
        variants=options.variants,
        labels=options.labels,
        tasks=options.tasks,
        figures=options.figures,
        width=options.width.value,
        strict=options.strict,
        extensions=options.extensions,
    )
    if options.why:
        print(as_typed(explained(asked, options.why)))
    else:
        build(asked, options.out)


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.report", Options, report, argv)


if __name__ == "__main__":
    sys.exit(main())
