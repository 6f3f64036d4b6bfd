"""One comparison of a claim on the runs of its arms: its estimate, and the p of the side that the runs are on."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import aggregates, settings, stats
from analysis.claim import INTERACTIONS, Claim, Comparison
from analysis.measures import MEMORY, budget, difference
from analysis.stats import Array, Estimate


class Paired(NamedTuple):
    """The values of one comparison: d per seed, its estimate on the claim's scale, and what a reader should know."""

    d: Array
    p: float  # of the nearer side: exact where paired, approximate for a random search
    side: str  # the verdict if p is small enough
    shown: Estimate
    notes: list[str]


Arms = Mapping[str, pd.DataFrame]  # the confirmation runs of each arm by its identity, one row per seed


class NotRunError(Exception):
    """Why a comparison cannot be made yet."""


def paired(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison, seeds: Sequence[int]) -> Paired:
    """The differences of a comparison and what they say; raises NotRunError if a run is missing or unpaired."""
    claim = comparison.claim
    if claim.metric == "share" and frozen.get("search"):
        return over_search(arms, frozen, comparison)
    if claim.metric == "share":
        return by_rank(over_grid(arms, frozen, comparison, seeds), claim, [])
    first = values(arms, frozen, comparison.task, comparison.arm, seeds)
    second = values(arms, frozen, comparison.task, claim.baseline, seeds)
    same_data(first, second)
    notes = cautions(claim, {comparison.arm: first, claim.baseline: second})
    if claim.metric == "solved":
        return by_sign(first["solved"], second["solved"], claim, notes)
    if claim.metric == "memory" and not all(MEMORY in arm and arm[MEMORY].notna().all() for arm in (first, second)):
        raise NotRunError("dc_T / dc_0 was not measured: train.steps=0")
    d = difference(first, second, claim)
    if claim.against:
        one, two = (values(arms, frozen, claim.against, name, seeds) for name in (comparison.arm, claim.baseline))
        same_data(one, two)
        d = d - difference(one, two, claim)
    return by_rank(d, claim, notes)


def values(arms: Arms, frozen: Mapping[str, Any], task: str, arm: str, seeds: Sequence[int]) -> pd.DataFrame:
    """The runs of an arm on a task, one row per seed in the order of `seeds`."""
    identity = cell(frozen, task, arm)["identity"]
    found = arms.get(identity)
    if found is None or len(found) < len(seeds):
        raise NotRunError(f"{arm}, {task}: {0 if found is None else len(found)} of {len(seeds)} confirmation runs")
    return pd.DataFrame(found.loc[list(seeds)])


def cell(frozen: Mapping[str, Any], task: str, arm: str) -> Mapping[str, Any]:
    """What was frozen for an arm on a task: its settings, what tuning chose and the arm's identity."""
    for one in frozen["cells"]:
        if (one["task"], one["arm"]) == (task, arm):
            return dict(one)
    raise NotRunError(f"{arm}, {task}: not a part of the study")


def identities(frozen: Mapping[str, Any], comparison: Comparison) -> set[str]:
    """The arms whose runs a comparison is made of."""
    claim = comparison.claim
    names = {comparison.arm, claim.baseline}
    return {
        one["identity"]
        for one in frozen["cells"]
        if one["task"] in (comparison.task, claim.against) and (claim.metric == "share" or one["arm"] in names)
    }


