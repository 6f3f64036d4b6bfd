"""What it would take to decide a comparison that is undecided: how many seeds, from the spread that its runs show."""

import math

from scipy import stats

from analysis.claims.claim import Claim, Comparison
from analysis.claims.verdicts import ALPHA, Verdict
from analysis.statistics.estimates import LEVEL
from analysis.statistics.many_comparisons import seeds_needed

POWER = 0.8
EFFICIENCY = 3 / math.pi  # of the signed-rank test against the t test, where differences are normal
MOST = 1000  # seeds beyond which a number says nothing
NO_SEEDS = {  # the beginning of a reason -> what would help instead
    "depends on ": "no number of seeds: the two choices of settings say different things; a finer or wider grid may",
    "the study could not have seen a difference": "no number of seeds: nets that can do the task, so more steps",
    "no run beat chance": "no number of seeds: nets that can do the task, so more steps",
}


def would_take(verdict: Verdict, comparison: Comparison, comparisons: int, extension: bool = False) -> str:
    """What it would take to decide a comparison, in words; nothing unless it is undecided.

    comparisons: how many the study makes, for Holm; extension: whether it looks twice.
    """
    if verdict.verdict != "undecided":
        return ""
    for begins, text in NO_SEEDS.items():
        if verdict.reason.startswith(begins):
            return text
    if verdict.reason:
        return f"no number of seeds by itself: {verdict.reason}"
    if comparison.claim.metric == "share" and len(verdict.seeds) < 2:
        return "more runs of the search; how many cannot be told from one search"
    needed = seeds(verdict, comparison.claim, comparisons, ALPHA / 2 if extension else ALPHA)
    if math.isnan(needed):
        return "cannot be told: the interval is infinite, so there is no spread to go by"
    if needed > MOST:
        return f"more than {MOST:,} seeds: what was measured lies at the bound itself"
    return f"about {needed:.0f} seeds, by the spread of these {len(verdict.seeds)} (power {POWER:.0%})"


def seeds(verdict: Verdict, claim: Claim, comparisons: int, alpha: float) -> float:
    """The seeds with which a difference of the size and spread that was found is decided in POWER of all studies.

    By the normal approximation of the signed-rank test, at alpha / comparisons, which is the worst that Holm asks for:
    n = ((z_alpha + z_power) sd / distance to the bound)^2 / EFFICIENCY. NaN where the interval is infinite.
    """
    ends = verdict.estimate, verdict.low, verdict.high
    if claim.scale == "ratio" and claim.metric != "share":
        ends = tuple(math.log(end) if end > 0 else -math.inf for end in ends)  # type: ignore[assignment]
    estimate, low, high = ends
    if not all(map(math.isfinite, ends)):
        return math.nan
    count = len(verdict.seeds)
    deviation = (high - low) / 2 / stats.t.ppf((1 + LEVEL) / 2, count - 1) * math.sqrt(count)
    size = abs(estimate) if claim.expect == "same" else estimate
    distance = abs(size - claim.bound)
    if distance <= deviation / 1e6:
        return math.inf
    z = stats.norm.isf(alpha / (2 * comparisons)) + stats.norm.ppf(POWER)
    needed = (z * deviation / distance) ** 2 / EFFICIENCY
    return float(max(math.ceil(needed), seeds_needed(comparisons, alpha), count + 1))
