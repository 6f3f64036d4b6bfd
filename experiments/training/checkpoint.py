"""All that going on from a training step needs, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from experiments.training.network import Network
from experiments.training.optimiser import Optimiser
from lstm_variants import State
from lstm_variants.cell import state_type

Checkpoint = Mapping[str, Any]


def taken(
    network: Network,
    optimiser: Optimiser,
    state: State | None,
    position: int,
    progress: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The checkpoint of the model at a position of the stack; the optimiser counts the steps.

    Args:
        state: the carried state of all models, None where none is carried.
        progress: how the model stands.
        seconds: trained so far.
    """
    carried = None if state is None else {name: value[position] for name, value in state._asdict().items()}
    return {
        "step": optimiser.done,
        "seconds": seconds,
        "network": network.model(position),
        "moments": [[moment[position].clone() for moment in slot] for slot in optimiser.moments],
        "carried": carried,
        "progress": progress,
    }


@torch.no_grad()
def restore(checkpoints: Sequence[Checkpoint], network: Network, optimiser: Optimiser) -> State | None:
    """Put the models, one checkpoint each, back where they were; gives the carried state."""
    first = checkpoints[0]
    optimiser.done = first["step"]
    network.load_state_dict({name: torch.stack([c["network"][name] for c in checkpoints]) for name in first["network"]})
    for k, slot in enumerate(optimiser.moments):
        for n, moment in enumerate(slot):
            moment.copy_(torch.stack([c["moments"][k][n] for c in checkpoints]))
    if first["carried"] is None:
        return None
    fields = {name: torch.stack([c["carried"][name] for c in checkpoints]) for name in first["carried"]}
    on_device = {name: value.to(network.readout_bias.device) for name, value in fields.items()}
    return state_type(tuple(fields)[2:])(**on_device)
