"""Claims: what a study was frozen to decide, and the verdict on it from the run records.

A study's `study.json` (written before its first confirmation run) holds the claims, what they compare and on which
seeds; nothing else decides. A comparison of two arms has one value per seed: d = arm - baseline (of logs for a ratio).

    reproduced   d lies on the claimed side of the bound, Holm-adjusted p <= alpha; "same": inside the margin
    refuted      the same for the other side; "same": outside the margin
    undecided    neither
    not run      a confirmation run of the comparison is missing, or the pairs did not see the same data

Holm goes over all comparisons of the study. A study with a declared extension looks twice, each time at half the alpha.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import checks, stats
from analysis.claim import Comparison, comparisons
from analysis.comparing import NotRunError, Paired, paired
from analysis.frozen_study import SHARED, FrozenStudy
from analysis.runs import Records
from analysis.stats import Estimate

ALPHA = 0.05


@dataclass(frozen=True)
class Verdict:
    """What the runs say about one comparison of a claim.

    estimate, low, high: the difference (`unit` says of what; a ratio is arm / baseline) with its paired interval at
    .95; p_adjusted: the p after Holm, for the side that is nearer: exact where paired, approximate (jackknife) for
    shares over a random search. NaN where nothing was run. seeds: those of the look that gave the verdict.
    """

    sentence: str
    source: str
    study: str
    verdict: str
    estimate: float
    low: float
    high: float
    p_adjusted: float
    comparison: str
    note: str
    unit: str
    seeds: tuple[int, ...]


def judge(records: Records, frozen: FrozenStudy | Mapping[str, Any]) -> list[Verdict]:
    """The verdict on every comparison of a study, in the order in which the claims state them.

    records: the runs of the study, and perhaps of others; frozen: its study.json, or the content of one.
    """
    study = FrozenStudy.model_validate(frozen)
    wanted = comparisons(study.claims, list(study.tasks))
    runs = records.runs[(records.runs["study"] == study.study) & records.runs["status"].isin(checks.COUNTED)]
    alpha = ALPHA / 2 if study.extension else ALPHA
    first = look(runs, study.at(SHARED), wanted, study.seeds, alpha)
    if not study.extension or all(verdict.verdict != "undecided" for verdict in first):
        return first
    second = look(runs, study.at(SHARED), wanted, [*study.seeds, *study.extension], alpha)
    return [later(one, two) for one, two in zip(first, second, strict=True)]


def later(first: Verdict, second: Verdict) -> Verdict:
    """The second look settles what the first left undecided, once its runs are there."""
    return second if first.verdict == "undecided" and second.verdict != "not run" else first


def overall(verdicts: Sequence[Verdict]) -> str:
    """The verdict on a claim from those on its comparisons: it is reproduced only if every one of them is."""
    words = {verdict.verdict for verdict in verdicts} or {"not run"}
    return next((word for word in ("refuted", "not run", "undecided") if word in words), "reproduced")


def look(
    runs: pd.DataFrame, frozen: Mapping[str, Any], wanted: Sequence[Comparison], seeds: Sequence[int], alpha: float
) -> list[Verdict]:
    """The verdicts on some seeds; a comparison that is not run keeps its place in Holm's count, with p = 1."""
    found: list[Paired | str] = []
    confirmed = runs[(runs["phase"] == "confirm") & runs["seed"].isin(seeds)]
    arms = {str(arm): group.set_index("seed") for arm, group in confirmed.groupby("arm")}
    for comparison in wanted:
        try:
            found.append(paired(arms, frozen, comparison, seeds))
        except NotRunError as reason:
            found.append(str(reason))
    adjusted = stats.holm([1.0 if isinstance(one, str) else one.p for one in found])
    return [
        verdict(frozen, comparison, one, float(p), alpha, seeds)
        for comparison, one, p in zip(wanted, found, adjusted, strict=True)
    ]


def verdict(
    frozen: Mapping[str, Any],
    comparison: Comparison,
    found: Paired | str,
    p: float,
    alpha: float,
    seeds: Sequence[int],
) -> Verdict:
    claim = comparison.claim
    if isinstance(found, str):
        word, note, p, shown = "not run", found, math.nan, Estimate(math.nan, math.nan, math.nan)
    else:
        word, shown = found.side if p <= alpha else "undecided", found.shown
        note = "; ".join([*found.notes, *edges(frozen, comparison)])
    study, counted = str(frozen["study"]), unit(frozen, comparison)
    return Verdict(claim.sentence, claim.source, study, word, *shown, p, comparison.text, note, counted, tuple(seeds))


def edges(frozen: Mapping[str, Any], comparison: Comparison) -> list[str]:
    """Marks an arm whose best tuned value is the last of the grid: a wider grid might have served it better."""
    marks = []
    for name in (comparison.arm, comparison.claim.baseline):
        chosen = [one for one in frozen["cells"] if (one["task"], one["arm"]) == (comparison.task, name)]
        at = [f"{key}={one['chosen'][key]}" for one in chosen for key in one["edge"]]
        if at:
            marks.append(f"{name}: tuned to the edge of the grid ({', '.join(at)})")
    return marks


def unit(frozen: Mapping[str, Any], comparison: Comparison) -> str:
    """What the estimate of a comparison counts."""
    claim = comparison.claim
    if claim.metric == "share":
        return "share of variance"
    score = next((one["unit"] for one in frozen["cells"] if one["task"] == comparison.task), "score")
    what = {"score": score, "memory": "dc_T / dc_0", "loss": "loss", "steps": "steps to solve", "solved": "solve rate"}[
        claim.metric
    ]
    return f"{claim.scale} {'of' if claim.scale == 'ratio' else 'in'} {what}"
