"""Shares of variance that settings explain, with the jackknife that tests them: over a grid, over a random search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import aggregates, jackknife
from analysis.statistics.estimates import Estimate, Side
from analysis.statistics.outcomes import Array

INTERACTIONS = "interactions"  # what factors explain only together, where a knob is named


@dataclass(frozen=True)
class Shares:
    """A share of variance and the same without each part of the runs; `reason` says why it decides nothing."""

    value: float
    without: Array
    notes: list[str] = field(default_factory=list)
    reason: str = ""

    def p(self, bound: float, side: Side) -> float:
        """The one-sided p of the share being the bound."""
        return jackknife.jackknife_p(self.value, self.without, bound, side)

    @property
    def interval(self) -> Estimate:
        """The share with its interval at .95; no share is below 0 or above 1."""
        value, low, high = (min(max(end, 0.0), 1.0) for end in jackknife.jackknife(self.value, self.without))
        return Estimate(value, low, high)


def over_grid(table: Array, factors: Sequence[str], knob: str) -> Shares:
    """The share that a factor explains alone, or that factors explain only together, over a balanced grid.

    table: the response, shape (seeds, levels of the first factor, levels of the second, ...). The seeds are the
    replicates: what differs between them is no interaction. The jackknife leaves out one seed at a time.
    """
    place = len(factors) if knob == INTERACTIONS else list(factors).index(knob)
    without = [aggregates.replicated_shares(np.delete(table, seed, axis=0))[place] for seed in range(len(table))]
    shares = aggregates.replicated_shares(table)
    notes = [f"left to the seeds: {max(0.0, 1 - sum(shares)):.2f}"]
    reason = "" if table.var() else "every run came to the same"
    return Shares(shares[place], np.array(without), notes, reason)


def over_search(runs: pd.DataFrame, response: Array, search: Mapping[str, Mapping[str, Any]], knob: str) -> Shares:
    """The share that a knob explains alone over a random search, one row a run; the jackknife leaves out tenths."""
    knobs = {key: runs[f"config.resolved.{key}"].astype(float) for key in search}
    table = pd.DataFrame({key: np.log(knobs[key]) if search[key]["log"] else knobs[key] for key in search})
    table["score"] = response
    whole = aggregates.importance(table, "score", list(search))
    parts = aggregates.importance_without(table, "score", list(search))
    notes = [f"{len(runs)} runs, out-of-bag R2 {whole.fit:.2f}"]
    reason = "" if whole.decided else "too few runs, or the forest does not fit well enough"
    return Shares(whole.shares[knob], np.array([part[knob] for part in parts]), notes, reason)
