"""What feeds a gate: a = W x + U h' + p c + b, its terms and the share of each in the variance of a."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.inspection.subject import Subject
from experiments.inspection.traces import Trace, before, inputs, started
from experiments.tasks.base import Array
from lstm_variants.equations import LAYER_NORM_EPSILON

Terms = dict[str, Array]  # x, h, c, gates, b -> (T, B, H), or 1 for H where all units share a value


class Feeds(NamedTuple):
    """Of one gate, by term.

    Attributes:
        share: (H,), cov(term, a) / var(a); the shares of a unit add up to 1. NaN where a does not vary.
        pooled: the same of all units together, sum of cov / sum of var.
        level: (H,), the mean of the term, which a bias has too.
    """

    share: dict[str, Array]
    pooled: dict[str, float]
    level: dict[str, Array]


def terms(subject: Subject, found: Sequence[Trace], layer: int, slot: str) -> Terms:
    """The terms of a learned gate's pre-activation; empty for a cell outside the gate algebra."""
    spec = subject.layer.spec
    if spec.cell != "gated" or slot not in spec.learned:
        return {}
    w = _arrays(subject.layer.gates(layer)[slot])
    trace = found[layer]
    h = before(trace, "hidden", started(subject, layer, "h"))
    made: Terms = {}
    if "x" in w:
        made["x"] = product(w, "x", inputs(subject, found, layer))
    if "h" in w:
        made["h"] = _recurrent(spec, slot, w, trace, h)
    if "c" in w:
        earlier = before(trace, "cell", started(subject, layer, "c"))
        made["c"] = w["c"] * (trace["cell"] if slot == "output" else earlier)
    if "gates" in w:
        seen = {g: before(trace, g, started(subject, layer, g)) for g in w["gates"]}
        made["gates"] = sum((seen[g] @ R.T for g, R in w["gates"].items()), start=np.zeros_like(h))
    if "b" in w:
        made["b"] = np.broadcast_to(w["b"], (*h.shape[:2], len(w["b"])))
    block = spec[slot].block
    return made if block == "all" else {feed: np.repeat(term, int(block), axis=-1) for feed, term in made.items()}


def _arrays(weights: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _arrays(v) if isinstance(v, Mapping) else v.detach().numpy() for k, v in weights.items()}


def product(w: Mapping[str, Any], part: str, value: Array) -> Array:
    """W x or U h', layer-normalised where the part has a gain."""
    a: Array = value @ w[part].T
    if f"gain_{part}" not in w:
        return a
    variance = a.var(axis=-1, keepdims=True)
    normed: Array = w[f"gain_{part}"] * (a - a.mean(axis=-1, keepdims=True)) / np.sqrt(variance + LAYER_NORM_EPSILON)
    return normed


def _recurrent(spec: Any, slot: str, w: Mapping[str, Any], trace: Trace, h: Array) -> Array:
    """U h', with the reset gate where the candidate has one."""
    if slot != "candidate" or spec.reset.kind == "absent":
        return product(w, "h", h)
    if spec.reset_after:
        term: Array = trace["reset"] * (product(w, "h", h) + w.get("bh", 0.0))
        return term
    return product(w, "h", trace["reset"] * h)


def feeds(made: Terms, inside: Array) -> Feeds | None:
    """The shares of a gate's terms; None where they are not known."""
    if not made:
        return None
    a = sum(made.values(), start=np.zeros(()))[inside]
    centred = a - a.mean(axis=0)
    variance = (centred**2).mean(axis=0)
    covariance = {k: (centred * (v[inside] - v[inside].mean(axis=0))).mean(axis=0) for k, v in made.items() if k != "b"}
    varies = variance > 1e-24 * (1 + (a**2).mean(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = {name: np.where(varies, cov / variance, np.nan) for name, cov in covariance.items()}
    total = float(variance[varies].sum())
    pooled = {name: float(cov[varies].sum() / total) for name, cov in covariance.items()} if total else {}
    return Feeds(share, pooled, {name: term[inside].mean(axis=0) for name, term in made.items()})
