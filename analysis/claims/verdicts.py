"""Claims: what a study was frozen to decide, and the verdict on it from the run records.

A study's `study.json` (written before its first confirmation run) holds the claims, what they compare and on which
seeds; nothing else decides. A comparison of two arms has one outcome per seed, d = arm - baseline, of logs for a ratio.

    reproduced   d lies on the claimed side of the bound, Holm-adjusted p <= alpha; "same": inside the margin
    refuted      the same for the other side; "same": outside the margin
    undecided    neither, or not for all that diverged and censored runs may be, or at one of two choices of settings
                 only (all arms at the shared point of the grid, each at its own best); `reason` says why
    not run      a confirmation run of the comparison is missing, or the pairs cannot be compared

Holm goes over all comparisons of the study. A study with a declared extension looks twice, each time at half the alpha.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.arms import counted_runs
from analysis.claims import tuning_words
from analysis.claims.claim import Claim, Comparison, comparisons
from analysis.claims.comparing import decide
from analysis.claims.finding import Finding, NotRunError
from analysis.claims.frozen_study_file import CHOICES, OWN, SHARED, FrozenStudy
from analysis.claims.gathering import Arms, gathered
from analysis.claims.margins import SMALLEST, scale, smallest, supported
from analysis.claims.tuning_words import edges
from analysis.records.load import Records
from analysis.statistics import many_comparisons

ALPHA = 0.05
NUMBERS = ("estimate", "low", "high", "p_adjusted")


@dataclass(frozen=True)
class Verdict:
    """What the runs say about one comparison of a claim.

    estimate, low, high: the difference (`unit` says of what; a ratio is arm / baseline) with its paired interval at
    .95, of this comparison alone; infinite where runs diverged. size: the estimate as it is printed: of censored runs a
    bound, "at least 3", the number in it being `estimate`, which is NaN without information. p_adjusted: the p after
    Holm, for the side that is nearer: exact where paired, approximate (jackknife) for shares. NaN where nothing was
    run. supports: of a claim of `same` the smallest margin that it would have been reproduced with (at both choices of
    settings), NaN if there is none. reason:
    why it is undecided, where p alone does not say it. seeds: those of the look that gave the verdict. frozen: how the
    study was. choices: where the arms have own best points, the verdicts at the shared point and at those, each with
    the settings `at` which it is; the numbers are then those of the one that says less.
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
    size: str
    supports: float
    reason: str
    frozen: str = ""
    at: str = ""
    choices: tuple["Verdict", ...] = ()


def judge(records: Records, frozen: FrozenStudy | Mapping[str, Any]) -> list[Verdict]:
    """The verdict on every comparison of a study, in the order in which the claims state them.

    records: the runs of the study, and perhaps of others; frozen: its study.json, or the content of one.
    """
    study = FrozenStudy.model_validate(frozen)
    wanted = comparisons(study.claims, list(study.tasks))
    runs = records.runs[(records.runs["study"] == study.study) & records.runs["status"].isin(counted_runs.COUNTED)]
    alpha = ALPHA / 2 if study.extension else ALPHA
    first = settled(runs, study, wanted, study.seeds, alpha)
    if not study.extension or all(verdict.verdict != "undecided" for verdict in first):
        return first
    second = settled(runs, study, wanted, [*study.seeds, *study.extension], alpha)
    return [later(earlier, newer) for earlier, newer in zip(first, second, strict=True)]


def settled(
    runs: pd.DataFrame, study: FrozenStudy, wanted: Sequence[Comparison], seeds: Sequence[int], alpha: float
) -> list[Verdict]:
    """The verdicts on some seeds that hold at both choices: with all arms at the shared point, and each at its own."""
    shared = look(runs, study.at(SHARED), wanted, seeds, alpha)
    own = look(runs, study.at(OWN), wanted, seeds, alpha) if any(cell.own for cell in study.cells) else shared
    agreed = [agreement(study, *triple) for triple in zip(wanted, shared, own, strict=True)]
    return [replace(verdict, frozen=study.history) for verdict in agreed]


def agreement(study: FrozenStudy, comparison: Comparison, shared: Verdict, own: Verdict) -> Verdict:
    """What two verdicts on a comparison say together: the one that says less (not run, or with the larger p), or that
    it depends on what was tuned."""
    less = max(shared, own, key=lambda verdict: (verdict.verdict == "not run", verdict.p_adjusted))
    less = with_margin(less, comparison.claim, float(np.maximum(shared.supports, own.supports)))
    at = [tuning_words.settings(study, comparison, choice) for choice in CHOICES]
    notes = [*less.note.split("; "), *tuning_words.luck(study)]
    if at[0] == at[1]:  # the same runs
        return replace(less, note=joined(notes))
    both = replace(shared, at=at[0]), replace(own, at=at[1])
    notes += [mark for choice in CHOICES for mark in edges(study.at(choice), comparison)]
    if less.verdict != "not run" and shared.verdict != own.verdict:
        words = " and ".join(f"{verdict.verdict} at {verdict.at}" for verdict in both)
        less = replace(less, verdict="undecided", reason=f"depends on {tuning_words.tuned(study)}: {words}")
        notes = [less.reason, *notes]
    return replace(less, note=joined(notes), choices=both)


