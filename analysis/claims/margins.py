"""The margin that a claim is judged by, and the smallest one that its runs support: numbers and words."""

import bisect
import math
from collections.abc import Sequence

import numpy as np

from analysis.claims.claim import Claim
from analysis.claims.finding import Finding
from analysis.statistics.many_comparisons import holm
from analysis.statistics.signed_rank import equivalence_p, walsh_averages

TINY = np.finfo(float).tiny
SMALLEST = "smallest margin that the runs support: "


def supported(found: Finding, p: Sequence[float], place: int, alpha: float) -> float:
    """The smallest margin, in the unit of d, with which a claim of `same` is reproduced; NaN if there is none.

    place: that of the comparison among the p of the study, which Holm goes over. Its own p changes only where the
    margin passes a Walsh average, and falls from there on.
    """
    if found.d is None:
        return math.nan
    below, above = walsh_averages(found.d)
    ends = np.concatenate([[0.0], -below, above])
    margins = np.unique(ends[np.isfinite(ends) & (ends >= 0)]) * (1 + 1e-9)
    d = found.d

    def shown(margin: float) -> bool:  # 0: whatever is above it
        inside = equivalence_p(d, max(margin, TINY))
        return bool(holm([*p[:place], inside, *p[place + 1 :]])[place] <= alpha)

    first = bisect.bisect_left(margins, True, key=shown)
    return float(margins[first]) if first < len(margins) else math.nan


def scale(claim: Claim, supports: float) -> list[str]:
    """The bound that a claim was judged by, and of `same` the smallest margin that the runs support."""
    if claim.expect != "same":
        counted = claim.metric != "share" and claim.bound != 0
        return [f"{claim.expect} counts from {amount(claim.scale, claim.size)} on"] if counted else []
    return [f"same counts within {amount(claim.scale, claim.size)}", smallest(claim, supports)]


def smallest(claim: Claim, supports: float) -> str:
    """The smallest margin with which a claim of `same` is reproduced, in words."""
    text = "none" if math.isnan(supports) else f"{amount(claim.scale, rounded_up(supports))}, of the pseudomedian"
    return SMALLEST + text


def amount(scale: str, size: float) -> str:
    return f"a factor of {size:.4g}" if scale == "ratio" else f"{size:.3g}"


def rounded_up(size: float) -> float:
    """The next number of three significant digits, so that what is printed is supported."""
    if size == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(size)) - 2)
    return math.ceil(size / step - 1e-8) * step
