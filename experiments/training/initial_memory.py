"""How much of its cell state an untrained network keeps over a sequence: dc_T / dc_0, through every step and gate."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.tasks.base import Batch
from experiments.training.network import Network, stacked_inputs
from lstm_variants.cell import state_type

LARGEST = 2**26  # bytes that a backward pass may keep
KEPT = 24  # numbers that it keeps per unit and step, about


def retained(network: Network, batch: Batch) -> Tensor:
    """|dc_T / dc_0| of each unit to itself, shape (B, H), in float64; T is each sequence's own length.

    network: a stack of one model; its first layer is looked at, from a state of zeros. batch: B sequences.
    """
    network = exact(network)
    units = network.layer.hidden_size
    x, lengths = stacked_inputs([batch], network.layer.input_size, network.readout_bias)
    # A copy of each sequence per unit: one backward pass for as many of them as fit in memory.
    sequence, unit = torch.cartesian_prod(torch.arange(x.shape[2]), torch.arange(units)).to(x.device).unbind(1)
    at_once = max(1, LARGEST // (x.element_size() * x.shape[1] * (x.shape[3] + KEPT * units)))
    parts = []
    for first in range(0, len(unit), at_once):
        s, u = sequence[first : first + at_once], unit[first : first + at_once]
        parts.append(slopes(network, x[:, :, s], None if lengths is None else lengths[:, s], u))
    return torch.cat(parts).reshape(-1, units).abs()


def slopes(network: Network, x: Tensor, lengths: Tensor | None, unit: Tensor) -> Tensor:
    """dc_T / dc_0 of unit[n] in sequence n, shape (N,). x: (1, T, N, I). lengths: (1, N). unit: (N,)."""
    with torch.enable_grad():
        zeros = {name: torch.zeros_like(value) for name, value in network.layer(x[:, :1])[1]._asdict().items()}
        start = state_type(tuple(zeros)[2:])(**zeros)
        start.c.requires_grad_()
        row = torch.arange(len(unit), device=unit.device)
        end = network.layer(x, start, lengths)[1].c[0, 0, row, unit]
        (slope,) = torch.autograd.grad(end.sum(), start.c)
    return slope[0, 0, row, unit]


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