def with_margin(verdict: Verdict, claim: Claim, supports: float) -> Verdict:
    """A verdict with another smallest margin that the runs support, in its note too."""
    notes = [smallest(claim, supports) if note.startswith(SMALLEST) else note for note in verdict.note.split("; ")]
    return replace(verdict, supports=supports, note="; ".join(notes))


def joined(notes: Iterable[str]) -> str:
    """Notes as one text, each once."""
    return "; ".join(filter(None, dict.fromkeys(notes)))


def later(first: Verdict, second: Verdict) -> Verdict:
    """The second look settles what the first left undecided, once its runs are there."""
    return second if first.verdict == "undecided" and second.verdict != "not run" else first


def table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """The verdicts, one row a comparison, with those at the shared point and at own best points in columns."""
    rows = []
    for verdict in verdicts:
        row = {key: value for key, value in vars(verdict).items() if key not in ("choices", "at")}
        for choice, judged in zip(CHOICES, verdict.choices or (verdict, verdict), strict=True):
            row |= {f"{choice}_{key}": getattr(judged, key) for key in ("at", "verdict", *NUMBERS)}
        rows.append(row)
    return pd.DataFrame(rows)


def overall(verdicts: Sequence[Verdict]) -> str:
    """The verdict on a claim from those on its comparisons: it is reproduced only if every one of them is."""
    words = {verdict.verdict for verdict in verdicts} or {"not run"}
    return next((word for word in ("refuted", "not run", "undecided") if word in words), "reproduced")


def look(
    runs: pd.DataFrame, frozen: Mapping[str, Any], wanted: Sequence[Comparison], seeds: Sequence[int], alpha: float
) -> list[Verdict]:
    """The verdicts on some seeds; a comparison that is not run keeps its place in Holm's count, with p = 1."""
    confirmed = runs[(runs["phase"] == "confirm") & runs["seed"].isin(seeds)]
    arms = {str(arm): group.set_index("seed") for arm, group in confirmed.groupby("arm")}
    found = [finding(arms, frozen, comparison, seeds) for comparison in wanted]
    p = [1.0 if isinstance(outcome, str) else outcome.p for outcome in found]
    adjusted = many_comparisons.holm(p)
    return [
        not_run(frozen, comparison, outcome, seeds)
        if isinstance(outcome, str)
        else verdict(
            frozen, comparison, outcome, float(adjusted[place]), supported(outcome, p, place, alpha), alpha, seeds
        )
        for place, (comparison, outcome) in enumerate(zip(wanted, found, strict=True))
    ]


def finding(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison, seeds: Sequence[int]) -> Finding | str:
    """What the runs say about a comparison, or why they cannot yet."""
    try:
        return decide(comparison, gathered(arms, frozen, comparison, seeds), frozen)
    except NotRunError as reason:
        return str(reason)


def not_run(frozen: Mapping[str, Any], comparison: Comparison, why: str, seeds: Sequence[int]) -> Verdict:
    nothing = Finding(math.nan, "not run", math.nan, math.nan, math.nan, math.nan, reason=why)
    return verdict(frozen, comparison, nothing, math.nan, math.nan, 1.0, seeds)


def verdict(
    frozen: Mapping[str, Any],
    comparison: Comparison,
    found: Finding,
    p: float,
    margin: float,
    alpha: float,
    seeds: Sequence[int],
) -> Verdict:
    """The verdict on a comparison. p: after Holm; margin: the smallest that its runs support, in the unit of d."""
    claim = comparison.claim
    word = found.side if not p > alpha else "undecided"
    reason = found.reason if word in ("undecided", "not run") else ""
    size = math.exp(margin) if claim.scale == "ratio" else margin
    notes = [] if word == "not run" else [*scale(claim, size), *found.notes, *edges(frozen, comparison)]
    return Verdict(
        sentence=claim.sentence,
        source=claim.source,
        study=str(frozen["study"]),
        verdict=word,
        estimate=found.estimate.value,
        low=found.low,
        high=found.high,
        p_adjusted=p,
        comparison=comparison.text,
        note="; ".join(filter(None, [reason, *notes])),
        unit=unit(frozen, comparison),
        seeds=tuple(seeds),
        size=found.size,
        supports=size,
        reason=reason,
    )


def unit(frozen: Mapping[str, Any], comparison: Comparison) -> str:
    """What the estimate of a comparison counts."""
    claim = comparison.claim
    if claim.metric == "share":
        return "share of variance"
    score = next((cell["unit"] for cell in frozen["cells"] if cell["task"] == comparison.task), "score")
    names = {"score": score, "memory": "dc_T / dc_0", "steps": "steps to solve", "solved": "solve rate"}
    return f"{claim.scale} {'of' if claim.scale == 'ratio' else 'in'} {names.get(claim.metric, claim.metric)}"
