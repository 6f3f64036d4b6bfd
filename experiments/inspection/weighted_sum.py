"""The cell as a weighted sum of what came in: c_t = sum_j w[t, j] z_j + (prod f) c_0, w[t, j] = i_j prod f_(j+1..t)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from experiments.inspection.traces import Trace
from experiments.tasks.base import Array


class WeightedSum(NamedTuple):
    """Of one layer.

    Attributes:
        by_lag: (T, H), the mean |w| so many steps back, over steps that have them.
        half: (H,), the lag by which half of all weight has been passed.
        cell: (T, B, H), the cell made again from the weights.
        error: the largest difference to the cell itself, in units of 1 + |c|.
    """

    by_lag: Array
    half: Array
    cell: Array
    error: float


def weighted_sum(trace: Trace, inside: Array, start: Array | None = None) -> WeightedSum | None:
    """Unroll the cell; None for a cell that does not show input, forget and candidate.

    Args:
        start: (B, H), the cell before the first step; None for 0.
    """
    if not {"input", "forget", "candidate"} <= trace.keys():
        return None
    i, f, z = (trace[slot] for slot in ("input", "forget", "candidate"))
    steps, _, units = z.shape
    kept, cell, by_lag = np.ones_like(f), np.zeros_like(z), np.zeros((steps, units))
    for lag in range(steps):
        if lag:
            kept[lag:] *= f[1 : steps - lag + 1]
        weight, valid = i[: steps - lag] * kept[lag:], inside[lag:]
        cell[lag:] += weight * z[: steps - lag]
        by_lag[lag] = np.abs(weight[valid]).mean(axis=0) if valid.any() else 0.0
    if start is not None:
        cell += np.cumprod(f, axis=0) * start
    error = (np.abs(cell - trace["cell"]) / (1 + np.abs(trace["cell"])))[inside].max()
    return WeightedSum(by_lag, half_passed(by_lag), cell, float(error))


def half_passed(by_lag: Array) -> Array:
    """(H,), the lag by which half of the weights (T, H) has been passed."""
    passed = by_lag.cumsum(axis=0)
    lag: Array = (passed < passed[-1] / 2).sum(axis=0)
    return lag
