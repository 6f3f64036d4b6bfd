"""Tuning: every arm runs the same grid on the tuning seeds, and two points are chosen for it (docs/evidence.md).

One is the point that the arms of a task share, the other the arm's own best. A verdict has to hold at both: at a shared
point equal arms differ where their best points do, and at their own best they differ by the luck of tuning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from analysis.claims import measures
from analysis.claims.claim import Claim
from analysis.claims.frozen_study_file import OWN, Choice, FrozenCell
from analysis.common.command_line import CommandError
from analysis.records.load import load
from analysis.statistics import signed_rank
from experiments.config.job import Job
from experiments.studies.cells import StudyCell
from experiments.studies.protocol import Protocol
from experiments.studies.study import Study

LARGEST = 1e6  # what an infinite loss counts as where points of a grid are compared


def tuning_jobs(study: Study) -> list[Job]:
    """The runs of the whole grid on the tuning seeds."""
    protocol = study.protocol
    points = protocol.points() if protocol.grid else []
    return [job for cell in study.cells for at in points for job in cell.jobs(protocol.seeds("tune"), "tune", at)]


def edge_warnings(cells: Sequence[FrozenCell]) -> list[str]:
    """What lies at the edge of the grid, where a wider one might serve better: each shared point once, each own one."""
    shared = [f"{cell.task}: the shared {key}={cell.chosen[key]}" for cell in cells for key in cell.edge]
    best = [(cell, cell.at(OWN)) for cell in cells]
    own_best = [f"{cell.arm}, {cell.task}: its best {key}={at.chosen[key]}" for cell, at in best for key in at.edge]
    return [f"{text} is at the edge of the grid" for text in dict.fromkeys([*shared, *own_best])]


def chosen_cells(study: Study) -> list[FrozenCell]:
    """Every cell with the points that tuning chose, their identities and its tuning scores."""
    protocol = study.protocol
    if not protocol.grid:
        return [chosen_cell(protocol, cell, 0, 0, []) for cell in study.cells]
    tuned = load([study.folder]).runs
    cells = []
    for task in protocol.tasks:
        group = [cell for cell in study.cells if cell.task == task]
        found = [[grid_point(protocol, cell, point, tuned) for point in protocol.points()] for cell in group]
        shared = shared_point(found)
        cells += [
            chosen_cell(protocol, cell, shared, own_point(points, shared), points)
            for cell, points in zip(group, found, strict=True)
        ]
    return cells


def chosen_cell(
    protocol: Protocol, cell: StudyCell, shared: int, own_best: int, found: Sequence[GridPoint]
) -> FrozenCell:
    """A cell at the shared point of the grid and at its own."""
    scores = [
        {"values": point, "loss": measured.loss, "log_steps": measured.log_steps}
        for point, measured in zip(protocol.points(), found, strict=False)
    ]
    return FrozenCell(
        task=cell.task,
        arm=cell.arm,
        unit=cell.jobs([0], "confirm", protocol.points()[shared])[0].task.unit,
        own=None if own_best == shared else Choice(**point_at(protocol, cell, own_best)),
        tuning=scores,
        **point_at(protocol, cell, shared),
    )


def point_at(protocol: Protocol, cell: StudyCell, place: int) -> dict[str, Any]:
    """What is frozen of one point of the grid for a cell."""
    chosen = protocol.points()[place]
    identity = cell.jobs([0], "confirm", chosen)[0].arm
    return {"identity": identity, "chosen": chosen, "edge": edge(chosen, protocol.grid)}


class GridPoint(NamedTuple):
    """What the tuning runs of an arm at one point measured, small being good; points are compared in this order.

    loss: the Hodges-Lehmann estimate of the claim's metric, which is what is reported of a difference; log_steps: the
    median of log steps to solve.
    """

    loss: float
    log_steps: float


def grid_point(protocol: Protocol, cell: StudyCell, point: Mapping[str, Any], tuned: pd.DataFrame) -> GridPoint:
    """What the tuning runs at one point of the grid measured; CommandError if some are missing."""
    seeds = protocol.seeds("tune")
    arm = cell.jobs(seeds[:1], "tune", point)[0].arm
    done = tuned[(tuned["arm"] == arm) & tuned["seed"].isin(seeds) & tuned["status"].isin(("finished", "diverged"))]
    if len(done) < len(seeds):
        stale = int(((tuned["arm"] == arm) & (tuned["status"] == "stale")).sum())
        what = f"phase=tune retry=stale (stale: {stale})" if stale else "phase=tune"
        raise CommandError(f"{cell.arm}, {cell.task}, {point}: {len(done)} of {len(seeds)} tuning runs: {what}")
    return tuning_values(done.sort_values("seed"), protocol.claim(cell.task))


def tuning_values(done: pd.DataFrame, claim: Claim) -> GridPoint:
    """The claim's metric of some runs, small being good, on the scale of its differences: logs for a ratio."""
    steps = measures.log_steps(done)
    if claim.found:  # a net is tuned to do its task, whatever is looked for inside it
        claim = replace(claim, metric="loss", scale="ratio")
    if claim.metric == "solved":
        values = -done["solved"].to_numpy(dtype=float)
    else:
        values = measures.on_scale(measures.measured(done, claim, measures.budget(done)), claim).low
        values = values * (-1 if claim.metric == "score" and done["task.direction"].iloc[0] == "max" else 1)
    loss = signed_rank.paired_difference(np.clip(values, -LARGEST, LARGEST)).value
    return GridPoint(loss, float(np.median(steps)))


def shared_point(found: Sequence[Sequence[GridPoint]]) -> int:
    """The point of the grid that ranks best on average over the arms, found (arms, points): small loss first, then few
    steps; of points that rank alike the one with fewer steps, then the first."""
    ranks = np.mean([rankdata(places(points)) for points in found], axis=0)
    steps = np.mean([[point.log_steps for point in points] for points in found], axis=0)
    return min(range(len(ranks)), key=lambda at: (ranks[at], steps[at], at))


def places(values: Sequence[GridPoint]) -> list[int]:
    """The place of each value among the distinct ones."""
    distinct = sorted(set(values))
    return [distinct.index(value) for value in values]


def own_point(found: Sequence[GridPoint], shared: int) -> int:
    """The point at which an arm is best: small loss first, then few steps, then the shared one, then the first."""
    return min(range(len(found)), key=lambda at: (found[at], at != shared, at))


def edge(chosen: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[str]:
    """The keys of a grid whose chosen value is the smallest or largest one of several."""
    return [key for key, values in grid.items() if len(values) > 1 and chosen[key] in (min(values), max(values))]
