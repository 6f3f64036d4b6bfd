"""The metric of a claim on the runs of an arm, as outcomes; the difference of two arms seed by seed."""

import math

import numpy as np
import pandas as pd

from analysis.claims.claim import EQUIVALENT, Claim
from analysis.records import inside
from analysis.statistics import solving
from analysis.statistics.outcomes import Array, Flags, Outcomes, less

LOSS, BUDGET = "results.final.eval/loss", "config.resolved.train.steps"
OF_STEPS = ", steps to solve"  # what follows the name of a task where its steps to solve are shown
MEMORY, CHANCE_LOSS = "results.final.memory/median", "task.chance_loss"


def difference(first: pd.DataFrame, second: pd.DataFrame, claim: Claim) -> Outcomes:
    """d per seed, shape (n,): first - second, of logs for a ratio. ValueError where a ratio has none: below 0."""
    steps = budget(first, second)
    values, other = (measured(arm, claim, steps) for arm in (first, second))
    d = on_scale(values, claim) - on_scale(other, claim)
    same = less(values.low, other.low) == 0  # losses of 0, whose logs are infinite, and of 1, whose logs have no size
    equal = values.exact & other.exact & same
    return Outcomes(np.where(equal, 0.0, d.low), np.where(equal, 0.0, d.high))


def on_scale(values: Outcomes, claim: Claim) -> Outcomes:
    """Outcomes of the claim's metric as its differences take them: logs for a ratio."""
    return values.log() if claim.scale == "ratio" else values


def measured(runs: pd.DataFrame, claim: Claim, steps: float) -> Outcomes:
    """The claim's metric, shape (n,): the score, the loss, steps to solve within `steps`, or what is left of the cell
    state. Of a diverged run it is worse than every finite one, and what is left of the cell state is not known."""
    if claim.metric == "steps":
        return steps_to_solve(runs, steps)
    diverged = (runs["status"] == "diverged").to_numpy()
    if claim.metric == "memory":
        values = runs[MEMORY].to_numpy(dtype=float)
        return Outcomes(np.where(diverged, 0.0, values), np.where(diverged, math.inf, values))
    if claim.found:
        return found_inside(runs, claim.found)
    values = runs[LOSS if claim.metric == "loss" else "score"].to_numpy(dtype=float)
    values = np.where(diverged, worst(runs, claim), values)
    return Outcomes(values, values)


def found_inside(runs: pd.DataFrame, name: str) -> Outcomes:
    """A number of looking inside. Of a diverged run a touched net's metric or loss is worse than every finite one, and
    anything else is not known."""
    values = column(runs, inside.COLUMN + name)
    diverged = (runs["status"] == "diverged").to_numpy()
    if name.endswith("/loss"):
        low = high = math.inf
    elif name.startswith(("surgery/", "cut/")) and not name.endswith("cost"):
        low = high = -math.inf if runs["task.direction"].iloc[0] == "max" else math.inf
    else:
        low, high = -math.inf, math.inf
    return Outcomes(np.where(diverged, low, values), np.where(diverged, high, values))


def worst(runs: pd.DataFrame, claim: Claim) -> float:
    """What is worse than every finite value of the claim's metric."""
    return -math.inf if claim.metric == "score" and runs["task.direction"].iloc[0] == "max" else math.inf


def steps_to_solve(runs: pd.DataFrame, budget: float) -> Outcomes:
    """Steps to solve: within the budget known, else that or more; a diverged run never will. Step 0 counts as 1."""
    known = runs["results.steps_to_solve"].where(runs["solved"]).to_numpy(dtype=float)
    solved = known <= budget
    diverged = (runs["status"] == "diverged").to_numpy()
    low = np.where(solved, np.maximum(known, 1), np.where(diverged, math.inf, budget))
    return Outcomes(low, np.where(solved, low, math.inf))


def budget(*arms: pd.DataFrame) -> float:
    """The training steps that every run of these had."""
    return min(float(arm[BUDGET].min()) for arm in arms)


def learned(runs: pd.DataFrame, claim: Claim, steps: float) -> Flags:
    """Which runs, shape (n,), show that their arm could do the task: that solved it, or beat chance.

    A study of arms that do not cannot tell them apart, however different they are. To beat chance takes the margin of
    `same`, or the default one if that is smaller: a factor of 2 in loss, .02 where more is better. About `steps` a run
    has to have solved. A task without chance line has no other way than to solve.
    """
    if claim.metric == "steps":
        return steps_to_solve(runs, steps).exact & (runs["status"] != "diverged").to_numpy()
    solved = runs["solved"].to_numpy(dtype=bool)
    return solved | (beat_chance(runs, claim) & (runs["status"] == "finished").to_numpy())


def beat_chance(runs: pd.DataFrame, claim: Claim) -> Flags:
    """Which runs, shape (n,), are clearly better than chance, of the loss if the claim is about that."""
    lower = runs["task.direction"].iloc[0] == "min"
    values, chance = column(runs, "score"), column(runs, "task.chance")
    if claim.metric == "loss" and CHANCE_LOSS in runs and runs[CHANCE_LOSS].notna().all():
        lower, values, chance = True, column(runs, LOSS), column(runs, CHANCE_LOSS)
    margin = EQUIVALENT["score", "ratio" if lower else "difference"]
    if claim.margin is not None and claim.scale == ("ratio" if lower else "difference"):
        margin = min(margin, claim.margin)
    with np.errstate(invalid="ignore"):
        return values * margin < chance if lower else values > chance + margin


def column(runs: pd.DataFrame, name: str) -> Array:
    """A column of numbers, NaN where the runs have none."""
    return runs[name].to_numpy(dtype=float) if name in runs else np.full(len(runs), math.nan)


def log_steps(runs: pd.DataFrame) -> Array:
    """log steps to solve or, where a run has not, of its budget: what ties of tuning are broken by."""
    return solving.log_steps(runs["results.steps_to_solve"].where(runs["solved"]), budget(runs))
