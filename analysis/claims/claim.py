"""What a study can claim: a sentence, the arms it compares, the metric and the bound that decide it."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from omegaconf import MISSING

METRICS = ("score", "loss", "steps", "solved", "memory", "share")
INSIDE = "inside/"
GATE, AT = "(input|forget|output|reset|refine)", "(@layer[0-9]+)?"
FOUND = rf"(surgery/{GATE}=(0|1|mean|shuffled)|cut/({GATE}|candidate)/(x|h|c|gates)){AT}(/cost|/loss|/loss_cost)?"
FOUND += (
    rf"|(saturation/{GATE}/(shut|open)|mean/{GATE}|time_constant/(trained|untrained)(/erased|/grown)?|half_lag){AT}"
)
FOUND += rf"|feeds/({GATE}|candidate)/(x|h|c|gates){AT}"
SCALES, EXPECTATIONS = ("ratio", "difference"), ("higher", "lower", "same")
EQUIVALENT = {("score", "ratio"): 2.0, ("loss", "ratio"): 2.0, ("steps", "ratio"): 1.5, ("score", "difference"): 0.02}
EQUIVALENT |= {("memory", "ratio"): 2.0}


@dataclass
class Claim:
    """A sentence that a study can decide.

    sentence, source: what is claimed, and who says so.
    metric: `score` (the task's main metric at the end), `loss` (at the end, infinite for a diverged run), `steps` (to
        solve), `solved` (or not), `memory` (dc_T / dc_0 of an untrained network, the median over units), `share` (of
        the variance over a balanced grid or a random search of settings, explained by `knob` alone), or a number of
        looking inside the trained nets (docs/inside.md), `inside/surgery/forget=1`, `inside/cut/forget/h/cost`.
    scale: `ratio` (arm / baseline) or `difference` (arm - baseline, in the metric's unit).
    baseline, arms: names of arms of the study; every one of `arms` is compared with the baseline, on each of `tasks`.
    against: a task; the claim is then about the change between it and `tasks`: the interaction of arm and task.
    knob: for `share`: a factor or searched setting; over a grid also `interactions`, all that main effects leave.
    expect: `higher`, `lower` or `same`.
    margin: the bound. `higher` and `lower`: the least factor (default 1) or difference (0); `same`: the largest
        (default: a factor of 2 in loss or score, 1.5 in steps, a difference of .02). A study has one scale of effects:
        what is `higher` or `lower` is so by the margin of its `same` at least (`on_one_scale`).
    reason: why the margin of `same` is wider than the default.
    """

    sentence: str = MISSING
    source: str = MISSING
    expect: str = MISSING
    metric: str = "score"
    scale: str = "ratio"
    baseline: str = ""
    arms: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    against: str | None = None
    knob: str | None = None
    margin: float | None = None
    reason: str | None = None

    @property
    def found(self) -> str | None:
        """The number of looking inside that the claim is about; None if it is about another metric."""
        name = self.metric.removeprefix(INSIDE)
        return name if name != self.metric and re.fullmatch(FOUND, name) else None

    @property
    def size(self) -> float:
        """The margin as one writes it: a factor for a ratio, else a difference."""
        if self.margin is not None:
            return self.margin
        return EQUIVALENT[self.metric, self.scale] if self.expect == "same" else float(self.scale == "ratio")

    @property
    def bound(self) -> float:
        """The margin in the unit of d: a log for a ratio."""
        size = math.log(self.size) if self.scale == "ratio" else self.size
        return -size if self.expect == "lower" and self.metric != "share" else size


class Comparison(NamedTuple):
    """One of the k comparisons of a study: an arm against the claim's baseline on a task, or a knob on a task."""

    claim: Claim
    task: str
    arm: str

    @property
    def text(self) -> str:
        if self.claim.metric == "share":
            return f"{self.arm}, {self.task}"
        against = f" against {self.claim.against}" if self.claim.against else ""
        return f"{self.arm} vs {self.claim.baseline}, {self.task}{against}"


def comparisons(claims: Sequence[Claim], tasks: Sequence[str]) -> list[Comparison]:
    """Every comparison that the claims ask for, a task at a time, on the one scale of effects of their study."""
    return [
        Comparison(claim, task, arm)
        for claim in on_one_scale(claims)
        for task in claim.tasks or [task for task in tasks if task != claim.against]
        for arm in ([str(claim.knob)] if claim.metric == "share" else claim.arms)
    ]


def on_one_scale(claims: Sequence[Claim]) -> list[Claim]:
    """The claims, what they call higher or lower being so by the margin of `same` at least: nothing is both."""
    return [replace(claim, margin=max(least_margin(claim, claims), claim.margin or 0.0) or None) for claim in claims]


def least_margin(claim: Claim, claims: Iterable[Claim]) -> float:
    """The margin of the study's `same` on the scale of a claim that something is higher or lower; 0 without one."""
    if claim.expect == "same" or claim.metric == "share":  # of a share the bound is no distance from an equal one
        return 0.0
    alike = [other for other in claims if other.expect == "same" and scale_of(other) == scale_of(claim)]
    return max((other.size for other in alike), default=0.0)


def scale_of(claim: Claim) -> tuple[str, str, bool]:
    """What two claims share if they measure effects on one scale; the ratio of scores is that of losses."""
    metric = "loss" if (claim.metric, claim.scale) == ("score", "ratio") else claim.metric
    return metric, claim.scale, claim.against is not None


def wide(claim: Claim) -> bool:
    """Whether the margin of a claim of `same` is wider than the default, and has to say why."""
    usual = EQUIVALENT.get((claim.metric, claim.scale), 0.0)
    return claim.expect == "same" and claim.metric != "share" and claim.margin is not None and claim.margin > usual
