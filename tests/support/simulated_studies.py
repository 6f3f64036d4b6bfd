"""Whole studies whose truth is known, from their tuning to their verdicts; test_calibration.py counts the words.

Runs are drawn from real ones (baseline_runs.py). In a `Design` all arms are one variant but for what is planted.
Tuning and confirmation of all studies are drawn at once; a study in which no comparison could be decided, its raw p
being above alpha at one of the two choices, is not judged: that needs no Holm to be known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from baseline_runs import FILE, STEPS
from numpy.typing import NDArray

from analysis.claims import measures
from analysis.claims import verdicts as claims
from analysis.claims.claim import Claim
from analysis.claims.frozen_study_file import Choice, FrozenCell
from analysis.claims.verdicts import Verdict
from analysis.records.load import Records
from analysis.statistics import many_comparisons, signed_rank
from experiments.studies.protocol import Protocol
from experiments.studies.tuning import LARGEST, GridPoint, edge, own_point, shared_point

Array = NDArray[np.float64]
POOL = pd.read_csv(FILE)
RATES = tuple(sorted(POOL["lr"].unique()))
RUNS = np.stack([POOL.loc[POOL["lr"] == lr, ["score", "steps_to_solve"]].to_numpy().T for lr in RATES])
BEST = int(POOL.groupby("lr")["score"].median().to_numpy().argmin())  # the place of the best rate
LOGS = np.log(RUNS[BEST, 0])
DEVIATION = float(LOGS.std())  # of the log loss of one run at the best rate


@dataclass(frozen=True)
class Design:
    """A study to simulate.

    arms: beside the baseline; tuning: seeds, as many as `seeds` unless given. the rest is planted:
    factor: on the losses or steps of arm 1, on every task; interaction: a further one on the first task;
    shift: grid steps between the best rates of arm 1 and the others, `rise` standard deviations of loss a grid step;
    diverge: the share of runs that diverge, of the baseline and of the arms; budget: steps; ties: the share of runs
    that reach an accuracy of 1.
    """

    arms: int = 3
    seeds: int = 12
    extension: int = 0
    tuning: int = 0
    metric: str = "score"
    expect: str = "higher"
    margin: float | None = None
    tasks: int = 1
    factor: float = 1.0
    interaction: float = 1.0
    shift: int = 0
    rise: float = 0.0
    diverge: tuple[float, float] = (0.0, 0.0)
    budgets: tuple[float, ...] = (STEPS, STEPS)
    ties: float = 0.0
    grid: tuple[float, ...] = RATES

    @property
    def protocol(self) -> Protocol:
        claim = {"sentence": "s", "source": "s", "metric": self.metric, "expect": self.expect}
        return Protocol(
            [Claim(**claim)],
            grid={"train.lr": list(self.grid)},
            tasks={"t0": []},
            tuning_seeds=self.tuning or None,
            confirmation_seeds=self.seeds,
            extension=self.extension or None,
        )

    @property
    def plain(self) -> bool:
        """Whether differences have no ties and are all known, so that p is that of the table without ties."""
        return self.metric == "score" and not any(self.diverge) and not self.ties and self.expect != "same"


@dataclass(frozen=True)
class Drawn:
    """Runs, in arrays of one shape: their scores, steps to solve (NaN: not within the budget), which diverged."""

    score: Array
    steps: Array
    diverged: NDArray[np.bool_]


PARTS = ("score", "steps", "diverged")


def draw(rng: np.random.Generator, design: Design, count: tuple[int, ...], task: int, arm: int, point: int) -> Drawn:
    """Runs of an arm at a point of the grid, real ones drawn with replacement, with what is planted."""
    place = BEST if design.rise else RATES.index(design.grid[point])
    score, steps = RUNS[place][:, rng.integers(0, RUNS.shape[2], count)]
    first = arm == 1
    best = len(design.grid) // 2 - 1 + (design.shift if first else 0)
    far = np.exp(design.rise * DEVIATION * abs(point - best))
    planted = (design.factor * (design.interaction if task == 0 else 1.0)) if first else 1.0
    if design.metric == "steps":
        steps = steps * planted
    steps = np.where(steps <= design.budgets[task], steps, np.nan)
    score = score * far * planted
    if design.ties:
        score = np.where(rng.random(count) < design.ties, 1.0, 1 - score)
    diverged = rng.random(count) < design.diverge[int(arm > 0)]
    return Drawn(score, np.where(diverged, np.nan, steps), diverged)


def tuned(rng: np.random.Generator, design: Design, studies: int) -> list[list[FrozenCell]]:
    """The cells of every study after tuning, the baseline first, task by task."""
    found = np.array(
        [
            [
                [losses(rng, design, studies, task, arm, point) for point in range(len(design.grid))]
                for arm in range(design.arms + 1)
            ]
            for task in range(design.tasks)
        ]
    )
    return [
        [cell for task in range(design.tasks) for cell in chosen(design, task, found[task, :, :, :, study])]
        for study in range(studies)
    ]


def losses(rng: np.random.Generator, design: Design, studies: int, task: int, arm: int, point: int) -> Array:
    """Loss and log steps of the tuning runs at a point, shape (2, studies): what `tuning_values` makes of them."""
    runs = draw(rng, design, (studies, design.protocol.tuned_on), task, arm, point)
    logs = np.log(np.clip(np.where(np.isnan(runs.steps), design.budgets[task], runs.steps), 1, None))
    values = -runs.score if design.ties else np.log(runs.score)
    values = np.where(runs.diverged, LARGEST, logs if design.metric == "steps" else values)
    i, j = np.triu_indices(values.shape[1])
    return np.stack([np.median((values[:, i] + values[:, j]) / 2, axis=1), np.median(logs, axis=1)])


def chosen(design: Design, task: int, found: Array) -> list[FrozenCell]:
    """The cells of one study on a task. found: (arms, points, 2), the loss and log steps of each point."""
    points = [[GridPoint(*point) for point in arm] for arm in found.tolist()]
    shared = shared_point(points)

    def at(arm: int, point: int) -> dict[str, Any]:
        values = {"train.lr": design.grid[point]}
        return {"identity": f"{task}/{arm}/{point}", "chosen": values, "edge": edge(values, {"train.lr": design.grid})}

    own = [own_point(one, shared) for one in points]
    return [
        FrozenCell(
            task=f"t{task}",
            arm=str(arm),
            unit="MSE",
            own=None if best == shared else Choice(**at(arm, best)),
            **at(arm, shared),
        )
        for arm, best in enumerate(own)
    ]


def content(design: Design, cells: list[FrozenCell]) -> dict[str, Any]:
    """What such a study was frozen to decide."""
    claim = {"sentence": "s", "source": "s", "metric": design.metric, "expect": design.expect, "baseline": "0"}
    claim |= {"arms": [str(arm) for arm in range(1, design.arms + 1)], "tasks": ["t0"], "margin": design.margin}
    claim |= {"scale": "difference"} if design.ties else {}
    claim |= {"against": "t1"} if design.tasks > 1 else {}
    protocol = design.protocol
    frozen = {
        "study": "s",
        "tasks": {f"t{task}": [] for task in range(design.tasks)},
        "claims": [claim],
        "cells": cells,
    }
    frozen |= {"grid": protocol.grid, "tuning_seeds": protocol.tuned_on}
    return {**frozen, "seeds": protocol.seeds("confirm"), "extension": protocol.seeds("extend")}


@dataclass(frozen=True)
class Simulation:
    """Studies of one design: their cells, and the confirmation runs of every arm at every point of the grid."""

    design: Design
    cells: list[list[FrozenCell]]
    runs: dict[str, Drawn]  # by the arm's identity, (studies, seeds)

    def verdicts(self, study: int, seeds: list[int] | None = None) -> list[Verdict]:
        """The verdicts on one study. seeds: what its confirmation runs are labelled, for a planted leak."""
        return claims.judge(self.records(study, seeds), content(self.design, self.cells[study]))

    def records(self, study: int, seeds: list[int] | None = None) -> Records:
        """The confirmation runs of one study, as analysis reads them."""
        protocol = self.design.protocol
        labels = seeds or [*protocol.seeds("confirm"), *protocol.seeds("extend")]
        frames = [
            self.table(Drawn(*(getattr(runs, part)[[study]] for part in PARTS)), int(name[0])).assign(
                arm=name, seed=labels
            )
            for name, runs in self.runs.items()
            if any(name in identities(cell) for cell in self.cells[study])
        ]
        return Records(pd.concat(frames, ignore_index=True), pd.DataFrame(), [])

    def table(self, runs: Drawn, task: int) -> pd.DataFrame:
        """Runs of an arm on a task, one row a run."""
        more = self.design.ties > 0  # of an accuracy more is better
        score, steps, diverged = (getattr(runs, part).ravel() for part in PARTS)
        score = np.where(diverged, -np.inf if more else np.inf, score)
        columns = {
            "study": "s",
            "phase": "confirm",
            "status": np.where(diverged, "diverged", "finished"),
            "score": score,
        }
        columns |= {
            "solved": ~np.isnan(steps),
            "results.steps_to_solve": steps,
            measures.LOSS: score,
            "data_digest": "d",
        }
        columns |= {measures.BUDGET: self.design.budgets[task], "task.chance": 0.1 if more else 0.167}
        return pd.DataFrame({**columns, "task.direction": "max" if more else "min"})

    def may_be_decided(self) -> NDArray[np.bool_]:
        """The studies, shape (n,), in which a raw p of a comparison is at most alpha at both choices."""
        design, protocol = self.design, self.design.protocol
        if not design.plain:
            return np.ones(len(self.cells), dtype=bool)
        first, every = design.seeds, design.seeds + len(protocol.seeds("extend"))
        alpha = claims.ALPHA / 2 if design.extension else claims.ALPHA
        looks = [self.sides(count, alpha) for count in {first, every}]
        found: NDArray[np.bool_] = np.logical_or.reduce(looks)
        return found

    def sides(self, seeds: int, alpha: float) -> NDArray[np.bool_]:
        """Whether, at a look, some comparison of each study has such a p at both choices."""
        shared, own = (raw_p(self.differences(choice, seeds)) <= alpha for choice in ("shared", "own"))
        found: NDArray[np.bool_] = (shared & own).any(axis=1)
        return found

    def alone(self, choice: str) -> float:
        """The share of studies that one choice by itself would decide a comparison of."""
        p = raw_p(self.differences(choice, self.design.seeds))
        return float(np.mean([many_comparisons.holm(one).min() <= claims.ALPHA for one in p]))

    def differences(self, choice: str, seeds: int) -> Array:
        """Log ratios of each arm and the baseline on the first seeds, shape (studies, arms, seeds)."""
        logs = self.logs(choice)[..., :seeds]
        d = logs[:, :, 1:] - logs[:, :, :1]
        return np.asarray(d[:, 0] - d[:, 1] if self.design.tasks > 1 else d[:, 0])

    def logs(self, choice: str) -> Array:
        """Log losses of the confirmation runs, shape (studies, tasks, arms, seeds)."""
        rows = [
            [self.runs[cell.at(choice).identity].score[study] for cell in cells]
            for study, cells in enumerate(self.cells)
        ]
        logs = np.log(np.array(rows))
        return logs.reshape(len(rows), self.design.tasks, self.design.arms + 1, -1)


def identities(cell: FrozenCell) -> set[str]:
    return {cell.at(choice).identity for choice in ("shared", "own")}


def raw_p(d: Array) -> Array:
    """Exact two-sided p of the signed ranks of d, shape (..., n), without ties: `signed_rank_p`, many at once."""
    ranks = np.argsort(np.argsort(np.abs(d), axis=-1), axis=-1) + 1
    null = signed_rank.signed_rank_null(tuple(float(rank) for rank in range(1, d.shape[-1] + 1)))[::2]
    seen = np.where(d > 0, ranks, 0).sum(axis=-1)
    less, greater = np.cumsum(null)[seen], np.cumsum(null[::-1])[::-1][seen]
    p: Array = np.minimum(1, 2 * np.minimum(less, greater))
    return p


def simulate(design: Design, studies: int, seed: int = 7) -> Simulation:
    """Studies of a design, tuned and confirmed."""
    rng = np.random.default_rng(seed)
    cells = tuned(rng, design, studies)
    count = (studies, design.seeds + len(design.protocol.seeds("extend")))
    places = [
        (task, arm, point)
        for task in range(design.tasks)
        for arm in range(design.arms + 1)
        for point in range(len(design.grid))
    ]
    return Simulation(design, cells, {"/".join(map(str, place)): draw(rng, design, count, *place) for place in places})


def verdicts(design: Design, studies: int) -> Iterator[list[Verdict]]:
    """The verdicts of every study; none for one that has nothing that could be decided."""
    made = simulate(design, studies)
    for study, possible in enumerate(made.may_be_decided()):
        yield made.verdicts(study) if possible else []


def shares(studies: int, expect: str, planted: float) -> Iterator[Verdict]:
    """The verdicts on the share that interactions explain over a grid of 3 x 3 settings and 8 seeds, noise a third.

    planted: the true share of the variance of the settings' means and the noise together.
    """
    rng, levels, seeds = np.random.default_rng(7), 3, 8
    rows = np.array([-1.0, 0.0, 1.0])
    main, joint = np.add.outer(rows, rows), np.outer(rows, rows)
    noise = 0.3
    truth = main / main.std() * np.sqrt(1 - noise - planted) + joint / joint.std() * np.sqrt(planted)
    names = [f"{i}/{j}" for i in range(levels) for j in range(levels)]
    cells = [FrozenCell(task="t0", arm=name, identity=name, unit="MSE") for name in names]
    claim = {"sentence": "s", "source": "s", "metric": "share", "scale": "difference", "expect": expect, "margin": 0.2}
    frozen = {"study": "s", "tasks": {"t0": []}, "claims": [{**claim, "knob": "interactions"}], "cells": cells}
    frozen |= {"factors": {"a": list(range(levels)), "b": list(range(levels))}, "seeds": list(range(seeds))}
    for _ in range(studies):
        logs = truth.reshape(-1, 1) + np.sqrt(noise) * rng.standard_normal((levels**2, seeds))
        runs = Drawn(np.exp(logs - 4), np.full(logs.shape, np.nan), np.zeros(logs.shape, dtype=bool))
        frame = Simulation(Design(), [], {}).table(runs, 0)
        frame = frame.assign(arm=np.repeat(names, seeds), seed=list(range(seeds)) * len(names))
        yield claims.judge(Records(frame, pd.DataFrame(), []), frozen)[0]
