"""How long a unit keeps what is in its cell: -1 / mean of ln f, in steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from experiments.inspection.traces import Trace
from experiments.tasks.base import Array


class TimeConstants(NamedTuple):
    """Of each unit, (H,).

    Attributes:
        steps: -1 / mean ln f; inf where the mean is not below 0 (f = 1, or above 1 as often as below: nothing is
            lost), 0 where f is 0 or less at some step, which a time constant cannot say.
        erased: the share of steps with f at 0 or below.
        grown: the share of steps with f above 1.
    """

    steps: Array
    erased: Array
    grown: Array


def time_constants(trace: Trace, inside: Array) -> TimeConstants | None:
    """Of the forget gate of every unit; None for a cell that shows none."""
    if "forget" not in trace:
        return None
    f = trace["forget"][inside]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = -np.log(np.maximum(f, 0)).mean(axis=0)
        steps = np.where(rate > 0, 1 / rate, np.inf)
    return TimeConstants(steps, (f <= 0).mean(axis=0), (f > 1).mean(axis=0))
