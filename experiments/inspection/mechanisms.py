"""What single units do for the task: which keeps, which forgets, takes in or shows something, at which event, by what.

A unit counts only if the net does its task (its loss is well below that of one that does not), the gate does clearly
another thing at the event than elsewhere, and the loss rises when that gate of that unit alone is touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from experiments.inspection.feeds import Terms, terms
from experiments.inspection.subject import Subject
from experiments.inspection.surgery import KINDS, loss
from experiments.inspection.time_constants import time_constants
from experiments.inspection.traces import Trace
from experiments.tasks.base import Array

LOW, HIGH, HALF = 0.1, 0.9, 0.5
DOES = {"forget": ("forgets", -1), "input": ("takes in", 1), "output": ("shows", 1)}  # and the sign of its gate there
LONG = 20  # steps of a time constant from which a unit is said to keep
CAUSAL = 0.1  # of the chance loss: by how much the loss must rise
Finding = dict[str, Any]


def mechanisms(
    subject: Subject, found: Sequence[Trace], lost: Mapping[tuple[int, str], Array], untouched: float
) -> list[Finding]:
    """What units do, a mapping each.

    Args:
        found: the traces of all layers.
        lost: by layer and gate, how much the loss rises by kind of surgery on one unit, (kinds, H).
        untouched: the loss of the net.
    """
    idle = idle_loss(subject, found)
    if not untouched < (1 - CAUSAL) * idle:
        return []
    least = CAUSAL * idle
    return [
        {"layer": layer, **finding}
        for layer, trace in enumerate(found)
        for finding in [
            *_keeping(subject, trace, lost.get((layer, "forget")), least),
            *_at_events(subject, found, layer, lost, least),
        ]
    ]


def idle_loss(subject: Subject, found: Sequence[Trace]) -> float:
    """The loss of a net that does not do its task.

    That is what chance loses; where the task does not say, what the net's own outputs lose at other steps.
    """
    if subject.task.chance_loss is not None:
        return subject.task.chance_loss
    outputs, counts = subject.outputs(torch.from_numpy(found[-1]["hidden"])), torch.from_numpy(subject.batch.counts)
    answers = outputs[counts]
    outputs[counts] = answers[np.random.Generator(np.random.Philox(0)).permutation(len(answers))]
    return loss(subject, outputs)


def _keeping(subject: Subject, trace: Trace, lost: Array | None, least: float) -> Iterator[Finding]:
    """Units that hold something for long, and without which the net fails."""
    constants = time_constants(trace, subject.inside)
    if constants is None or lost is None:
        return
    for unit, steps in enumerate(constants.steps):
        cost = float(lost[KINDS.index("0"), unit])
        if steps >= LONG and cost >= least:
            constant = float(steps) if math.isfinite(steps) else None
            yield {"unit": unit, "does": "keeps", "gate": "forget", "time_constant": constant, "cost": cost}


def _at_events(
    subject: Subject, found: Sequence[Trace], layer: int, lost: Mapping[tuple[int, str], Array], least: float
) -> Iterator[Finding]:
    """Gates that are shut or open at an event, the other way elsewhere, and needed so."""
    trace = found[layer]
    for gate in [gate for gate in DOES if (layer, gate) in lost]:
        does, sign = DOES[gate]
        costs = lost[layer, gate][KINDS.index("mean")]
        for event, happens in subject.events.items():
            rest = subject.inside & ~happens
            if not happens.any() or not rest.any():
                continue
            there, elsewhere = trace[gate][happens].mean(axis=0), trace[gate][rest].mean(axis=0)
            clear = (there < LOW) & (elsewhere > HALF) if sign < 0 else (there > HIGH) & (elsewhere < HALF)
            for unit in np.flatnonzero(clear & (costs >= least)):
                feed = _feed(terms(subject, found, layer, gate), happens, rest, int(unit), sign)
                numbers = {"there": float(there[unit]), "elsewhere": float(elsewhere[unit]), "cost": float(costs[unit])}
                yield {"unit": int(unit), "does": does, "gate": gate, "event": event, "feed": feed, **numbers}


def _feed(made: Terms, happens: Array, rest: Array, unit: int, sign: int) -> str | None:
    """The feed whose term moves the gate most at the event; None where the terms are not known."""
    moved = {
        feed: sign * float((term[happens].mean(axis=0) - term[rest].mean(axis=0))[min(unit, term.shape[-1] - 1)])
        for feed, term in made.items()
    }
    return max(moved, key=lambda feed: moved[feed]) if moved else None
