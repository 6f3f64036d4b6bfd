"""One comparison of a claim on the runs of its arms: its estimate, and the p of the side that the runs are on.

`decide` is a pure function of a comparison and its runs. It knows nothing of the other comparisons of the study, which
`analysis/claims/verdicts.py` adjusts its p for.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims import measures
from analysis.claims.claim import Claim, Comparison
from analysis.claims.finding import Finding, NotRunError
from analysis.claims.gathering import Cells, measurable, same_data, tasks_of
from analysis.claims.measures import budget, difference, learned
from analysis.statistics import grids, signed_rank, solving
from analysis.statistics.outcomes import Flags, Outcomes
from analysis.statistics.shares import Shares, over_grid, over_search

SENSITIVE = 0.75  # the share of seeds on which baseline and arm have to show that they can do the task, for `same`


def decide(comparison: Comparison, runs: Cells, design: Mapping[str, Any]) -> Finding:
    """What the runs of a comparison say; NotRunError if they cannot say it.

    runs: those of arm and baseline on the task, and on `against`; of a share those of every cell of its task.
    design: of a share the `factors` of its grid, or the `search`.
    """
    claim = comparison.claim
    if claim.metric == "share":
        return of_share(comparison, runs, design)
    pairs = [(runs[task, comparison.arm], runs[task, claim.baseline]) for task in tasks_of(comparison)]
    for first, second in pairs:
        same_data(first, second)
        measurable(claim, first, second)
    if claim.metric == "solved":
        return by_sign(*pairs[0], claim, cautions(comparison, runs))
    differences = [difference(first, second, claim) for first, second in pairs]
    d = differences[0] if len(differences) == 1 else differences[0] - differences[1]
    if claim.expect == "same":
        return by_equivalence(d, comparison, runs)
    return by_rank(d, claim, cautions(comparison, runs))


def by_rank(d: Outcomes, claim: Claim, notes: list[str]) -> Finding:
    """What the signed ranks of d say of a claim that it is higher or lower than a bound."""
    less, greater = (signed_rank.signed_rank_p(d, claim.bound, side) for side in ("less", "greater"))
    side = "reproduced" if (greater <= less) == (claim.expect == "higher") else "refuted"
    return Finding(
        min(1.0, 2 * min(less, greater)), side, *shown(d, claim), notes, between_bounds(d), floor=floor(claim)
    )


def by_equivalence(d: Outcomes, comparison: Comparison, runs: Cells) -> Finding:
    """What the signed ranks of d say of a claim of `same`, in which pairs that show nothing count against it."""
    claim = comparison.claim
    able = {key: learned(cell, claim, budget(*runs.values())) for key, cell in runs.items()}
    informed = d if claim.metric == "memory" else d.where(shows_something(comparison, able))
    blind = [] if claim.metric == "memory" else insensitive(able, claim)
    inside, outside = signed_rank.equivalence_p(informed, claim.bound), signed_rank.outside_p(d, claim.bound)
    inside = 1.0 if blind else inside
    side, p = ("reproduced", inside) if inside <= outside else ("refuted", outside)
    reason = f"the study could not have seen a difference: {', '.join(blind)}" if blind else between_bounds(informed)
    found = shown(d, claim)
    notes, seen = cautions(comparison, runs), None if blind else informed
    return Finding(p, side, *found, notes, reason, seen, floor(claim))


def shows_something(comparison: Comparison, able: Mapping[tuple[str, str], Flags]) -> Flags:
    """The seeds, shape (n,), on which arm or baseline could do the task, on every task of the comparison."""
    pairs = [able[task, comparison.arm] | able[task, comparison.claim.baseline] for task in tasks_of(comparison)]
    both: Flags = np.logical_and.reduce(pairs)
    return both


def insensitive(able: Mapping[tuple[str, str], Flags], claim: Claim) -> list[str]:
    """The arms that could do the task on too few seeds for a study of `same`, in words."""
    what = "solved" if claim.metric == "steps" else "beat chance"
    return [
        f"{arm} {what} on {int(flags.sum())} of {len(flags)} seeds of {task}"
        for (task, arm), flags in able.items()
        if flags.mean() < SENSITIVE
    ]


def between_bounds(d: Outcomes) -> str:
    """Why a verdict on differences that are not all known is undecided; nothing where they are."""
    if d.exact.all():
        return ""
    parts = []
    if unknown := int(d.unknown.sum()):
        parts.append(f"{unknown} of {len(d)} pairs carry no information")
    if bounded := int((~d.exact & ~d.unknown).sum()):
        parts.append(f"{bounded} of {len(d)} pairs are known as a bound only")
    return f"{', '.join(parts)}, and it does not hold for all that they may be"


def shown(d: Outcomes, claim: Claim) -> tuple[float, float, float, float]:
    """The bounds of the estimate and its interval, on the claim's scale."""
    estimate = (*signed_rank.pseudomedian(d), *signed_rank.paired_difference(d)[1:])
    least, most, low, high = (power(value) for value in estimate) if claim.scale == "ratio" else estimate
    return least, most, low, high


