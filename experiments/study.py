"""A study in two phases: tune every arm, freeze choice and claim, confirm on fresh seeds, report.

python -m experiments.study experiment=forget_reset

What a study file says is in experiments/studies/protocol.py. The frozen decisions stand in `study.json` beside the
runs; from then on the study decides what it says there and nothing else. A file without a protocol is a plain sweep: it
is run and reported.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from omegaconf import MISSING

from analysis.claims import verdicts as claims
from analysis.claims.finding import written
from analysis.claims.verdicts import Verdict
from analysis.common import terminal
from analysis.common.command_line import CommandError, about, command
from analysis.common.terminal import as_typed
from analysis.pages.build import Request, build
from analysis.records.load import load
from experiments.config import words
from experiments.config.compose import compose
from experiments.config.error_messages import explain
from experiments.config.extensions_option import use_extensions_of, used_extensions
from experiments.config.job import Job
from experiments.config.schema import ConfigError
from experiments.store.what_is_left import refuse_stale, standing
from experiments.studies.freezing import freeze
from experiments.studies.planning import confirmation_jobs, plan
from experiments.studies.study import Study, read
from experiments.studies.tuning import chosen_cells, edge_warnings, tuning_jobs
from experiments.sweep import hydra_application
from experiments.sweep.launcher import StackedLauncher, chosen

Scale = enum.Enum("Scale", "laptop full")
Phase = enum.Enum("Phase", "plan tune confirm report all")


@dataclass
class Options:
    """Run a study of conf/experiment: tune its arms, freeze what it claims, confirm on fresh seeds, draw the report.

    Run again, it does only what is new. Further words are settings of every run: device=cuda study=outputs/mine.
    With hydra/launcher=slurm its runs are tasks of a Slurm cluster (docs/scaling.md).
    """

    experiment: str = field(default=MISSING, metadata=about("a file of conf/experiment", example="forget_reset"))
    scale: Scale = field(default=Scale.laptop, metadata=about("laptop, or full: the sizes of the papers"))
    phase: Phase = field(default=Phase.all, metadata=about("plan (changes nothing), tune, confirm, report, or all"))
    refreeze: bool = field(
        default=False,
        metadata=about("freeze a study that was changed after a look again, for fresh confirmation seeds"),
    )
    workers: int | None = field(default=None, metadata=about("processes; one per core unless given"))
    out: str | None = field(default=None, metadata=about("the report's folder; reports/NAME unless given"))


def run(options: Options, overrides: Sequence[str] = ()) -> None:
    """Do the phases asked for.

    Raises:
        CommandError: whatever is wrong with the study, in one line.
    """
    if "," in options.experiment:
        raise CommandError(f"experiment={options.experiment}: one study at a time")
    try:
        overrides, notes = words.understood(use_extensions_of(overrides))
        print("".join(f"{note}\n" for note in notes), end="")
        launching = words.launching(overrides)
        settings = [word for word in overrides if word not in launching]
        _obeyed(options, launching, settings)
        if options.workers is not None:
            launching.append(f"hydra.launcher.workers={options.workers}")
        study = read(options.experiment, options.scale.name, settings)
        if study is None:
            plain(options, [*launching, *settings])
            return
        if axes := [word for word in launching if word.startswith(("hydra/sweeper", "hydra.sweeper"))]:
            raise ConfigError(f"{axes[0]}: the study's own arms, tasks, grid and seeds say what is run")
        phases(study, options, chosen(launching))
    except (ConfigError, ValueError) as error:
        raise CommandError(explain(error)) from None


def _obeyed(options: Options, launching: Sequence[str], settings: Sequence[str]) -> None:
    """Refuse words that mean nothing to a study, or another thing than the study's own.

    Raises:
        ConfigError: naming the word.
    """
    for word in launching:
        if "dry_run" in word:
            raise ConfigError(f"{word}: phase=plan shows what a study would do")
        if options.workers is not None and "workers" in word:
            raise ConfigError(f"{word}: is said twice, also as workers={options.workers}")
    for word in settings:
        if word.startswith("protocol="):
            raise ConfigError(f"{word}: the study's file says this; protocol.KEY=VALUE changes a part of it")


def phases(study: Study, options: Options, launcher: StackedLauncher) -> None:
    """Plan, or the phases asked for, in order, as far as their runs are made: a cluster may be at them."""
    if options.phase is Phase.plan:
        print("\n".join(plan(study, launcher.workers, launcher.stack)))
    if options.phase in (Phase.tune, Phase.all) and not tune(study, launcher):
        return
    if options.phase in (Phase.confirm, Phase.all) and not confirm(study, launcher, options.refreeze):
        return
    if options.phase in (Phase.report, Phase.all):
        draw(study.folder, options.out)


def plain(options: Options, overrides: Sequence[str]) -> None:
    """Run an experiment file without a protocol, and report it."""
    if options.phase not in (Phase.all, Phase.report) or options.scale is Scale.full:
        raise CommandError(f"experiment={options.experiment} is a plain sweep: it has phase=all and phase=report only")
    if options.phase is Phase.all:
        hydra_application.main([f"experiment={options.experiment}", *overrides])
    draw(Path(compose([f"experiment={options.experiment}", *overrides]).study), options.out)


def draw(folder: Path, out: str | None) -> None:
    folders = used_extensions()
    build(Request([str(folder)], extensions=folders), out or f"reports/{folder.name}")


# Doing it


def tune(study: Study, launcher: StackedLauncher) -> bool:
    """Run the grid on the tuning seeds; whether all of it is made."""
    if not made(tuning_jobs(study), launcher):
        return False
    for warning in edge_warnings(chosen_cells(study)):
        print(f"warning: {warning}", file=sys.stderr)
    return True


def confirm(study: Study, launcher: StackedLauncher, again: bool = False) -> bool:
    """Freeze, run the confirmation seeds, judge; an undecided comparison gets the declared extension."""
    frozen = freeze(study, again)
    if not made(confirmation_jobs(study, "confirm", frozen), launcher):
        return False
    verdicts = claims.judge(load([study.folder]), frozen)
    if frozen.extension and any(verdict.verdict == "undecided" for verdict in verdicts):
        if not made(confirmation_jobs(study, "extend", frozen), launcher):
            return False
        verdicts = claims.judge(load([study.folder]), frozen)
    print(as_typed("\n".join(map(line, verdicts))))
    return True


def made(jobs: Sequence[Job], launcher: StackedLauncher) -> bool:
    """Make what is not made yet; False if the cluster that it was left to is not done.

    Raises:
        ConfigError: before anything is made, if some are stale: nothing is chosen or judged by them.
    """
    refuse_stale(jobs)
    return not jobs or launcher.run(jobs) is not None or all(standing(job) not in ("new", "again") for job in jobs)


def numbers_of(verdict: Verdict) -> str:
    return f"{verdict.size} [{written(verdict.low)}, {written(verdict.high)}], p = {verdict.p_adjusted:.2g}"


def line(verdict: Verdict) -> str:
    """A verdict as one line, and one below for each of two choices of settings."""
    note = f" ({verdict.note})" if verdict.note else ""
    numbers = "" if verdict.verdict == "not run" else f": {verdict.unit} {numbers_of(verdict)}"
    first = f"{verdict.verdict}: {verdict.sentence} {verdict.comparison}{numbers}{note}"
    return "\n".join([first, *(f"  {one.at}: {one.verdict}, {one.unit} {numbers_of(one)}" for one in verdict.choices)])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: the study's own options, and settings of every run."""
    terminal.prepare(stdout=True)  # its runs are made, whoever reads what it says of them
    given = sys.argv[1:] if argv is None else list(argv)
    options = {option.name for option in fields(Options)}
    overrides = [word for word in given if "=" in word and word.partition("=")[0] not in options]
    known = [word for word in given if word not in overrides]
    return command("python -m experiments.study", Options, lambda options: run(options, overrides), known)


if __name__ == "__main__":
    sys.exit(main())