def same_data(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Raise NotRunError unless the runs of each seed saw the same data."""
    differs = first["data_digest"].isna() | (first["data_digest"] != second["data_digest"])
    if differs.any():
        seeds = ", ".join(str(seed) for seed in first.index[differs])
        raise NotRunError(f"the runs of seed {seeds} did not see the same data")


def by_rank(d: Array, claim: Claim, notes: list[str]) -> Paired:
    """The verdict of the signed ranks of d."""
    bound = claim.bound
    if claim.expect == "same":
        inside, outside = stats.equivalence_p(d, bound), stats.outside_p(d, bound)
        side, p = ("reproduced", inside) if inside <= outside else ("refuted", outside)
    else:
        p = stats.signed_rank_p(d, bound)
        above = stats.signed_rank_p(d, bound, "greater") <= stats.signed_rank_p(d, bound, "less")
        side = "reproduced" if above == (claim.expect == "higher") else "refuted"
    shown = stats.paired_difference(d)
    if claim.scale == "ratio":
        shown = Estimate(*(math.exp(min(value, 700)) for value in shown))
    return Paired(d, p, side, shown, notes)


def by_sign(first: "pd.Series[Any]", second: "pd.Series[Any]", claim: Claim, notes: list[str]) -> Paired:
    """The verdict of McNemar's test on solved or not."""
    shown = stats.solve_difference(first, second)
    side = "reproduced" if (shown.value > 0) == (claim.expect == "higher") else "refuted"
    d = first.to_numpy(dtype=float) - second.to_numpy(dtype=float)
    return Paired(d, stats.mcnemar_p(first, second), side, shown, notes)


def over_grid(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison, seeds: Sequence[int]) -> Array:
    """The share of the variance of the score (the log of a loss) that a knob explains over a grid, one per seed."""
    factors: Mapping[str, list[Any]] = frozen["factors"]
    cells = [one for one in frozen["cells"] if one["task"] == comparison.task]
    runs = pd.concat([values(arms, frozen, comparison.task, one["arm"], seeds) for one in cells])
    table = settings.response(runs).to_numpy(dtype=float).reshape(len(cells), len(seeds))
    grids = table.T.reshape(len(seeds), *map(len, factors.values()))
    return np.array(
        [share(dict(zip(factors, aggregates.main_shares(grid), strict=True)), comparison) for grid in grids]
    )


def share(shares: Mapping[str, float], comparison: Comparison) -> float:
    """Of the shares of every knob alone that of the comparison's, or what they all leave to interactions."""
    return 1 - sum(shares.values()) if comparison.arm == INTERACTIONS else shares[comparison.arm]


def over_search(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison) -> Paired:
    """The share of the variance of the score (of its log for losses) that a knob explains over a random search."""
    search: Mapping[str, Mapping[str, Any]] = frozen["search"]
    cells = [one for one in frozen["cells"] if one["task"] == comparison.task]
    found = [arms[one["identity"]] for one in cells if one["identity"] in arms]
    if len(found) < len(cells):
        raise NotRunError(f"{comparison.task}: {len(found)} of {len(cells)} runs of the search")
    runs = pd.concat(found)
    knobs = {key: runs[f"config.resolved.{key}"].astype(float) for key in search}
    table = pd.DataFrame({key: np.log(knobs[key]) if search[key]["log"] else knobs[key] for key in search})
    table["score"] = settings.response(runs)
    try:
        whole = aggregates.importance(table, "score", list(search))
        parts = aggregates.importance_without(table, "score", list(search))
    except ImportError:
        raise NotRunError("functional ANOVA needs optuna: pip install 'gates[importance]'") from None
    value, without = whole.shares[comparison.arm], [part[comparison.arm] for part in parts]
    claim, notes = comparison.claim, [f"{len(runs)} runs, out-of-bag R2 {whole.fit:.2f}"]
    if diverged := int((runs["status"] == "diverged").sum()):
        notes.append(f"{diverged} of {len(runs)} diverged")
    less, greater = (stats.jackknife_p(value, without, claim.bound, side) for side in ("less", "greater"))
    side = "reproduced" if (greater < less) == (claim.expect == "higher") else "refuted"
    p = min(1.0, 2 * min(less, greater)) if whole.decided else 1.0
    return Paired(np.array(without), p, side, stats.jackknife(value, without), notes)


def cautions(claim: Claim, arms: Mapping[str, pd.DataFrame]) -> list[str]:
    """What to know about the runs of a comparison: diverged ones, and budgets that cut steps off."""
    notes = []
    for name, runs in arms.items():
        diverged, unsolved = int((runs["status"] == "diverged").sum()), int((~runs["solved"]).sum())
        if diverged:
            notes.append(f"{name}: {diverged} of {len(runs)} diverged")
        if claim.metric == "steps" and unsolved:
            least = ", so its steps are a lower bound" if 2 * unsolved >= len(runs) else ""
            notes.append(f"{name}: {unsolved} of {len(runs)} unsolved at {budget(runs):.0f} steps{least}")
    return notes
