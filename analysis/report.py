"""Run records -> a folder with every figure and table: the same records give the same bytes.

python -m analysis.report study=outputs/demo out=reports/demo

index.html    all of it on one page that needs no other file
report.md     the tables, with links to the figures
figures/      every figure as .png, .svg and .pdf, and the numbers it draws as .csv
tables/       scores as .csv (long), .md and .tex
"""

import base64
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from omegaconf import MISSING

from analysis import checks, figures, page, runs, tables, theme
from analysis.commandline import CommandError, about, command

MADE = {"index.html", "report.md", "figures", "tables"}


@dataclass
class Options:
    """Draw every figure and table of one or several studies into a folder; index.html shows them on one page."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, separated by commas", example="outputs/demo")
    )
    out: str = field(
        default=MISSING, metadata=about("the folder to write; an earlier report is replaced", example="reports/demo")
    )
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))


def report(options: Options) -> None:
    out = Path(options.out).resolve()
    refuse_foreign(out, options.out)
    records = runs.load(options.study, options.strict)
    if checks.scored(records.runs).empty:
        raise CommandError(f"no run has a score yet; {tables.counts(records.runs).replace(chr(10), '; ')}")
    staging = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        staging.mkdir(parents=True)
        fill(staging, records)
        replace(out, staging)
    except OSError as error:
        raise CommandError(f"out={options.out} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    print(tables.plain(tables.wide(tables.scores(records.runs))))
    print(f"\n{Path(options.out) / 'index.html'}")


def refuse_foreign(out: Path, said: str) -> None:
    """Raise CommandError unless `out` is free to be written or holds an earlier report and nothing else."""
    if not out.exists():
        return
    if not out.is_dir():
        raise CommandError(f"out={said} is a file, expected a folder")
    present = {path.name for path in out.iterdir()}
    if present and not {"index.html", "report.md"} <= present <= MADE:
        raise CommandError(
            f"out={said} holds {min(present - MADE, default='other files')}, which is no part of a report"
        )


def replace(out: Path, staging: Path) -> None:
    """Move the finished folder into place; an earlier report goes only after the new one stands."""
    old = staging.with_name(f"{staging.name}.old")
    if out.exists():
        out.rename(old)
    try:
        staging.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def fill(folder: Path, records: runs.Records) -> None:
    """Write the whole report into an empty folder."""
    scores = tables.scores(records.runs)
    write_tables(folder / "tables", scores)
    drawn = [draw(folder / "figures", name, figure, records) for name, figure in figures.discover().items()]
    drawn = [one for one in drawn if one]
    content = contents(records, scores, drawn)
    source = jinja2.FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8")
    pages = jinja2.Environment(
        loader=source, autoescape=jinja2.select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["cell"] = tables.in_markdown
    for name in ("index.html", "report.md"):
        (folder / name).write_text(pages.get_template(name).render(content), encoding="utf-8")


def write_tables(folder: Path, scores: pd.DataFrame) -> None:
    folder.mkdir()
    scores.to_csv(folder / "scores.csv", index=False, lineterminator="\n")
    (folder / "scores.md").write_text(tables.markdown(tables.wide(scores)) + "\n", encoding="utf-8")
    (folder / "scores.tex").write_text(tables.latex(tables.wide(scores)), encoding="utf-8")


def draw(folder: Path, name: str, figure: figures.Drawing, records: runs.Records) -> dict[str, str]:
    """Write one figure and its numbers; what the pages say about it, nothing if it makes no sense for these runs."""
    numbers = figure.numbers(records.runs, records.curves)
    if numbers.empty:
        return {}
    folder.mkdir(exist_ok=True)
    theme.save(page.sheet(figure, numbers, records.runs), folder / name)
    numbers.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    picture = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
    variants = set(numbers["name"])
    shown = [row for row in theme.order(checks.reported(records.runs)) if row in variants]
    alt = f"{figures.question(figure)} Panels: {', '.join(theme.panels(numbers))}. "
    alt += f"Variants: {', '.join(shown)}. The numbers are in figures/{name}.csv."
    title = name.replace("_", " ").capitalize()
    texts = {"question": figures.question(figure), "caption": figure.caption(records.runs)}
    return {"name": name, "title": title, **texts, "alt": alt, "data": f"data:image/png;base64,{picture}"}


def contents(records: runs.Records, scores: pd.DataFrame, drawn: list[dict[str, str]]) -> dict[str, Any]:
    """Everything that the two pages show, as plain values."""
    looks = theme.styles(checks.reported(records.runs))
    return {
        "studies": sorted(set(records.runs["study"])),
        "counts": tables.counts(records.runs).splitlines(),
        "tuning": len(records.runs)
        - len(checks.reported(records.runs))
        - int((records.runs["status"] == "stale").sum()),
        "note": tables.NOTE,
        "scores": tables.markdown(tables.wide(scores)),
        "tasks": list(dict.fromkeys(scores["task"])),
        "names": [(name, looks[name].colour, tables.parameters(scores, name)) for name in theme.order(scores)],
        "cells": {(row["name"], row["task"]): tables.cell(row) for _, row in scores.iterrows()},
        "lines": tables.wide(scores).tail(2).reset_index().to_numpy().tolist(),
        "figures": drawn,
        "listings": listings(records),
    }


def listings(records: runs.Records) -> list[dict[str, Any]]:
    """The lists at the end of a report: what was measured, what is missing, what differs."""
    chosen = checks.reported(records.runs)
    skipped = pd.DataFrame(records.skipped, columns=["record", "reason"])
    sections = [
        ("Tasks", "", tables.tasks(chosen), ""),
        ("Variants", "", tables.variants(chosen), ""),
        ("Runs that did not finish", UNFINISHED, checks.unfinished(records.runs), "Every recorded run finished."),
        ("Runs without a record", ABSENT, checks.absent(records.runs), "Every variant has the seeds of its task."),
        ("Skipped records", SKIPPED, skipped, "Every record could be read."),
        ("Data", UNPAIRED, checks.unpaired(records.runs), "Paired: per task and seed, all variants saw the same data."),
        ("Provenance", PROVENANCE, checks.provenance(records.runs), "Commit, engine, torch and semantics agree."),
    ]
    return [
        {"title": title, "text": text if len(table) else empty, "head": list(table), "rows": tables.texts(table)}
        for title, text, table, empty in sections
    ]


UNFINISHED = (
    "A diverged run is in the figures, at the chance level. A failed, interrupted or still running one is missing from "
    "them until it has been run again; so is a stale one, whose numbers an older version of the code made."
)
ABSENT = "Other variants have run these seeds of the task."
SKIPPED = "These are in no figure and no table."
UNPAIRED = "These runs did not see the same data per task and seed, and must not be compared seed by seed."
PROVENANCE = "Runs of one study differ in these."


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.report", Options, report, argv)


if __name__ == "__main__":
    sys.exit(main())
