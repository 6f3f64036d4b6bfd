"""What is looked at: a trained net in float64 on the reference engine, and the evaluation sequences that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.tasks.base import Array, Batch, Task
from experiments.training.network import stacked_inputs
from lstm_variants import GatedRNN, State
from lstm_variants.engines import native_training

LARGEST = 2**62
Readout = tuple[Tensor, Tensor]  # weight (O, H), bias (O,)


class OneModel:
    """A layer without a model axis and its read-out, as the network of one model that an evaluation wants."""

    def __init__(self, layer: GatedRNN, readout: Readout) -> None:
        self.layer, self.weight, self.bias = layer, *readout
        self.readout_bias = self.bias.unsqueeze(0)

    def __call__(self, batches: Sequence[Batch], state: State | None) -> tuple[tuple[Tensor, ...], State]:
        x, lengths = stacked_inputs(batches, self.layer.input_size, self.weight)
        start = None if state is None else [field[0] for field in state]
        hidden, last = self.layer(x[0], start, None if lengths is None else lengths[0])
        return (hidden,), type(last)(*(field.unsqueeze(0) for field in last))

    def outputs(self, hidden: Sequence[Tensor], model: int, steps: Array | slice = slice(None)) -> Tensor:
        """The read-out (T', B, O) at some steps."""
        chosen = steps if isinstance(steps, slice) else torch.from_numpy(steps)
        return F.linear(hidden[model][chosen], self.weight, self.bias)

    def all_outputs(self, hidden: Sequence[Tensor]) -> Tensor:
        """The read-out (1, T, B, O) at every step, computed as in training."""
        if self.layer.engine == "native":
            return native_training.outputs(torch.stack(list(hidden)), self.weight.unsqueeze(0), self.readout_bias)
        return self.outputs(hidden, 0).unsqueeze(0)


@dataclass(frozen=True)
class Subject:
    """A net and what it reads.

    Attributes:
        layer: the trained layer, float64, reference engine.
        readout: weight (O, H) and bias (O,), float64.
        task: its task.
        batch: B sequences; where the state is carried, B streams from the first to the last step.
        events: name -> (T, B), see :meth:`Task.events`.
        state: what the streams begin with, fields (L, B, H); None for the initial state.
        untrained: the same layer as it was before training; None if that is not known.
        seed: the run's, from which a probe draws.
    """

    layer: GatedRNN
    readout: Readout
    task: Task
    batch: Batch
    events: Mapping[str, Array]
    state: State | None = None
    untrained: GatedRNN | None = None
    seed: int = 0

    @property
    def carried(self) -> State | None:
        """The state as an evaluation takes it, fields (1, L, B, H)."""
        return None if self.state is None else type(self.state)(*(field.unsqueeze(0) for field in self.state))

    @property
    def x(self) -> Tensor:
        """The inputs (T, B, I), symbols as one-hot."""
        return stacked_inputs([self.batch], self.layer.input_size, self.readout[0])[0][0]

    @property
    def inside(self) -> Array:
        """(T, B), true where a step is no padding."""
        return self.batch.inside

    def outputs(self, hidden: Tensor) -> Tensor:
        """The read-out (T, B, O) of hidden states (T, B, H)."""
        return F.linear(hidden, *self.readout)

    def first(self, sequences: int) -> Subject:
        """The same net and the first sequences only."""
        state = None if self.state is None else type(self.state)(*(field[:, :sequences] for field in self.state))
        events = {name: steps[:, :sequences] for name, steps in self.events.items()}
        return replace(self, batch=_columns(self.batch, sequences), events=events, state=state)


def _columns(batch: Batch, count: int) -> Batch:
    """The first sequences of a batch."""
    lengths = None if batch.lengths is None else batch.lengths[:count]
    parts = {name: part[:, :count] for name, part in batch._asdict().items() if part is not None and name != "lengths"}
    return batch._replace(lengths=lengths, **parts)


def exact(layer: GatedRNN) -> GatedRNN:
    """A copy of a layer in float64 on the reference engine."""
    same = GatedRNN(layer.spec, layer.input_size, layer.hidden_size, layer.num_layers, engine="reference")
    same.load_state_dict(layer.state_dict())
    return same.double().requires_grad_(False)


def subject(
    layer: GatedRNN,
    readout: Readout,
    task: Task,
    batches: Sequence[Batch],
    sequences: int | None = None,
    carried: State | None = None,
    untrained: GatedRNN | None = None,
    seed: int = 0,
) -> Subject:
    """A net on the first sequences of an evaluation set.

    Args:
        batches: the evaluation set; of a task that carries its state consecutive chunks of its streams.
        sequences: how many sequences or, of streams, chunks at most; None: all.
        carried: the state in which training left the streams, fields (1, L, B, H).
    """
    chosen = _some(batches, sequences, task.carry)
    found = [(task.events(batch), np.zeros_like(batch.inside)) for batch in chosen]
    names = dict.fromkeys(name for events, _ in found for name in events)
    events = {name: _laid([own.get(name, none) for own, none in found], chosen, task) for name in names}
    batch = _one_batch(chosen, task)
    state = None
    if task.carry and carried is not None:
        state = type(carried)(*(field[0, :, : batch.inputs.shape[1]].double() for field in carried))
    weight, bias = (part.detach().double() for part in readout)
    before = None if untrained is None else exact(untrained)
    return Subject(exact(layer), (weight, bias), task, batch, events, state, before, seed)


def _some(batches: Sequence[Batch], sequences: int | None, carry: bool) -> list[Batch]:
    """As many of the batches, and of the last one as many sequences, as make up a number of sequences."""
    chosen: list[Batch] = []
    left = sequences or LARGEST
    for batch in batches:
        columns = batch.inputs.shape[1]
        if left <= 0 or (carry and chosen and left < columns):
            break
        chosen.append(_columns(batch, left))
        left -= columns
    return chosen


def _one_batch(chosen: Sequence[Batch], task: Task) -> Batch:
    """All the batches as one."""
    parts = {
        name: _laid([getattr(batch, name) for batch in chosen], chosen, task)
        for name in ("inputs", "targets", "legal", "events")
        if getattr(chosen[0], name) is not None
    }
    inside = _laid([batch.inside for batch in chosen], chosen, task)
    mask = _laid([batch.counts for batch in chosen], chosen, task)
    return Batch(**parts, mask=mask, lengths=inside.sum(axis=0))


def _laid(arrays: Sequence[Array], chosen: Sequence[Batch], task: Task) -> Array:
    """What the batches have, (T, B, ...) each, as one array: streams end to end, sequences side by side."""
    inside = [batch.inside for batch in chosen]
    widths = [one.shape[1] for one in inside]
    lengths = [one.sum(axis=0) for one in inside]
    longest = np.sum(lengths, axis=0).max() if task.carry else max(one.max() for one in lengths)
    whole = np.zeros((longest, widths[0] if task.carry else sum(widths), *arrays[0].shape[2:]), arrays[0].dtype)
    steps, column = np.zeros(whole.shape[1], dtype=np.int64), 0
    for array, valid, width in zip(arrays, inside, widths, strict=True):
        t, b = np.nonzero(valid)
        whole[t + steps[column + b], column + b] = array[t, b]
        steps[column : column + width] += valid.sum(axis=0)
        column += 0 if task.carry else width
    return whole
