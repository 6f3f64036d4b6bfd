"""How often a gate is nearly shut or nearly open (Karpathy, Johnson & Fei-Fei 2015)."""

from __future__ import annotations

from typing import NamedTuple

from experiments.inspection.traces import Trace, gates
from experiments.tasks.base import Array

SHUT, OPEN = 0.1, 0.9


class Saturation(NamedTuple):
    """Shares of steps, (H,) each, with a gate below .1, and above .9."""

    shut: Array
    open: Array


def saturation(trace: Trace, inside: Array) -> dict[str, Saturation]:
    """Of every gate, over all steps that are no padding."""
    values = {slot: trace[slot][inside] for slot in gates(trace)}
    return {slot: Saturation((v < SHUT).mean(axis=0), (v > OPEN).mean(axis=0)) for slot, v in values.items()}
