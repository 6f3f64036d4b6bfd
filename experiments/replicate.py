"""Published numbers, run again, with a verdict on every cell of the table.

python -m experiments.replicate                 # what there is
python -m experiments.replicate odyssey_adding  # runs it, prints published, ours and verdict, writes a report

What a file of conf/replication says is in analysis/replications/published.py. Protocol, margins and seeds are frozen
with a hash before the first run, as a study's are, in the `study.json` beside the runs.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from tabulate import tabulate

from analysis.claims.frozen_study_file import FrozenStudy
from analysis.common import terminal
from analysis.common.command_line import CommandError, about, command
from analysis.pages.build import Request, build
from analysis.records.load import load
from analysis.replications import published_verdicts
from analysis.replications.published import Replication
from analysis.replications.published_verdicts import CellVerdict
from experiments.config import words
from experiments.config.error_messages import explain
from experiments.config.extensions_option import use_extensions_of, used_extensions
from experiments.config.schema import ConfigError
from experiments.store.what_is_left import refuse_stale, standing
from experiments.studies.freezing import freeze
from experiments.studies.planning import confirmation_jobs
from experiments.studies.replication import listed, read, study_of
from experiments.studies.study import Study
from experiments.sweep.estimate import Timed, cost
from experiments.sweep.launcher import StackedLauncher, chosen
from experiments.sweep.plan import make_plan

Phase = enum.Enum("Phase", "plan run report all")
FOLDERS = ("outputs", "results")  # where the runs of a replication are looked for, or its archive


@dataclass
class Options:
    """Run a published table again: conf/replication/NAME.yaml. Without a name: what there is, and what came of it.

    Further words are settings of every run. Those that are not the paper's need a folder of their own, study=FOLDER,
    and make its cells not comparable.
    """

    names: list[str] = field(
        default_factory=list, metadata=about("a file of conf/replication", example="odyssey_adding", positional=True)
    )
    phase: Phase = field(default=Phase.all, metadata=about("plan (changes nothing), run, report, or all"))
    seeds: int | None = field(default=None, metadata=about("trials, if not as many as the file says"))
    refreeze: bool = field(
        default=False, metadata=about("freeze one that was changed after a look again, for fresh seeds")
    )
    workers: int | None = field(default=None, metadata=about("processes; one per core unless given"))
    out: str | None = field(default=None, metadata=about("the report's folder; reports/NAME unless given"))


def run(options: Options, overrides: Sequence[str] = ()) -> None:
    """Do what is asked for.

    Raises:
        CommandError: whatever is wrong with it, in one line.
    """
    try:
        overrides, notes = words.understood(use_extensions_of(overrides))
        print("".join(f"{note}\n" for note in notes), end="")
        if not options.names:
            _nothing_else(options, overrides)
            print(overview())
            return
        if len(options.names) > 1:
            raise CommandError(f"{' '.join(options.names)}: one replication at a time")
        launching = words.launching(overrides)
        settings = [word for word in overrides if word not in launching]
        if options.workers is not None:
            launching.append(f"hydra.launcher.workers={options.workers}")
        study = study_of(options.names[0], settings, options.seeds)
        phases(study, options, chosen(launching))
    except (ConfigError, ValueError) as error:
        raise CommandError(explain(error)) from None


def _nothing_else(options: Options, overrides: Sequence[str]) -> None:
    """Refuse words that a list of all replications would not obey.

    Raises:
        CommandError: naming the word.
    """
    given = [word for word in overrides if not word.startswith("extensions=")]
    usual = Options()
    given += [f"{f.name}=" for f in fields(Options) if getattr(options, f.name) != getattr(usual, f.name)]
    if given:
        raise CommandError(f"{given[0]}: of which replication? there is {', '.join(listed())}")


def phases(study: Study, options: Options, launcher: StackedLauncher) -> None:
    """Plan, or run and report, as far as the runs are made."""
    table = study.replication
    assert table is not None
    print("\n".join(heading(table)))
    if options.phase is Phase.plan:
        print(left(study, launcher.workers, launcher.stack, {}))
        return
    if not study.cells:
        print(shown(published_verdicts.nothing_run(table)))
        return
    if options.phase in (Phase.run, Phase.all):
        frozen = freeze(study, options.refreeze)
        if (seeds := study.protocol.confirmation_seeds) != len(frozen.seeds):
            raise CommandError(f"seeds={seeds}: {study.folder} was frozen with {len(frozen.seeds)}, which stands")
        jobs = confirmation_jobs(study, "confirm", frozen)
        refuse_stale(jobs)
        if launcher.run(jobs) is None and any(standing(job) in ("new", "again") for job in jobs):
            return
    print(shown(judged(study.folder)))
    if options.phase in (Phase.report, Phase.all):
        build(Request([str(study.folder)], extensions=used_extensions()), options.out or f"reports/{study.folder.name}")


def heading(table: Replication) -> list[str]:
    """What is replicated, what is known to differ, and what was expected."""
    lines = [f"{table.paper}; {table.table}", f"quoted: {table.quoted}", f"margin: {table.margin:g} ({table.reason})"]
    lines += [f"deviation{' that matters' * d.matters}: {d.what} ({d.reason})" for d in table.deviations]
    return [*lines, *([f"expected: {table.expected}"] if table.expected else [])]


def left(study: Study, workers: int | None, largest: int, timed: Timed) -> str:
    """How many runs are left of a replication, and what they cost here."""
    jobs = confirmation_jobs(study, "confirm", FrozenStudy.read(study.folder))
    plan = make_plan(jobs, workers, largest) if jobs else None
    if plan is None:
        return "nothing to run"
    return f"{len(jobs)} runs, {cost(plan, timed)}" if plan.groups else f"{len(jobs)} runs, done"


def judged(folder: Path) -> list[CellVerdict]:
    """The verdicts on a replication from its runs, or from an archive of them.

    Raises:
        CommandError: if it was not frozen.
    """
    frozen = FrozenStudy.read(folder)
    if frozen is None or frozen.replication is None:
        raise CommandError(f"study={folder}: nothing was frozen there: phase=run")
    return published_verdicts.judge(load([folder]), frozen)


def shown(rows: Sequence[CellVerdict]) -> str:
    """The table: published, ours and verdict, and below it what to know of each."""
    columns = ("", "published", "ours", "ours to published [95 %]", "margin", "p, Holm", "verdict")
    values = [published_verdicts.printed(row)[:-1] for row in rows]
    notes = [f"{row.row}: {row.note}" for row in rows if row.note]
    return "\n".join(["", tabulate(values, columns, disable_numparse=True), *notes])


def overview() -> str:
    """Every replication: the paper, its table, how many cells, what it costs here, and what came of it so far."""
    timed: Timed = {}
    rows = [(name, *_summary(name, read(name), timed)) for name in listed()]
    return tabulate(rows, ("name", "paper", "table", "cells", "cost here", "verdicts"), disable_numparse=True)


def _summary(name: str, table: Replication, timed: Timed) -> tuple[str, str, str, str, str]:
    count, comparable = len(table.cells), len(table.comparable)
    cells = str(count) if comparable == count else f"{count}, {comparable} comparable"
    made = [Path(parent) / name for parent in FOLDERS if (Path(parent) / name / "study.json").is_file()]
    try:
        verdicts = published_verdicts.counts(judged(made[0])) if made else "not run"
    except CommandError as reason:  # such as: no run is there yet
        verdicts = str(reason)
    if table.needs:
        price = f"needs {', '.join(f'{key}=...' for key in table.needs)}"
    else:
        price = left(study_of(name, []), None, chosen([]).stack, timed)
    return table.paper.partition(";")[0], table.table, cells, price, verdicts


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: the replication's own options, and settings of every run."""
    terminal.prepare(stdout=True)  # its runs are made, whoever reads what it says of them
    given = sys.argv[1:] if argv is None else list(argv)
    options = {option.name for option in fields(Options)} - {"names"}
    overrides = [word for word in given if "=" in word and word.partition("=")[0] not in options]
    known = [word for word in given if word not in overrides]
    return command("python -m experiments.replicate", Options, lambda options: run(options, overrides), known)


if __name__ == "__main__":
    sys.exit(main())
