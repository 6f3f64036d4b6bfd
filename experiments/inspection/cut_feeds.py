"""What is lost when a trained gate no longer sees one of its feeds: the term is replaced by its mean.

It is done through the weights: those of the feed become 0, and what they gave on average joins the bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from experiments.inspection.feeds import terms
from experiments.inspection.subject import Subject
from experiments.inspection.surgery import Scores, measured
from experiments.inspection.traces import Trace
from lstm_variants import CellSpec, GatedRNN

CUT = ("x", "h", "c", "gates")


def cut(subject: Subject, found: Sequence[Trace], slot: str, feed: str, layers: Sequence[int]) -> Scores:
    """The metrics with a feed of a learned gate cut in some layers."""
    layer = with_bias(subject.layer, slot)
    with torch.no_grad():
        for at in layers:
            weights = layer.gates(at)[slot]
            _clear(weights, feed)
            mean = terms(subject, found, at, slot)[feed][subject.inside].mean(axis=0)
            weights["b"] += torch.from_numpy(mean[:: len(mean) // len(weights["b"])])  # units of a block have one mean
    return measured(replace(subject, layer=layer))


def with_bias(layer: GatedRNN, slot: str) -> GatedRNN:
    """A copy of a layer one of whose gates has a bias; one that it had not is 0."""
    config = layer.spec.to_config()
    if "b" not in config[slot]["feeds"]:
        config[slot]["feeds"] += "b"
    spec = CellSpec.from_config(config)
    same = GatedRNN(spec, layer.input_size, layer.hidden_size, layer.num_layers, engine="reference").double()
    known = layer.state_dict()
    same.load_state_dict({name: known.get(name, torch.zeros_like(value)) for name, value in same.state_dict().items()})
    return same.requires_grad_(False)


def _clear(weights: Mapping[str, Any], feed: str) -> None:
    """Set the weights of a feed to 0; a reset gate's own bias goes with the product that it resets."""
    for name in (feed, "bh") if feed == "h" else (feed,):
        if name in weights:
            for part in weights[name].values() if isinstance(weights[name], Mapping) else [weights[name]]:
                part.zero_()
