"""What a study would run, how long it would take, and what its seeds can decide; nothing is changed."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

from analysis.claims import verdicts
from analysis.claims.claim import comparisons
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.statistics.many_comparisons import seeds_needed, too_few_seeds
from experiments.config.job import Job
from experiments.config.resolve import layer_parameters
from experiments.store.what_is_left import standing
from experiments.studies.study import Study
from experiments.studies.tuning import tuning_jobs
from experiments.sweep.estimate import Timed, cost
from experiments.sweep.plan import Plan, make_plan
from experiments.training.streams import generator
from lstm_variants import make_cell


def plan(study: Study, workers: int | None, largest: int) -> list[str]:
    """What the study would run and how long it would take.

    Args:
        study: the study.
        workers: processes; None for one per core.
        largest: runs in a stack.
    """
    protocol = study.protocol
    frozen = FrozenStudy.read(study.folder)
    timed: Timed = {}
    lines = [f"{study.name} ({study.scale}): {len(protocol.arms)} arms, {len(protocol.tasks)} tasks -> {study.folder}"]
    lines += [f"not applicable: {reason}" for reason in study.skipped]
    lines += [f"claim: {claim.sentence} ({claim.source})" for claim in protocol.claims]
    lines += _decidable(study)
    for phase, jobs in (("tune", tuning_jobs(study)), ("confirm", confirmation_jobs(study, "confirm", frozen))):
        counts = Counter(standing(job) for job in jobs)
        states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
        lines += _with_cost(f"{phase}: {len(jobs)} runs ({states})", make_plan(jobs, workers, largest), timed)
    if not frozen and (jobs := own_best_jobs(study)):
        where = "where an arm's own best is not the point that all share"
        lines += _with_cost(f"confirm: up to {len(jobs)} runs more, {where}", make_plan(jobs, workers, largest), timed)
    return [*lines, frozen.history if frozen else "frozen: not yet"]


def _decidable(study: Study) -> list[str]:
    """What the confirmation seeds can decide: the claims, and the cells of the report's heat map."""
    protocol = study.protocol
    wanted = len(comparisons(protocol.claims, list(protocol.tasks)))
    fewest = seeds_needed(wanted, verdicts.ALPHA / (2 if protocol.extension else 1))
    lines = [f"comparisons: {wanted}, fewest seeds that can decide them: {fewest}"]
    baselines = {claim.baseline for claim in protocol.claims if claim.baseline}
    cells = sum(cell.arm not in baselines for cell in study.cells)
    if protocol.search or not baselines or not cells:
        return lines
    few = too_few_seeds(protocol.extension or protocol.confirmation_seeds, cells, "cells")
    return [*lines, *([f"heat map: {few}"] if few else [])]


def _with_cost(what: str, left: Plan, timed: Timed) -> list[str]:
    """A line about runs with their time and disk, and lines on what is slow about them."""
    return [f"{what}, {cost(left, timed)}" if left.groups else what, *(f"  {line}" for line in left.slower)]


def confirmation_jobs(study: Study, phase: str = "confirm", frozen: FrozenStudy | None = None) -> list[Job]:
    """The confirmation runs at both choices, one run where they agree; not frozen, at the first point of the grid."""
    first = study.protocol.points()[0]
    cells = {(decided.task, decided.arm): decided for decided in (frozen.cells if frozen else [])}
    seeds = study.protocol.seeds(phase, frozen.seeds[0] if frozen else 0)
    places = {arm: place for place, arm in enumerate(study.protocol.arms)}
    jobs = []
    for cell in study.cells:
        place = places[cell.arm]
        seeds_of_arm = seeds[place : place + 1] if study.protocol.search else seeds  # each draw has its own seed
        decided = cells.get((cell.task, cell.arm))
        points = [first] if decided is None else [decided.chosen, *([decided.own.chosen] if decided.own else [])]
        jobs += [job for point in points for job in cell.jobs(seeds_of_arm, "confirm", point)]
    return jobs


def own_best_jobs(study: Study) -> list[Job]:
    """At most what comes to the confirmation where every arm's own best is another point than the shared one."""
    points = study.protocol.points()
    seeds = study.protocol.seeds("confirm") if len(points) > 1 else []
    dearest = [max((cell.jobs([0], "confirm", at)[0] for at in points), key=_cost) for cell in study.cells if seeds]
    return [job.with_seed(seed, "confirm") for job in dearest for seed in seeds]


@functools.lru_cache(maxsize=4096)
def _steps_per_sequence(task: Any, batch_size: int) -> int:
    return int(task.training_batch(generator(0, "train"), batch_size).inputs.shape[0])


def _cost(job: Job) -> float:
    """Floating-point operations of a run: 2 per parameter, step and sequence forward, twice that backward."""
    layer = layer_parameters(make_cell(job.variant.spec), job.task.input_size, job.hidden_size, job.model.layers)
    parameters = layer + job.task.output_size * (job.hidden_size + 1)
    train = job.train
    evaluations = 1 + train.steps // train.eval_every
    sequences = 3 * train.steps * train.batch_size + evaluations * train.eval_size
    return 2.0 * parameters * _steps_per_sequence(job.task, train.batch_size) * sequences
