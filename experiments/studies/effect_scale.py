"""The scale of effects of a study: what its claims may ask for, so that no two of them hold of one difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analysis.claims import claim as claimed
from analysis.claims.claim import Claim
from experiments.config.schema import refuse


def check_scales(claims: Sequence[Claim], tasks: Sequence[str], direction: Callable[[str], str]) -> None:
    """Refuse claims on several scales, a wide margin without a reason, and ratios of what has none.

    direction: whether less ("min") or more ("max") of the score is better on a task.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    for claim in claims:
        _check_margin(claim, claims)
        about = claim.tasks or list(tasks)
        if claim.metric == "score" and claim.scale == "ratio" and any(direction(task) == "max" for task in about):
            legal = "a ratio of scores of which more is better, like accuracies, is no scale: scale=difference"
            raise refuse("protocol.claims.scale", claim.scale, legal)
        if claim.against and claim.metric in ("solved", "share"):
            legal = f"metric={claim.metric} is compared on one task at a time"
            raise refuse("protocol.claims.against", claim.against, legal)
        _check_same_metric(claim, claims, about, tasks)


def _check_margin(claim: Claim, claims: Sequence[Claim]) -> None:
    if claimed.wide(claim) and not (claim.reason or "").strip():
        usual = claimed.EQUIVALENT.get((claim.metric, claim.scale))
        legal = f"a margin wider than {usual:g}" if usual else f"a margin in {claim.metric} as a {claim.scale}"
        raise refuse("protocol.claims.reason", claim.reason, f"{legal} has to state its reason")
    if claim.reason is not None and not claimed.wide(claim):
        raise refuse("protocol.claims.reason", claim.reason, "it is for the margin of same, where that is a wide one")
    if claim.expect == "same" or claim.metric == "share" or claim.margin is None:
        return
    if (claim.scale == "ratio" and claim.margin < 1) or claim.margin < 0:
        raise refuse("protocol.claims.margin", claim.margin, "a factor of 1 or more, or a difference of 0 or more")
    if claim.margin < (least := claimed.least_margin(claim, claims)):
        legal = f"what is {claim.expect} is so by the margin of the study's same at least, {least:g}"
        raise refuse("protocol.claims.margin", claim.margin, legal)


def _check_same_metric(claim: Claim, claims: Sequence[Claim], about: Sequence[str], tasks: Sequence[str]) -> None:
    """Refuse a claim of `same` beside one that measures the same effect on the other scale."""
    for other in claims:
        shared = set(about) & set(other.tasks or tasks)
        alike = claim.metric == other.metric and (claim.against is None) == (other.against is None)
        if claim.expect == "same" and alike and claim.scale != other.scale and shared:
            legal = f"{claim.metric} on {min(shared)} is a {claim.scale} in the claim of same: a study has one scale"
            raise refuse("protocol.claims.scale", other.scale, legal)
