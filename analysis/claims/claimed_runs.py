"""What the claims of a study say of the task of each run, for figures and tables (analysis/claims/effects.py)."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.claims.claim import EQUIVALENT, Claim, Comparison, comparisons, scale_of
from analysis.claims.frozen_study_file import CHOICES, FrozenStudy
from analysis.claims.gathering import tasks_of

OF_RUNS = ("score", "loss", "steps", "solved", "memory")  # metrics that say how well a run did
STEPS, STOPS = "claim.steps", "config.resolved.train.stop_at_solved"


def with_claims(runs: pd.DataFrame, studies: Iterable[FrozenStudy]) -> pd.DataFrame:
    """The runs with what the claims of their study say of their task.

    claim.metric, claim.scale: of the first claim about the arm on the task, else about the task; claim.least: the bound
    of higher and lower; claim.margin: that of the same, as one writes them; claim.opponents: what claims compare the
    arm with, as identities; claim.steps: whether any claim about the task is of steps to solve. A claim about the
    change between two tasks says of the difference on one only what it is measured in. Missing for runs of no frozen
    study.
    """
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for study in studies:
        wanted = comparisons(study.claims, list(study.tasks))
        for cell in study.cells:
            about = [pair for pair in wanted if cell.task in tasks_of(pair) and pair.claim.metric in OF_RUNS]
            about.sort(key=lambda pair: pair.claim.against is not None)  # those about the task alone first
            direct = [pair for pair in about if cell.arm in arms_of(pair) and not pair.claim.against]
            names = {name for pair in direct for name in arms_of(pair)} - {cell.arm}
            others = [other for other in study.cells if other.task == cell.task and other.arm in names]
            opponents = frozenset(other.at(choice).identity for other in others for choice in CHOICES)
            steps = any(pair.claim.metric == "steps" for pair in about)
            for identity in {cell.at(choice).identity for choice in CHOICES} if about else set():
                found[study.study, identity] = (*measure((direct or about)[0].claim, wanted), opponents, steps)
    keys = zip(runs["study"], runs["arm"], strict=True)
    rows = [found.get(key, (None, None, math.nan, math.nan, None, False)) for key in keys]
    columns = ["claim.metric", "claim.scale", "claim.least", "claim.margin", "claim.opponents", STEPS]
    return runs.join(pd.DataFrame(rows, columns=columns, index=runs.index))


def about_steps(runs: pd.DataFrame) -> bool:
    """Whether steps to solve are what these runs of a task were made for: a claim says so, or they stop when solved."""
    flags = [runs[column] for column in (STEPS, STOPS) if column in runs]
    return any((flag == True).any() for flag in flags)  # noqa: E712  None and NaN are neither


def arms_of(comparison: Comparison) -> tuple[str, str]:
    return comparison.arm, comparison.claim.baseline


def measure(claim: Claim, wanted: Iterable[Comparison]) -> tuple[str, str, float, float]:
    """The metric and scale of a claim, the bound of higher and lower, the margin of the same, on one task alone."""
    if claim.against:
        claim = replace(claim, against=None, expect="higher", margin=None)
    alike = [pair.claim for pair in wanted if scale_of(pair.claim) == scale_of(claim)]
    same = [other.size for other in alike if other.expect == "same"]
    least = max(same, default=claim.size)
    usual = EQUIVALENT.get((claim.metric, claim.scale), least)
    return claim.metric, claim.scale, least, max(same, default=max(usual, least))
