"""Tuning: every arm runs the same grid on the tuning seeds, and a value is chosen for each (docs/evidence.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from analysis import claims, measures, runs, stats
from analysis.claim import Claim
from analysis.commandline import CommandError
from analysis.frozen_study import FrozenCell
from analysis.outcomes import Array
from experiments.configs import Job
from experiments.protocol import Cell, Protocol, Study

LARGEST = 1e6  # what an infinite loss counts as where points of a grid are compared


def tuning_jobs(study: Study) -> list[Job]:
    """The runs of the whole grid on the tuning seeds."""
    protocol = study.protocol
    points = protocol.points() if protocol.grid else []
    return [job for cell in study.cells for at in points for job in cell.jobs(protocol.seeds("tune"), "tune", at)]


def edge_warnings(cell: FrozenCell) -> list[str]:
    return [
        f"{cell.arm}, {cell.task}: the best {key}={cell.chosen[key]} is at the edge of the grid" for key in cell.edge
    ]


def chosen_cells(study: Study) -> list[FrozenCell]:
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


def chosen_cell(protocol: Protocol, cell: Cell, best: int, found: Sequence[GridPoint]) -> FrozenCell:
    chosen = protocol.points()[best]
    job = cell.jobs(protocol.seeds("confirm")[:1], "confirm", chosen)[0]
    scores = [
        {"values": point, "loss": one.loss, "log_steps": one.log_steps}
        for point, one in zip(protocol.points(), found, strict=False)
    ]
    return FrozenCell(
        task=cell.task,
        arm=cell.arm,
        unit=job.task.unit,
        identity=job.arm,
        chosen=chosen,
        edge=edge(chosen, protocol.grid),
        tuning=scores,
    )


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
        stale = int(((tuned["arm"] == arm) & (tuned["status"] == "stale")).sum())
        what = f"phase=tune retry=stale (stale: {stale})" if stale else "phase=tune"
        raise CommandError(f"{cell.arm}, {cell.task}, {point}: {len(done)} of {len(seeds)} tuning runs: {what}")
    return tuning_values(done.sort_values("seed"), protocol.claim(cell.task))


def tuning_values(done: pd.DataFrame, claim: Claim) -> GridPoint:
    """The claim's metric of some runs, small being good, on the scale of its differences: logs for a ratio."""
    steps = measures.log_steps(done)
    if claim.metric == "solved":
        values = -done["solved"].to_numpy(dtype=float)
    else:
        values = measures.on_scale(measures.measured(done, claim, measures.budget(done)), claim).low
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
