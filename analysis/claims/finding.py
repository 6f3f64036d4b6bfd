"""What the runs say about one comparison by itself: its estimate, and the p of the side that the runs are on."""

import math
from dataclasses import dataclass, field

from analysis.statistics.estimates import Estimate
from analysis.statistics.outcomes import Outcomes


class NotRunError(Exception):
    """Why a comparison cannot be made yet."""


@dataclass(frozen=True)
class Finding:
    """What the runs say about one comparison by itself.

    p: of the nearer side, before Holm: exact where paired, approximate for shares. side: the verdict if p is small
    enough. least, most: the bounds of the estimate on the claim's scale, equal where it is known; low, high: its
    interval at .95, of this comparison alone. reason: why it is undecided, if it is and p alone does not say it. d: the
    differences of a claim of `same` that the study could have seen to fail, else None. floor: what no estimate is
    below, 0 of a ratio.
    """

    p: float
    side: str
    least: float
    most: float
    low: float
    high: float
    notes: list[str] = field(default_factory=list)
    reason: str = ""
    d: Outcomes | None = None
    floor: float = -math.inf

    @property
    def estimate(self) -> Estimate:
        """The estimate with its interval; of one between bounds the end that is informative, NaN if neither is."""
        one_sided = self.least if self.most == math.inf else self.most
        value = self.least if self.least == self.most else one_sided
        nothing = self.most == math.inf and self.least == self.floor
        return Estimate(math.nan if nothing else value, self.low, self.high)

    @property
    def size(self) -> str:
        """The estimate as a reader should read it."""
        if self.least == self.most:
            return written(self.least)
        if self.most == math.inf:
            return "no information" if math.isnan(self.estimate.value) else f"at least {written(self.least)}"
        if self.least == self.floor:
            return f"at most {written(self.most)}"
        return f"{written(self.least)} to {written(self.most)}"


def written(value: float) -> str:
    """A size with three digits; a diverged run makes it infinite."""
    if math.isnan(value):
        return "–"
    return f"{'-' if value < 0 else ''}infinite" if math.isinf(value) else f"{value:.3g}"
