"""Whether a study can decide its claims: they name what is there, and there are seeds enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from analysis.claims import claim as claimed
from analysis.claims import verdicts
from analysis.claims.claim import Claim
from analysis.statistics.aggregates import ENOUGH_RUNS
from analysis.statistics.many_comparisons import seeds_needed
from analysis.statistics.shares import INTERACTIONS
from experiments.config.schema import ConfigError, refuse
from experiments.studies.protocol import FIRST_TUNING_SEED, Protocol


def check(protocol: Protocol, cells: Sequence[tuple[str, str]]) -> None:
    """Refuse a study that could not decide its claims, or whose claims name what is not there."""
    for claim in protocol.claims:
        _check_claim(claim, protocol)
    if not protocol.claims:
        raise refuse("protocol.claims", [], "a study needs a claim")
    wanted = claimed.comparisons(protocol.claims, list(protocol.tasks))
    for one in wanted:
        arms = list(protocol.arms) if one.claim.metric == "share" else [one.arm, one.claim.baseline]
        if absent := [arm for arm in arms if (one.task, arm) not in cells]:
            raise ConfigError(f"protocol.claims: {absent[0]} on {one.task} makes no sense or is no part of the study")
    _check_seeds(protocol, len(wanted))


def _check_claim(claim: Claim, protocol: Protocol) -> None:
    metrics = (*claimed.METRICS, *([claim.metric] if claim.found else ["inside/ and a number of docs/inside.md"]))
    legal = {"metric": metrics, "scale": claimed.SCALES, "expect": claimed.EXPECTATIONS}
    for key, known in legal.items():
        if getattr(claim, key) not in known:
            raise refuse(f"protocol.claims.{key}", getattr(claim, key), f"legal are {', '.join(known)}")
    _check_names("tasks", [*claim.tasks, *([claim.against] if claim.against else [])], protocol.tasks)
    if claim.metric == "share":
        _check_share(claim, protocol)
    else:
        _check_names("arms", [*claim.arms, claim.baseline], protocol.arms)
    if claim.metric in ("solved", "share") and claim.scale != "difference":
        raise refuse("protocol.claims.scale", claim.scale, f"metric={claim.metric} takes scale=difference")
    if claim.found and claim.scale == "ratio" and not claim.found.endswith("/loss"):
        raise refuse("protocol.claims.scale", "ratio", f"metric={claim.metric} takes scale=difference")
    if claim.metric == "solved" and (claim.expect == "same" or claim.margin):
        raise refuse("protocol.claims.metric", "solved", "solve rates can be shown to differ, not to be the same")
    if not claim.arms and claim.metric != "share":
        raise refuse("protocol.claims.arms", [], "an arm to compare with the baseline is needed")
    margins = (claim.metric, claim.scale) in claimed.EQUIVALENT or claim.margin is not None
    if claim.expect == "same" and not (margins and claim.bound > 0):
        raise refuse("protocol.claims.margin", claim.margin, "a factor above 1 or a difference above 0 is needed")


def _check_share(claim: Claim, protocol: Protocol) -> None:
    if not protocol.factors and not protocol.search:
        raise refuse("protocol.claims.metric", "share", "factors or a search are needed")
    if protocol.search and claim.knob == INTERACTIONS:
        legal = "over a random search the forest makes interactions by itself; a grid of factors can show them"
        raise refuse("protocol.claims.knob", claim.knob, legal)
    if protocol.search and claim.expect == "same":
        raise refuse("protocol.claims.expect", "same", "a share over a random search is higher or lower than a margin")
    interactions = [INTERACTIONS] if protocol.factors else []
    _check_names("knob", [claim.knob], [*protocol.factors, *protocol.search, *interactions])


def _check_names(key: str, names: Iterable[str | None], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise refuse(f"protocol.claims.{key}", name, f"legal are {', '.join(known)}")


def _check_seeds(protocol: Protocol, comparisons: int) -> None:
    """Refuse seed counts that tune too little, or with which every verdict would read undecided."""
    if protocol.grid and protocol.tuned_on < protocol.fewest[0]:
        legal = f"{protocol.fewest[0]} or more are needed to tune for {protocol.fewest[1]}"
        raise refuse("protocol.tuning_seeds", protocol.tuned_on, legal)
    if protocol.extension is not None and protocol.extension <= protocol.confirmation_seeds:
        legal = f"more than the {protocol.confirmation_seeds} confirmation seeds are needed"
        raise refuse("protocol.extension", protocol.extension, legal)
    if protocol.search:
        if protocol.search_runs < ENOUGH_RUNS:
            legal = f"fewer than {ENOUGH_RUNS} runs can only read undecided"
            raise refuse("protocol.search_runs", protocol.search_runs, legal)
        return
    alpha = verdicts.ALPHA / 2 if protocol.extension else verdicts.ALPHA
    needed = seeds_needed(comparisons, alpha)
    if not needed <= (protocol.extension or protocol.confirmation_seeds) < FIRST_TUNING_SEED:
        legal = f"with {comparisons} comparisons at {alpha:g}, fewer than {needed} seeds can only read undecided"
        key = "extension" if protocol.extension else "confirmation_seeds"
        raise refuse(f"protocol.{key}", getattr(protocol, key), legal)
