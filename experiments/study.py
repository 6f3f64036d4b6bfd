"""A study in two phases: tune every arm, freeze choice and claim, confirm on fresh seeds, report.

python -m experiments.study experiment=forget_reset

What a study file says is in experiments/protocol.py. The frozen decisions stand in `study.json` beside the runs; from
then on the study decides what it says there and nothing else. A file without a protocol is a plain sweep: it is run and
reported.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import MISSING
from scipy.stats import rankdata

from analysis import claims, measures, report, runs, stats
from analysis.claim import Claim, comparisons
from analysis.claims import Verdict
from analysis.commandline import CommandError, about, command
from analysis.stats import Array
from experiments.configs import Job, explain, layer_parameters, use_extensions
from experiments.files import atomic
from experiments.jobs import run_all
from experiments.protocol import Cell, Protocol, Study, read
from experiments.settings import ConfigError
from experiments.stack import standing
from experiments.streams import generator
from lstm_variants import make_cell

Frozen = dict[str, Any]
Scale = enum.Enum("Scale", "laptop full")
Phase = enum.Enum("Phase", "plan tune confirm report all")
LARGEST = 1e6  # what an infinite loss counts as where points of a grid are compared
FIXED = ("claims", "tasks", "grid", "factors", "search", "extension", "tuning_seeds")


@dataclass
class Options:
    """Run a study of conf/experiment: tune its arms, freeze what it claims, confirm on fresh seeds, draw the report.

    Run again, it does only what is new. Further words are settings of every run: device=cuda study=outputs/mine.
    """

    experiment: str = field(default=MISSING, metadata=about("a file of conf/experiment", example="forget_reset"))
    scale: Scale = field(default=Scale.laptop, metadata=about("laptop, or full: the sizes of the papers"))
    phase: Phase = field(default=Phase.all, metadata=about("plan (changes nothing), tune, confirm, report, or all"))
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
        use_extensions(next((word.partition("=")[2] for word in overrides if word.startswith("extensions=")), None))
        study = read(options.experiment, options.scale.name, overrides)
        if study is None:
            plain(options, overrides)
            return
        phases(study, options)
    except (ConfigError, ValueError) as error:
        raise CommandError(explain(error)) from None


def phases(study: Study, options: Options) -> None:
    """Plan, or the phases asked for, in order."""
    if options.phase is Phase.plan:
        print("\n".join(plan(study)))
    if options.phase in (Phase.tune, Phase.all):
        tune(study, options.workers)
    if options.phase in (Phase.confirm, Phase.all):
        confirm(study, options.workers)
    if options.phase in (Phase.report, Phase.all):
        draw(study.folder, options.out)


def plain(options: Options, overrides: Sequence[str]) -> None:
    """Run an experiment file without a protocol, and report it."""
    from experiments.configs import compose
    from experiments.run import main as sweep

    if options.phase not in (Phase.all, Phase.report) or options.scale is Scale.full:
        raise CommandError(f"experiment={options.experiment} is a plain sweep: it has phase=all and phase=report only")
    if options.phase is Phase.all:
        sweep([f"experiment={options.experiment}", *overrides])
    draw(Path(compose([f"experiment={options.experiment}", *overrides]).study), options.out)


def draw(folder: Path, out: str | None) -> None:
    report.report(report.Options(study=[str(folder)], out=out or f"reports/{folder.name}"))


# What there is to do


def plan(study: Study) -> list[str]:
    """What the study would run and what it would cost; changes nothing."""
    protocol = study.protocol
    wanted = comparisons(protocol.claims, list(protocol.tasks))
    tuning, confirming = tuning_jobs(study), confirmation_jobs(study)
    frozen = claims.read(study.folder)
    lines = [f"{study.name} ({study.scale}): {len(protocol.arms)} arms, {len(protocol.tasks)} tasks -> {study.folder}"]
    lines += [f"not applicable: {reason}" for reason in study.skipped]
    lines += [f"claim: {claim.sentence} ({claim.source})" for claim in protocol.claims]
    lines.append(f"comparisons: {len(wanted)}, fewest seeds that can decide them: {stats.seeds_needed(len(wanted))}")
    for phase, jobs in (("tune", tuning), ("confirm", confirming)):
        counts = Counter(standing(job) for job in jobs)
        states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
        lines.append(f"{phase}: {len(jobs)} runs ({states}), {sum(map(cost, jobs)):.1e} floating-point operations")
    lines.append(f"frozen: {frozen['hash']}" if frozen else "frozen: not yet")
    return lines


def tuning_jobs(study: Study) -> list[Job]:
    protocol = study.protocol
    points = protocol.points() if protocol.grid else []
    return [job for cell in study.cells for at in points for job in cell.jobs(protocol.seeds("tune"), "tune", at)]


def confirmation_jobs(study: Study, phase: str = "confirm", frozen: Frozen | None = None) -> list[Job]:
    """The confirmation runs at the frozen choices; before there are any, at the first point of the grid."""
    first = study.protocol.points()[0]
    chosen = {(one["task"], one["arm"]): one["chosen"] for one in (frozen or {"cells": []})["cells"]}
    seeds = study.protocol.seeds(phase)
    if study.protocol.search:  # each draw has a seed of its own
        places = {arm: place for place, arm in enumerate(study.protocol.arms)}
        return [job for cell in study.cells for job in cell.jobs(seeds[places[cell.arm] :][:1], "confirm", first)]
    return [
        job for cell in study.cells for job in cell.jobs(seeds, "confirm", chosen.get((cell.task, cell.arm), first))
    ]


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


# Tuning


def tune(study: Study, workers: int | None) -> None:
    """Run the grid on the tuning seeds."""
    jobs = tuning_jobs(study)
    if jobs:
        run_all(jobs, workers)
    for warning in (w for one in chosen_cells(study) for w in edge_warnings(one)):
        print(f"warning: {warning}", file=sys.stderr)


def edge_warnings(cell: Mapping[str, Any]) -> list[str]:
    return [
        f"{cell['arm']}, {cell['task']}: the best {key}={cell['chosen'][key]} is at the edge of the grid"
        for key in cell["edge"]
    ]


def chosen_cells(study: Study) -> list[dict[str, Any]]:
    """Every cell with the value that tuning chose, its identity and its tuning scores."""
    protocol = study.protocol
    if not protocol.grid:
        return [chosen_cell(protocol, cell, 0, []) for cell in study.cells]
    tuned = runs.load([study.folder]).runs
    cells = []
    for task in protocol.tasks:
        group = [cell for cell in study.cells if cell.task == task]
        found = [[grid_point(protocol, cell, point, tuned) for point in protocol.points()] for cell in group]
        shared = shared_point([[one.loss for one in points] for points in found])
        cells += [
            chosen_cell(protocol, cell, own_point(one, shared), one) for cell, one in zip(group, found, strict=True)
        ]
    return cells


def chosen_cell(protocol: Protocol, cell: Cell, best: int, found: Sequence[GridPoint]) -> dict[str, Any]:
    chosen = protocol.points()[best]
    job = cell.jobs(protocol.seeds("confirm")[:1], "confirm", chosen)[0]
    scores = [
        {"values": point, "loss": one.loss, "log_steps": one.log_steps}
        for point, one in zip(protocol.points(), found, strict=False)
    ]
    names = {"task": cell.task, "arm": cell.arm, "identity": job.arm, "unit": job.task.unit}
    return {**names, "chosen": chosen, "edge": edge(chosen, protocol.grid), "tuning": scores}


class GridPoint(NamedTuple):
    """The tuning runs of an arm at one point: the claim's metric per seed (small is good), and median log steps."""

    values: Array
    log_steps: float

    @property
    def loss(self) -> float:
        """The Hodges-Lehmann estimate, which is what is reported of a difference."""
        return stats.paired_difference(self.values).value


