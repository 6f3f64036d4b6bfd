"""The network of a stack: read-in -> recurrent layers -> read-out, for M models side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.tasks.base import Array, Batch
from experiments.training.data import side_by_side
from lstm_variants import CellSpec, GatedRNN, Init, State
from lstm_variants.engines import native_training


class Network(nn.Module):
    """Inputs (M, T, B, I) -> hidden states (M, T, B, H); the read-out W h + b maps them to the task's O outputs.

    The read-in is the layer's own: symbols enter one-hot. Read-out weights start at U(-1/sqrt(H), 1/sqrt(H)), its bias
    at 0.
    """

    def __init__(
        self, spec: CellSpec, input_size: int, hidden_size: int, output_size: int, layers: int, models: int, engine: str
    ) -> None:
        super().__init__()
        self.layer = GatedRNN(spec, input_size, hidden_size, layers, models=models, engine=engine)
        self.readout_weight = nn.Parameter(torch.zeros(models, output_size, hidden_size))
        self.readout_bias = nn.Parameter(torch.zeros(models, output_size))

    @torch.no_grad()
    def reset_parameters(
        self, inits: Sequence[Init], layer: Sequence[np.random.Generator], readout: Sequence[np.random.Generator]
    ) -> None:
        """Draw model m's parameters from its own generators; the read-out is the same for every variant of a seed."""
        self.layer.reset_parameters(inits, layer)
        bound = 1 / math.sqrt(self.layer.hidden_size)
        for m, generator in enumerate(readout):
            values = generator.uniform(-bound, bound, self.readout_weight.shape[1:])
            self.readout_weight[m].copy_(torch.from_numpy(values))

    def forward(self, batches: Sequence[Batch], state: State | None) -> tuple[tuple[Tensor, ...], State]:
        """Each model's hidden states (T, B, H), T the longest of the batches, and the final state."""
        x, lengths = stacked_inputs(batches, self.layer.input_size, self.readout_bias)
        hidden, last = self.layer(x, state, lengths)
        return hidden.unbind(0), last

    def outputs(self, hidden: Sequence[Tensor], model: int, steps: Array | slice = slice(None)) -> Tensor:
        """The read-out (T', B, O) of one model at some steps."""
        chosen = steps if isinstance(steps, slice) else torch.from_numpy(steps)
        return F.linear(hidden[model][chosen], self.readout_weight[model], self.readout_bias[model])

    @property
    def by_hand(self) -> bool:
        """Whether the native engine gives the gradients, so that nothing has to go through autograd."""
        return self.layer.engine == "native" and self.layer.noise is None

    def all_outputs(self, hidden: Sequence[Tensor]) -> Tensor:
        """The read-out (M, T, B, O) of every model at every step; each model's bits are those it has alone."""
        if self.by_hand:
            return native_training.outputs(torch.stack(list(hidden)), self.readout_weight, self.readout_bias)
        return torch.stack([self.outputs(hidden, model) for model in range(len(hidden))])

    def subset(self, models: Sequence[int]) -> Network:
        """A copy of some models of the stack."""
        layer = self.layer
        sizes = (layer.input_size, layer.hidden_size, self.readout_bias.shape[1], layer.num_layers)
        subset = Network(layer.spec, *sizes, models=len(models), engine=layer.engine).to(self.readout_bias)
        subset.load_state_dict({name: value[list(models)] for name, value in self.state_dict().items()})
        return subset

    def model(self, model: int) -> dict[str, Tensor]:
        """One model's parameters and buffers, without the model axis."""
        return {name: value[model].detach().cpu().clone() for name, value in self.state_dict().items()}


def stacked_inputs(batches: Sequence[Batch], input_size: int, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """M batches as one tensor (M, T, B, I), padded at the end, and the lengths (M, B); None where nothing is padded."""
    inputs = side_by_side([batch.inputs for batch in batches])
    steps, size = inputs.shape[1:3]
    if all(batch.lengths is None and len(batch.inputs) == steps for batch in batches):
        return entered(inputs, None, input_size, like)
    lengths = [np.full(size, len(b.inputs)) if b.lengths is None else b.lengths for b in batches]
    return entered(inputs, np.stack(lengths), input_size, like)


def entered(inputs: Array, lengths: Array | None, input_size: int, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """Symbols (M, T, B), one-hot from here on, or values (M, T, B, I) as (M, T, B, I), and the lengths (M, B)."""
    values = torch.from_numpy(inputs).to(like.device)
    if values.is_floating_point():
        x = values.to(like.dtype)
    else:
        x = like.new_zeros(*values.shape, input_size).scatter_(-1, values.unsqueeze(-1).long(), 1)
    return x, None if lengths is None else torch.from_numpy(lengths).to(like.device)


def counted_steps(batch: Batch) -> Array:
    """The steps at which any sequence counts, so that the read-out is not computed elsewhere."""
    return np.flatnonzero(batch.counts.any(1))