def floor(claim: Claim) -> float:
    """The smallest size there is on the claim's scale."""
    return 0.0 if claim.scale == "ratio" else -math.inf


def power(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def by_sign(first: pd.DataFrame, second: pd.DataFrame, claim: Claim, notes: list[str]) -> Finding:
    """What McNemar's test says of solved or not."""
    if claim.against:
        raise NotRunError("solve rates are compared on one task: against is for other metrics")
    value, low, high = solving.solve_difference(first["solved"], second["solved"])
    side = "reproduced" if (value > 0) == (claim.expect == "higher") else "refuted"
    return Finding(solving.mcnemar_p(first["solved"], second["solved"]), side, value, value, low, high, notes)


def of_share(comparison: Comparison, runs: Cells, design: Mapping[str, Any]) -> Finding:
    """What the jackknife says of a share of variance, at both ends of what diverged runs may be."""
    cells = list(runs.values())
    every = pd.concat(cells)
    responses = grids.responses(every)
    try:
        if design.get("search"):
            found = [over_search(every, response, design["search"], comparison.arm) for response in responses]
        else:
            shape = [-1, *(len(values) for values in design["factors"].values())]
            tables = [response.reshape(len(cells), -1).T.reshape(shape) for response in responses]
            found = [over_grid(table, list(design["factors"]), comparison.arm) for table in tables]
    except ImportError:
        raise NotRunError("functional ANOVA needs optuna: pip install 'gates[importance]'") from None
    diverged = int((every["status"] == "diverged").sum())
    notes = [*found[0].notes, *([f"{diverged} of {len(every)} diverged"] if diverged else [])]
    chance = measures.column(every, "task.chance")
    blind = not np.isnan(chance).any() and not learned(every, comparison.claim, budget(every)).any()
    return by_jackknife(found, comparison.claim, notes, "no run beat chance" if blind else "")


def by_jackknife(found: Sequence[Shares], claim: Claim, notes: list[str], blind: str) -> Finding:
    """The verdict on a share that the jackknife gives, at both ends; it has to hold at each."""
    less, greater = (max(shares.p(claim.bound, side) for shares in found) for side in ("less", "greater"))
    if claim.expect == "same":
        inside = max(max(shares.p(-claim.bound, "greater"), shares.p(claim.bound, "less")) for shares in found)
        side, p = ("reproduced", inside) if inside <= greater else ("refuted", min(1.0, 2 * greater))
    else:
        side = "reproduced" if (greater <= less) == (claim.expect == "higher") else "refuted"
        p = min(1.0, 2 * min(less, greater))
    intervals = [shares.interval for shares in found]
    least, most = (end(shares.value for shares in intervals) for end in (min, max))
    low, high = min(shares.low for shares in intervals), max(shares.high for shares in intervals)
    blind = blind or next((shares.reason for shares in found if shares.reason), "")
    apart = "it depends on what the diverged runs count as" if len(found) > 1 else ""
    return Finding(1.0 if blind else p, side, least, most, low, high, notes, blind or apart)


def cautions(comparison: Comparison, runs: Cells) -> list[str]:
    """What to know about the runs of a comparison: diverged ones, and budgets that cut steps off."""
    notes = []
    for (task, arm), cell in runs.items():
        name = arm if task == comparison.task else f"{arm}, {task}"
        diverged = int((cell["status"] == "diverged").sum())
        unsolved = int((~cell["solved"] & (cell["status"] != "diverged")).sum())
        if diverged:
            notes.append(f"{name}: {diverged} of {len(cell)} diverged")
        if comparison.claim.metric == "steps" and unsolved:
            least = ", so its steps are a lower bound" if 2 * unsolved >= len(cell) else ""
            notes.append(f"{name}: {unsolved} of {len(cell)} unsolved at {budget(cell):.0f} steps{least}")
    return notes
