"""What a two-phase study is: its arms, grid, seeds and claims, said in one YAML and checked before anything runs.

    # @package _global_
    # python -m experiments.study experiment=NAME
    study: outputs/NAME
    train: {steps: 2000}
    protocol:
      arms:                                     # a name, and what it changes
        lstm: []
        no forget gate: [variant=no_forget_gate]
      tasks:                                    # likewise; one task without changes may be left out
        adding: [task=adding, task.length=50]
      grid: {train.lr: [.002, .005, .01, .02]}  # tuned for every arm on every task
      tuning_seeds: 12                          # per point of the grid; as many as confirmation seeds unless given
      confirmation_seeds: 12                    # fresh ones
      extension: null                           # 24: more seeds if the first 12 leave a comparison undecided
      claims:
        - sentence: Without a forget gate the loss is higher.
          source: Gers et al. 2000
          metric: score                         # analysis/verdicts.py says what there is
          expect: higher
          baseline: lstm
          arms: [no forget gate]
          margin: null                          # of `same` 2 in loss, 1.5 in steps, .02 in accuracy, or a `reason:`
      full:                                     # what scale=full changes: settings, and keys of this block
        settings: [train.steps=20000]
        confirmation_seeds: 16

For claims about shares of variance, in place of arms and grid: `factors`, a balanced grid of untuned arms, or `search`,
a random one of `search_runs` settings, each with a seed of its own:

      search: {train.lr: {low: .001, high: 1, log: true}, model.hidden_size: {low: 8, high: 64, log: true, whole: true}}
      search_runs: 200
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from analysis.claims.claim import Claim
from analysis.statistics.aggregates import ENOUGH_RUNS

FIRST_TUNING_SEED = 1_000_000  # confirmation seeds count from 0 and stay below it
FEWEST_TUNING_SEEDS = {"score": 5, "loss": 5, "steps": 8, "solved": 8, "memory": 0, "share": 0}


@dataclass
class Knob:
    """A setting of a random search: uniform between low and high, or its log; a whole number if `whole`."""

    low: float = MISSING
    high: float = MISSING
    log: bool = False
    whole: bool = False

    def at(self, place: float) -> float | int:
        """The value at a place in [0, 1)."""
        if self.log:
            value = math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + place * (self.high - self.low)
        return round(value) if self.whole else float(f"{value:.6g}")


@dataclass
class Protocol:
    """The `protocol:` block of an experiment file."""

    claims: list[Claim] = MISSING
    arms: dict[str, list[str]] = field(default_factory=dict)
    tasks: dict[str, list[str]] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    factors: dict[str, list[Any]] = field(default_factory=dict)
    search: dict[str, Knob] = field(default_factory=dict)
    search_runs: int = ENOUGH_RUNS
    tuning_seeds: int | None = None
    confirmation_seeds: int = 12
    extension: int | None = None
    full: dict[str, Any] = field(default_factory=dict)

    def claim(self, task: str) -> Claim:
        """What the arms are tuned for on a task: the first claim about it, else the first claim."""
        about = (claim for claim in self.claims if not claim.tasks or task in [*claim.tasks, claim.against])
        return next(about, self.claims[0])

    @property
    def fewest(self) -> tuple[int, str]:
        """The fewest tuning seeds that may be given, and the metric that asks for them."""
        return max(
            (FEWEST_TUNING_SEEDS.get(metric, 5), metric) for metric in {self.claim(task).metric for task in self.tasks}
        )

    @property
    def tuned_on(self) -> int:
        """Seeds per point of the grid. With fewer than there are confirmation seeds, the luck of tuning is found."""
        if self.tuning_seeds is not None or not self.grid:
            return self.tuning_seeds or 0
        return max(self.confirmation_seeds, self.fewest[0])

    def points(self) -> list[dict[str, Any]]:
        """Every point of the tuning grid."""
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]

    def seeds(self, phase: str, first: int = 0) -> list[int]:
        """The seeds of a phase: ``tune``, ``confirm`` or ``extend``; no two phases share one.

        first: the first one of the confirmation, where those below have been used.
        """
        if phase == "tune":
            return list(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + self.tuned_on))
        count = self.search_runs if self.search else self.confirmation_seeds
        last = first + (self.extension or 0)
        return list(range(first, first + count)) if phase == "confirm" else list(range(first + count, last))
