"""A verdict that no runs have to be made for."""

import math
from typing import Any

from analysis.claims.verdicts import Verdict


def verdict(**changes: Any) -> Verdict:
    known = {
        "sentence": "s",
        "source": "p",
        "study": "mine",
        "verdict": "undecided",
        "comparison": "gru vs lstm, adding",
    }
    numbers = {"estimate": 1.2, "low": 0.8, "high": 1.8, "p_adjusted": 0.3, "supports": math.nan, "size": "1.2"}
    rest = {"note": "", "unit": "ratio of loss", "seeds": tuple(range(12)), "reason": ""}
    return Verdict(**{**known, **numbers, **rest, **changes})  # type: ignore[arg-type]
