"""How much of its cell state an untrained network keeps over a sequence: dc_T / dc_0, through every step and gate."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.model import Network, stacked_inputs
from experiments.tasks.base import Batch
from lstm_variants.cell import state_type


def retained(network: Network, batch: Batch) -> Tensor:
    """|dc_T / dc_0| of each unit to itself, shape (B, H), in float64; T is each sequence's own length.

    network: a stack of one model; its first layer is looked at, from a state of zeros. batch: B sequences.
    """
    with torch.enable_grad():
        network = exact(network)
        units = network.layer.hidden_size
        x, lengths = stacked_inputs([batch], network.layer.input_size, network.readout_bias)
        x = x.repeat(1, 1, units, 1)  # a copy of the batch per unit: one backward pass for all of them
        lengths = None if lengths is None else lengths.repeat(1, units)
        zeros = {name: torch.zeros_like(value) for name, value in network.layer(x[:, :1])[1]._asdict().items()}
        start = state_type(tuple(zeros)[2:])(**zeros)
        start.c.requires_grad_()
        (slopes,) = torch.autograd.grad(own(network.layer(x, start, lengths)[1].c, units).sum(), start.c)
    return own(slopes, units).abs()


def own(cells: Tensor, units: int) -> Tensor:
    """Of cells (1, 1, units * B, units) unit u of the u-th copy of the batch: (B, units)."""
    return cells.reshape(units, -1, units).diagonal(dim1=0, dim2=2)


def exact(network: Network) -> Network:
    """The network in float64, where 2^-1000 is still a number, on the engine that can differentiate it."""
    layer = network.layer
    sizes = (layer.input_size, layer.hidden_size, network.readout_bias.shape[1], layer.num_layers)
    copy = Network(layer.spec, *sizes, models=1, engine="reference").to(network.readout_bias)
    copy.load_state_dict(network.state_dict())
    return copy.double()


def memory(network: Network, batch: Batch) -> dict[str, float]:
    """The median of dc_T / dc_0 over units and sequences, and the quartiles around it."""
    low, median, high = retained(network, batch).flatten().quantile(torch.tensor([0.25, 0.5, 0.75]).double()).tolist()
    return {"memory/median": median, "memory/low": low, "memory/high": high}
