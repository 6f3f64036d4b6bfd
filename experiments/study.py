"""A study in two phases: tune every arm, freeze choice and claim, confirm on fresh seeds, report.

python -m experiments.study experiment=forget_reset

What a study file says is in experiments/studies/protocol.py. The frozen decisions stand in `study.json` beside the
runs; from then on the study decides what it says there and nothing else. A file without a protocol is a plain sweep: it
is run and reported.
"""

from __future__ import annotations

import enum
import functools
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from analysis.claims import verdicts as claims
from analysis.claims.claim import comparisons
from analysis.claims.finding import written
from analysis.claims.frozen_study import FrozenStudy
from analysis.claims.verdicts import Verdict
from analysis.common import terminal
from analysis.common.command_line import CommandError, about, command
from analysis.pages.build import Request, build
from analysis.records.load import load
from analysis.statistics import many_comparisons
from experiments.config import words
from experiments.config.compose import compose
from experiments.config.explain import explain
from experiments.config.extensions import use_extensions_of, used_extensions
from experiments.config.job import Job
from experiments.config.resolve import layer_parameters
from experiments.config.schema import ConfigError
from experiments.store.standing import refuse_stale, standing
from experiments.studies.freezing import freeze
from experiments.studies.protocol import Study, read
from experiments.studies.tuning import chosen_cells, edge_warnings, tuning_jobs
from experiments.sweep import application
from experiments.sweep.launcher import StackedLauncher, chosen
from experiments.training.streams import generator
from lstm_variants import make_cell

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
        print("\n".join(plan(study)))
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
        application.main([f"experiment={options.experiment}", *overrides])
    draw(Path(compose([f"experiment={options.experiment}", *overrides]).study), options.out)


def draw(folder: Path, out: str | None) -> None:
    folders = used_extensions()
    build(Request([str(folder)], extensions=folders), out or f"reports/{folder.name}")


# What there is to do


def plan(study: Study) -> list[str]:
    """What the study would run and what it would cost; changes nothing."""
    protocol = study.protocol
    wanted = comparisons(protocol.claims, list(protocol.tasks))
    frozen = FrozenStudy.read(study.folder)
    tuning, confirming = tuning_jobs(study), confirmation_jobs(study, "confirm", frozen)
    lines = [f"{study.name} ({study.scale}): {len(protocol.arms)} arms, {len(protocol.tasks)} tasks -> {study.folder}"]
    lines += [f"not applicable: {reason}" for reason in study.skipped]
    lines += [f"claim: {claim.sentence} ({claim.source})" for claim in protocol.claims]
    fewest = many_comparisons.seeds_needed(len(wanted), claims.ALPHA / (2 if protocol.extension else 1))
    lines.append(f"comparisons: {len(wanted)}, fewest seeds that can decide them: {fewest}")
    for phase, jobs in (("tune", tuning), ("confirm", confirming)):
        counts = Counter(standing(job) for job in jobs)
        states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
        lines.append(f"{phase}: {len(jobs)} runs ({states}), {sum(map(cost, jobs)):.1e} floating-point operations")
    if not frozen and (own := more(study)):
        where = "where an arm's own best is not the point that all share"
        lines.append(f"confirm: up to {len(own)} runs more, {sum(map(cost, own)):.1e}, {where}")
    return [*lines, frozen.history if frozen else "frozen: not yet"]


def confirmation_jobs(study: Study, phase: str = "confirm", frozen: FrozenStudy | None = None) -> list[Job]:
    """The confirmation runs at both choices, one run where they agree; not frozen, at the first point of the grid."""
    first = study.protocol.points()[0]
    cells = {(one.task, one.arm): one for one in (frozen.cells if frozen else [])}
    seeds = study.protocol.seeds(phase, frozen.seeds[0] if frozen else 0)
    places = {arm: place for place, arm in enumerate(study.protocol.arms)}
    jobs = []
    for cell in study.cells:
        mine = seeds[places[cell.arm] :][:1] if study.protocol.search else seeds  # each draw has a seed of its own
        one = cells.get((cell.task, cell.arm))
        points = [first] if one is None else [one.chosen, *([one.own.chosen] if one.own else [])]
        jobs += [job for point in points for job in cell.jobs(mine, "confirm", point)]
    return jobs


def more(study: Study) -> list[Job]:
    """At most what comes to the confirmation where every arm's own best is another point than the shared one."""
    points = study.protocol.points()
    seeds = study.protocol.seeds("confirm") if len(points) > 1 else []
    dearest = [max((cell.jobs([0], "confirm", at)[0] for at in points), key=cost) for cell in study.cells if seeds]
    return [job.with_seed(seed, "confirm") for job in dearest for seed in seeds]


@functools.lru_cache(maxsize=4096)
def steps_per_sequence(task: Any, batch_size: int) -> int:
    return int(task.training_batch(generator(0, "train"), batch_size).inputs.shape[0])


def cost(job: Job) -> float:
    """Floating-point operations of a run: 2 per parameter, step and sequence forward, twice that backward."""
    layer = layer_parameters(make_cell(job.variant.spec), job.task.input_size, job.hidden_size, job.model.layers)
    parameters = layer + job.task.output_size * (job.hidden_size + 1)
    train = job.train
    evaluations = 1 + train.steps // train.eval_every
    sequences = 3 * train.steps * train.batch_size + evaluations * train.eval_size
    return 2.0 * parameters * steps_per_sequence(job.task, train.batch_size) * sequences


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
    print("\n".join(map(line, verdicts)))
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
    own = {option.name for option in fields(Options)}
    overrides = [word for word in given if "=" in word and word.partition("=")[0] not in own]
    known = [word for word in given if word not in overrides]
    return command("python -m experiments.study", Options, lambda options: run(options, overrides), known)


if __name__ == "__main__":
    sys.exit(main())
