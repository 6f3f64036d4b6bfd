"""The metric of a claim on the runs of an arm, and the difference of two arms seed by seed."""

import math

import numpy as np
import pandas as pd

from analysis import stats
from analysis.claim import Claim
from analysis.stats import Array

LOSS, BUDGET = "results.final.eval/loss", "config.resolved.train.steps"
MEMORY = "results.final.memory/median"


def difference(first: pd.DataFrame, second: pd.DataFrame, claim: Claim) -> Array:
    """d per seed, shape (n,): first - second, of logs for a ratio; two runs that are both worse than any score tie."""
    one, two = (on_scale(measured(arm, claim, budget(first, second)), claim) for arm in (first, second))
    with np.errstate(invalid="ignore"):
        d: Array = np.where(one == two, 0.0, one - two)
    largest = np.max(np.abs(d[np.isfinite(d)]), initial=1.0)
    return np.clip(np.nan_to_num(d), -2 * largest, 2 * largest)


def on_scale(values: Array, claim: Claim) -> Array:
    """Values of the claim's metric as its differences take them: logs for a ratio (of steps they are logs already)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) if claim.scale == "ratio" and claim.metric != "steps" else values


def measured(runs: pd.DataFrame, claim: Claim, steps: float) -> Array:
    """The claim's metric, shape (n,): the score, the loss, or steps to solve within `steps` (their log for a ratio)."""
    if claim.metric == "score":
        return runs["score"].to_numpy(dtype=float)
    if claim.metric == "memory":
        return runs[MEMORY].to_numpy(dtype=float)
    if claim.metric == "loss":
        return runs[LOSS].where(runs["status"] == "finished", math.inf).to_numpy(dtype=float)
    logs = stats.log_steps(runs["results.steps_to_solve"].where(runs["solved"]), steps)
    return logs if claim.scale == "ratio" else np.exp(logs)


def budget(*arms: pd.DataFrame) -> float:
    """The training steps that every run of these had."""
    return min(float(arm[BUDGET].min()) for arm in arms)
