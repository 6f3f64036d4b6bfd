"""Every variant against the complete LSTM, on every task: what the heat map and the probability of improvement draw.

These describe a whole report, by the metric and the margin that the study's claims state for a task; what was frozen
to be decided is in `analysis/claims/verdicts.py`.
"""

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.arms import counted_runs, order
from analysis.claims import measures
from analysis.claims.claim import EQUIVALENT, Claim, Comparison
from analysis.claims.comparing import by_equivalence, by_sign
from analysis.claims.finding import Finding, NotRunError
from analysis.claims.gathering import measurable
from analysis.statistics import estimates, many_comparisons, signed_rank
from analysis.statistics.outcomes import Outcomes, outcomes

COLUMNS = ["task", "name", "baseline", "metric", "scale", "margin", "claimed", "pairs", "effect", "size", "low", "high"]
COLUMNS += ["better", "worse", "p", "p_adjusted", "verdict"]
CLAIMED = {"metric": "claim.metric", "scale": "claim.scale", "least": "claim.least", "margin": "claim.margin"}
OPPONENTS = "claim.opponents"  # the identities that claims compare the arm with, as claims/claimed_runs.py has it
HIGHER_IS_BETTER = ("solved",)
USED = (measures.BUDGET, measures.LOSS, measures.MEMORY, "results.steps_to_solve")
UNUSED = ("config.", "environment.", "results.", "timing.", "parameters.", "semantics.")
DRAWN = ("score", "loss", "steps", "solved")  # metrics of which there is a better


def against_baseline(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per task and variant that shares seeds, on the same data, with the LSTM.

    effect, low, high: the paired difference variant - LSTM in `metric`, or the ratio variant / LSTM (`scale`), with its
    exact 95 % interval, of this cell alone; size: the effect as it is printed, infinite or a bound where runs diverged
    or were censored. better, worse: seeds on which the variant certainly is. p: of the nearer of better or worse, and
    the same within `margin`; p_adjusted: after Holm over the table, of which the verdict is made. claimed: whether a
    frozen claim compares the two on the task.
    """
    scored = counted_runs.scored(runs)
    scored = scored[[column for column in scored if not str(column).startswith(UNUSED) or column in USED]]
    rows = []
    for task, panel in scored.groupby("task"):
        cells = {str(name): cell.set_index("seed") for name, cell in panel.groupby("name")}
        for name, baseline in opposites(panel).items():
            row = compared(cells[name], cells[baseline], stated(cells[name], cells[baseline], panel))
            rows.append({"task": task, "name": name, "baseline": baseline, **row})
    found = pd.DataFrame([row for row in rows if row.get("pairs")], columns=COLUMNS)
    found = found.assign(p_adjusted=many_comparisons.holm(found["p"]))
    return found.assign(verdict=found["verdict"].where(found["p_adjusted"] <= 1 - estimates.LEVEL, "undecided"))


def opposites(panel: pd.DataFrame) -> dict[str, str]:
    """Row -> the row of the complete LSTM to compare it with: the one with its settings if there are several."""
    base = order.baselines(panel, order.rows(panel))
    by_settings = {row.partition(" (")[2]: row for row in reversed(base)}
    alone = base[0] if len(base) == 1 else None
    found = {name: by_settings.get(name.partition(" (")[2], alone) for name in sorted(set(map(str, panel["name"])))}
    return {name: row for name, row in found.items() if row is not None and name not in base}


def stated(cell: pd.DataFrame, baseline: pd.DataFrame, panel: pd.DataFrame) -> dict[str, Any]:
    """What the claims of its study say of a row's task, `{}` if nothing; `compared`: whether they compare these two."""
    if OPPONENTS not in panel:
        return {}
    rows = [part for part in (cell, panel) if part[CLAIMED["metric"]].notna().any()]
    if not rows:
        return {}
    known = rows[0].loc[rows[0][CLAIMED["metric"]].first_valid_index()]
    opponents = frozenset().union(*cell[OPPONENTS].dropna()) & set(baseline["arm"])
    return {**{key: known[column] for key, column in CLAIMED.items()}, "compared": bool(opponents)}


def compared(cell: pd.DataFrame, baseline: pd.DataFrame, terms: dict[str, Any]) -> dict[str, Any]:
    """The paired difference of two rows of one task, by seed; nothing if no seed of theirs saw the same data."""
    both = cell.index[cell["data_digest"].eq(baseline["data_digest"].reindex(cell.index))]
    if both.empty or terms.get("metric", "score") not in DRAWN:
        return {}
    first, second = cell.loc[both], baseline.loc[both]
    lower = cell["task.direction"].iloc[0] == "min"
    positive = lower and min(first["score"].min(), second["score"].min()) > 0
    scale = "ratio" if positive else "difference"
    margin = EQUIVALENT["score", scale]
    terms = terms or {"metric": "score", "scale": scale, "least": margin, "margin": margin, "compared": False}
    try:
        word, found, d = judged(first, second, terms)
    except NotRunError:
        return {}
    fewer_is_better = lower if terms["metric"] == "score" else terms["metric"] not in HIGHER_IS_BETTER
    below, above = int((d.high < 0).sum()), int((d.low > 0).sum())
    better, worse = (below, above) if fewer_is_better else (above, below)
    word = {"lower": "better" if fewer_is_better else "worse", "higher": "worse" if fewer_is_better else "better"}.get(
        word, word
    )
    return {
        **{key: terms[key] for key in ("metric", "scale", "margin")},
        "claimed": terms["compared"],
        "pairs": len(d),
        "effect": found.estimate.value,
        "size": found.size,
        "low": found.low,
        "high": found.high,
        "better": better,
        "worse": worse,
        "p": found.p,
        "verdict": word,
    }


def judged(first: pd.DataFrame, second: pd.DataFrame, terms: dict[str, Any]) -> tuple[str, Finding, Outcomes]:
    """Whether the first is higher, lower or the same, if p is small enough: the nearer of them, with its finding."""
    claim = Claim(
        expect="same", metric=terms["metric"], scale=terms["scale"], baseline="second", margin=terms["margin"]
    )
    if claim.metric == "solved":
        found = by_sign(first, second, claim, [])
        solved = [arm["solved"].to_numpy(dtype=float) for arm in (first, second)]
        return "higher" if found.least > 0 else "lower", found, outcomes(solved[0] - solved[1])
    measurable(claim, first, second)
    d = measures.difference(first, second, claim)
    same = by_equivalence(d, Comparison(claim, "", "first"), {("", "first"): first, ("", "second"): second})
    least = math.log(terms["least"]) if claim.scale == "ratio" else terms["least"]
    p = {"same": same.p if same.side == "reproduced" else 1.0}
    p["higher"] = 2 * signed_rank.signed_rank_p(d, least, "greater")
    p["lower"] = 2 * signed_rank.signed_rank_p(d, -least, "less")
    word = min(("higher", "lower"), key=lambda expect: p[expect])
    if p[word] > 1 - estimates.LEVEL and p["same"] < p[word]:  # where any difference counts, one inside the margin does
        word = "same"
    return word, replace(same, p=min(1.0, p[word])), d
