"""What is lost when a gate of the trained net is fixed at 0 or 1, at its own mean, or given its own values at random.

A gate that is `shuffled` has the values that it had, at other sequences and steps: their timing is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from experiments.inspection.subject import OneModel, Subject
from experiments.inspection.traces import Trace, hidden, tapped
from experiments.tasks.base import Array
from experiments.training import evaluation
from lstm_variants.cell import Tap

KINDS = ("0", "1", "mean", "shuffled")
COLUMNS = 16384  # copies of sequences that one pass over all units may have
FEWEST = 8  # sequences of such a pass
Scores = dict[str, float]
Value = Callable[[int, int], Tensor]  # (step, sequences) -> (sequences, H)


def values(trace: Trace, slot: str, inside: Array) -> dict[str, Value]:
    """What each kind of surgery puts in a gate's place."""
    pool = torch.from_numpy(trace[slot][inside])
    mean, zero = pool.mean(dim=0), torch.zeros(pool.shape[1], dtype=pool.dtype)
    order = torch.from_numpy(np.random.Generator(np.random.Philox(0)).permutation(len(pool)))

    def shuffled(step: int, sequences: int) -> Tensor:
        return pool[order[(step * sequences + torch.arange(sequences)) % len(pool)]]

    fixed = {"0": zero, "1": zero + 1, "mean": mean}
    made: dict[str, Value] = {kind: _constant(value) for kind, value in fixed.items()}
    return {**made, "shuffled": shuffled}


def _constant(value: Tensor) -> Value:
    return lambda step, sequences: value.expand(sequences, -1)


def replacing(slot: str, value: Value) -> Tap:
    """A tap that puts a value in a gate's place, from the next step on."""
    step = 0

    def tap(name: str, own: Tensor) -> Tensor:
        nonlocal step
        step += name == "hidden"
        return value(step, len(own) if own.dim() > 1 else 1).to(own) if name == slot else own

    return tap


def measured(subject: Subject, taps: Sequence[Tap | None] = ()) -> Scores:
    """The task's metrics on the subject's sequences, the main one also where it takes a probe of its own."""
    task = subject.task
    found = task.scores(subject.outputs(hidden(subject, taps)), subject.batch).means()
    if task.metric in found:
        return found
    with tapped(subject.layer, taps):
        probed = evaluation.probe(lambda: OneModel(subject.layer, subject.readout), task, subject.seed, subject.carried)
    return found | {name.removeprefix("eval/"): value for name, value in probed.items()}


def surgery(subject: Subject, found: Sequence[Trace], slot: str, layers: Sequence[int]) -> dict[str, Scores]:
    """The metrics with a gate replaced in all units of some layers, by kind of surgery."""
    by_layer = {at: values(found[at], slot, subject.inside) for at in layers}
    return {
        kind: measured(
            subject,
            [replacing(slot, by_layer[at][kind]) if at in by_layer else None for at in range(len(found))],
        )
        for kind in KINDS
    }


def by_unit(subject: Subject, found: Sequence[Trace], slot: str, layer: int) -> Array:
    """The loss with a gate replaced in one unit at a time, (kinds, H); one pass over that many copies."""
    units, kinds = subject.layer.hidden_size, values(found[layer], slot, subject.inside)
    few = subject.first(max(FEWEST, COLUMNS // (len(KINDS) * units)))
    sequences, step = few.batch.inputs.shape[1], 0

    def tap(name: str, own: Tensor) -> Tensor:
        nonlocal step
        step += name == "hidden"
        if name != slot:
            return own
        copies = own.expand(len(KINDS) * units * sequences, units).clone()
        each = torch.stack([kinds[kind](step, sequences) for kind in KINDS])
        copies.view(len(KINDS), units, sequences, units).diagonal(dim1=1, dim2=3).copy_(each)
        return copies

    taps = [tap if at == layer else None for at in range(len(found))]
    groups = few.outputs(hidden(few, taps, len(KINDS) * units)).chunk(len(KINDS) * units, dim=1)
    losses = [loss(few, outputs) for outputs in groups]
    return np.array(losses).reshape(len(KINDS), units) - loss(few, few.outputs(hidden(few)))


def loss(subject: Subject, outputs: Tensor) -> float:
    """The loss of outputs (T, B, O)."""
    return subject.task.scores(outputs, subject.batch).means()["loss"]


def cost(subject: Subject, untouched: Scores, touched: Scores) -> float:
    """What is lost of the main metric, in its unit: above 0 where the touched net is worse."""
    metric = subject.task.metric
    worse = 1 if subject.task.direction == "min" else -1
    return worse * (touched[metric] - untouched[metric])
