"""Every gate, cell and hidden value of a net, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from experiments.inspection.subject import Subject
from experiments.tasks.base import Array
from lstm_variants import GatedRNN
from lstm_variants.cell import Tap

Trace = dict[str, Array]  # slot, "cell" or "hidden" -> (T, B, H)
NO_GATE = ("candidate", "cell", "hidden")


def traces(subject: Subject, layer: GatedRNN | None = None) -> list[Trace]:
    """The trace of every layer, bottom first; of another layer on the same sequences if one is given."""
    net = layer or subject.layer
    return [
        {slot: value.numpy() for slot, value in net.trace(subject.x, subject.state, layer=at)[2].items()}
        for at in range(net.num_layers)
    ]


def gates(trace: Trace) -> list[str]:
    """The gates in a trace; the candidate is what they let through, and is none."""
    return [slot for slot in trace if slot not in NO_GATE]


def hidden(subject: Subject, taps: Sequence[Tap | None] = (), copies: int = 1) -> Tensor:
    """The hidden states (T, copies * B, H) of the last layer.

    Args:
        taps: what each layer's gate values pass through, bottom first.
        copies: how many times the sequences stand side by side, the first copy of all of them first.
    """
    start = None
    if subject.state is not None:
        start = type(subject.state)(*(field.repeat(1, copies, 1) for field in subject.state))
    with torch.no_grad(), tapped(subject.layer, taps):
        y: Tensor = subject.layer(subject.x.repeat(1, copies, 1), start)[0]
    return y


@contextmanager
def tapped(layer: GatedRNN, taps: Sequence[Tap | None]) -> Iterator[None]:
    """Inside this context the gate values of each layer, bottom first, pass through its tap."""
    with ExitStack() as stack:
        for at, tap in enumerate(taps):
            if tap is not None:
                stack.enter_context(layer.tapped(tap, at))
        yield


def before(trace: Trace, slot: str, start: Array | None) -> Array:
    """A value one step earlier, (T, B, H): what the state began with, then the trace."""
    first = np.zeros_like(trace[slot][:1]) if start is None else np.broadcast_to(start, trace[slot][:1].shape)
    return np.concatenate([first, trace[slot][:-1]])


def started(subject: Subject, layer: int, field: str) -> Array | None:
    """What a field of a layer's state was before the first step, (B, H); None for zeros."""
    if subject.state is None:
        return None
    value: Array = getattr(subject.state, field)[layer].numpy()
    return value


def inputs(subject: Subject, found: Sequence[Trace], layer: int) -> Array:
    """What a layer reads, (T, B, I or H)."""
    value: Array = subject.x.numpy() if layer == 0 else found[layer - 1]["hidden"]
    return value
