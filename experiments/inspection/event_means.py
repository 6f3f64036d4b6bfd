"""What gates and cells do around the steps at which something happens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from experiments.inspection.traces import Trace
from experiments.tasks.base import Array

REACH = 10  # steps before and after


class Around(NamedTuple):
    """Means around one event.

    Attributes:
        means: slot or ``abs_cell`` -> (2 * REACH + 1, H); NaN where no event has a step that far.
        counts: (2 * REACH + 1,) events that have a step there.
    """

    means: dict[str, Array]
    counts: Array


def around(trace: Trace, happens: Array, inside: Array, reach: int = REACH) -> Around:
    """The mean of every gate and of |c| so many steps before and after an event; padding has no part in it.

    Args:
        happens: (T, B), true at the event.
    """
    values = {slot: value for slot, value in trace.items() if slot not in ("cell", "hidden")}
    values["abs_cell"] = np.abs(trace["cell"])
    t, b = np.nonzero(happens)
    means: dict[str, list[Array]] = {slot: [] for slot in values}
    counts = []
    for offset in range(-reach, reach + 1):
        there = (t + offset >= 0) & (t + offset < len(inside))
        steps, columns = t[there] + offset, b[there]
        valid = inside[steps, columns]
        counts.append(int(valid.sum()))
        for slot, value in values.items():
            picked = value[steps[valid], columns[valid]]
            means[slot].append(picked.mean(axis=0) if len(picked) else np.full(value.shape[-1], np.nan))
    return Around({slot: np.stack(rows) for slot, rows in means.items()}, np.array(counts))