def grid_point(protocol: Protocol, cell: Cell, point: Mapping[str, Any], tuned: pd.DataFrame) -> GridPoint:
    """What the tuning runs at one point of the grid measured; CommandError if some are missing."""
    seeds = protocol.seeds("tune")
    arm = cell.jobs(seeds[:1], "tune", point)[0].arm
    done = tuned[(tuned["arm"] == arm) & tuned["seed"].isin(seeds) & tuned["status"].isin(("finished", "diverged"))]
    if len(done) < len(seeds):
        raise CommandError(f"{cell.arm}, {cell.task}, {point}: {len(done)} of {len(seeds)} tuning runs: phase=tune")
    return tuning_values(done.sort_values("seed"), protocol.claim(cell.task))


def tuning_values(done: pd.DataFrame, claim: Claim) -> GridPoint:
    """The claim's metric of some runs, small being good, on the scale of its differences: logs for a ratio."""
    steps = stats.log_steps(done["results.steps_to_solve"].where(done["solved"]), measures.budget(done))
    if claim.metric == "solved":
        values = -done["solved"].to_numpy(dtype=float)
    else:
        values = measures.on_scale(measures.measured(done, claim, measures.budget(done)), claim)
        values = values * (-1 if claim.metric == "score" and done["task.direction"].iloc[0] == "max" else 1)
    return GridPoint(np.clip(values, -LARGEST, LARGEST), float(np.median(steps)))


def shared_point(losses: Sequence[Sequence[float]]) -> int:
    """The point of the grid that ranks best on average over the arms, losses (arms, points); the first of equals."""
    return int(np.argmin(rankdata(np.asarray(losses), axis=1).mean(axis=0)))


def own_point(found: Sequence[GridPoint], shared: int) -> int:
    """The point of an arm: its own best where it beats the shared one on the tuning seeds, else the shared one.

    Small loss first, then few steps. To beat takes an exact one-sided signed-rank p <= .05 (with 5 seeds: all of them).
    Were each arm to take its own best at once, the luck of tuning would tell equal arms apart (docs/evidence.md).
    """
    best = min(range(len(found)), key=lambda at: (found[at].loss, found[at].log_steps, at != shared, at))
    ahead = stats.signed_rank_p(found[best].values - found[shared].values, side="less")
    return best if ahead <= claims.ALPHA else shared


