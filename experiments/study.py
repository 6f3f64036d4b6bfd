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
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import MISSING

from analysis import claims, report, runs, stats
from analysis.claims import Verdict
from analysis.commandline import CommandError, about, command
from experiments.configs import Job, explain, layer_parameters, use_extensions
from experiments.jobs import run_all
from experiments.protocol import Cell, Protocol, Study, read
from experiments.record import atomic
from experiments.settings import ConfigError
from experiments.stack import standing
from experiments.streams import generator
from lstm_variants import make_cell

Frozen = dict[str, Any]
Scale = enum.Enum("Scale", "laptop full")
Phase = enum.Enum("Phase", "plan tune confirm report all")
FIXED = ("claims", "tasks", "grid", "factors", "extension", "tuning_seeds")


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
    wanted = claims.comparisons(protocol.claims, list(protocol.tasks))
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
    tuned = runs.load([study.folder]).runs if study.protocol.grid else pd.DataFrame()
    return [chosen_cell(study.protocol, cell, tuned) for cell in study.cells]


def chosen_cell(protocol: Protocol, cell: Cell, tuned: pd.DataFrame) -> dict[str, Any]:
    points = protocol.points()
    found: list[dict[str, Any]] = []
    for point in points if protocol.grid else []:
        jobs = cell.jobs(protocol.seeds("tune"), "tune", point)
        done = tuned[(tuned["arm"] == jobs[0].arm) & tuned["seed"].isin(protocol.seeds("tune"))]
        ended = done[done["status"].isin(("finished", "diverged"))]
        if len(ended) < len(jobs):
            raise CommandError(f"{cell.arm}, {cell.task}, {point}: {len(ended)} of {len(jobs)} tuning runs: phase=tune")
        found.append({"values": point, **tuning_score(ended, protocol.metric(cell.task))})
    best = found[best_point(found)]["values"] if found else points[0]
    job = cell.jobs(protocol.seeds("confirm")[:1], "confirm", best)[0]
    names = {"task": cell.task, "arm": cell.arm, "identity": job.arm, "unit": job.task.unit}
    return {**names, "chosen": best, "edge": edge(best, protocol.grid), "tuning": found}


def tuning_score(done: pd.DataFrame, metric: str) -> dict[str, float]:
    """How good the runs of one grid point are, small being good: by the claim's statistic, then by steps to solve."""
    solved, budget = done["solved"], float(done["config.resolved.train.steps"].iloc[0])
    steps = float(np.median(stats.log_steps(done["results.steps_to_solve"].where(solved), budget)))
    sign = -1 if done["task.direction"].iloc[0] == "max" else 1
    loss = done[claims.LOSS].where(done["status"] == "finished", np.inf).median()
    measure = {"score": sign * done["score"].median(), "loss": loss, "steps": steps, "solved": -solved.mean()}
    return {"loss": float(np.nan_to_num(measure[metric])), "log_steps": steps}


def best_point(found: Sequence[Mapping[str, Any]]) -> int:
    """The point with the smallest loss; ties by steps to solve, then the first."""
    return min(range(len(found)), key=lambda at: (found[at]["loss"], found[at]["log_steps"], at))


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
    parts = {key: asdict(protocol)[key] for key in ("claims", "tasks", "arms", "grid", "factors", "tuning_seeds")}
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