def edge(chosen: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[str]:
    """The keys of a grid whose chosen value is the smallest or largest one of several."""
    return [key for key, values in grid.items() if len(values) > 1 and chosen[key] in (min(values), max(values))]


# Freezing and confirming


def freeze(study: Study) -> Frozen:
    """The frozen decisions of the study: those on disk, checked against what the study says now, else new ones."""
    frozen = claims.read(study.folder)
    cells = frozen["cells"] if frozen else []
    known = {(cell["task"], cell["arm"]) for cell in cells}
    if frozen:
        verify(frozen, study)
    if not frozen or known != {(cell.task, cell.arm) for cell in study.cells}:
        added = [cell for cell in chosen_cells(study) if (cell["task"], cell["arm"]) not in known]
        seeds = frozen["seeds"] if frozen else study.protocol.seeds("confirm")
        frozen = {**stated(study), "seeds": seeds, "cells": [*cells, *added]}
        frozen["hash"] = digest(frozen)
        study.folder.mkdir(parents=True, exist_ok=True)
        with atomic(study.folder / claims.FILE) as file:
            file.write((json.dumps(frozen, indent=1, allow_nan=False) + "\n").encode())
    return frozen


def stated(study: Study) -> Frozen:
    """What the study file says, as it is frozen."""
    protocol = study.protocol
    parts = {
        key: asdict(protocol)[key] for key in ("claims", "tasks", "arms", "grid", "factors", "search", "tuning_seeds")
    }
    names = {"schema": claims.SCHEMA, "study": study.folder.name, "experiment": study.name, "scale": study.scale}
    return {**names, **parts, "extension": protocol.seeds("extend")}


def digest(frozen: Frozen) -> str:
    """16 hex digits over everything that is frozen."""
    content = {key: value for key, value in frozen.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def verify(frozen: Frozen, study: Study) -> None:
    """Refuse a study that says anything else now than when it was frozen; new arms outside the claims may come."""
    where = study.folder / claims.FILE
    if digest(frozen) != frozen["hash"]:
        raise CommandError(f"{where} was changed by hand: its hash is {digest(frozen)}, not {frozen['hash']}")
    now = json.loads(json.dumps(stated(study)))
    changed = [key for key in FIXED if now[key] != frozen[key]]
    changed += [f"arms.{name}" for name, said in frozen["arms"].items() if now["arms"].get(name) != said]
    changed += ["confirmation_seeds"] * (study.protocol.confirmation_seeds < len(frozen["seeds"]))
    if not changed:
        changed = moved(frozen, study)
    if changed:
        legal = "the claim stands as frozen; a changed one is another study: study=outputs/ANOTHER"
        raise CommandError(f"protocol.{changed[0]} was changed after {where} was frozen ({frozen['hash']}): {legal}")


def moved(frozen: Frozen, study: Study) -> list[str]:
    """The frozen cells whose runs would now be others: a setting outside the protocol was changed."""
    cells = {(cell.task, cell.arm): cell for cell in study.cells}
    now = {key: cell.jobs([0], "confirm", chosen)[0].arm for key, cell, chosen in matched(frozen, cells)}
    return [f"arms.{one['arm']}" for one in frozen["cells"] if now.get((one["task"], one["arm"])) != one["identity"]]


def matched(frozen: Frozen, cells: Mapping[tuple[str, str], Cell]) -> list[tuple[tuple[str, str], Cell, Any]]:
    keys = [((one["task"], one["arm"]), one["chosen"]) for one in frozen["cells"]]
    return [(key, cells[key], chosen) for key, chosen in keys if key in cells]


def confirm(study: Study, workers: int | None) -> list[Verdict]:
    """Freeze, run the confirmation seeds, judge; an undecided comparison gets the declared extension."""
    frozen = freeze(study)
    run_all(confirmation_jobs(study, "confirm", frozen), workers)
    verdicts = claims.judge(runs.load([study.folder]), frozen)
    if frozen["extension"] and any(verdict.verdict == "undecided" for verdict in verdicts):
        run_all(confirmation_jobs(study, "extend", frozen), workers)
        verdicts = claims.judge(runs.load([study.folder]), frozen)
    print("\n".join(map(line, verdicts)))
    return verdicts


def line(verdict: Verdict) -> str:
    """A verdict as one line."""
    shown = f"{verdict.estimate:.3g} [{verdict.low:.3g}, {verdict.high:.3g}], p = {verdict.p_adjusted:.2g}"
    note = f" ({verdict.note})" if verdict.note else ""
    numbers = "" if verdict.verdict == "not run" else f": {verdict.unit} {shown}"
    return f"{verdict.verdict}: {verdict.sentence} {verdict.comparison}{numbers}{note}"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: the study's own options, and settings of every run."""
    words = sys.argv[1:] if argv is None else list(argv)
    own = {option.name for option in fields(Options)}
    overrides = [word for word in words if "=" in word and word.partition("=")[0] not in own]
    known = [word for word in words if word not in overrides]
    return command("python -m experiments.study", Options, lambda options: run(options, overrides), known)


if __name__ == "__main__":
    sys.exit(main())
