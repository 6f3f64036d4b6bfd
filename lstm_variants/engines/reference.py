"""The reference engine: plain autograd, one model after another, one step after another. The oracle of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lstm_variants.cell import Cell, State, Tap, Weights, no_tap, state_type


def run(
    cell: Cell,
    weights: Weights,
    x: Tensor,
    state: State,
    lengths: Tensor | None = None,
    noise: Mapping[str, Tensor] | None = None,
    tap: Tap = no_tap,
) -> tuple[Tensor, State]:
    """One layer over a whole sequence, for M models side by side.

    Args:
        cell: the cell.
        weights: its parameters, each with a leading model axis.
        x: (M, T, B, I).
        state: fields (M, B, H).
        lengths: (M, B) steps of each sequence; past its end a sequence holds its state. None: all are T long.
        noise: by slot (M, T, B, H), added to the pre-activation.
        tap: sees every gate value, step after step, model after model, and returns the one to use; it is shown the
            ``cell`` and the ``hidden`` value as well.

    Returns:
        y (M, T, B, H) and the state after the last step, fields (M, B, H).
    """
    outputs, states = [], []
    for m in range(x.shape[0]):
        own_state = type(state)(*(field[m] for field in state))
        own_lengths = None if lengths is None else lengths[m]
        steps = x.shape[1] if own_lengths is None else max(1, int(own_lengths.max()))  # bits know no others' padding
        own_noise = {slot: value[m, :steps] for slot, value in (noise or {}).items()}
        y, last = _run_one(cell, _model(weights, m), x[m, :steps], own_state, own_lengths, own_noise, tap)
        outputs.append(torch.cat([y, y[-1:].expand(x.shape[1] - steps, -1, -1)]))
        states.append(last)
    return torch.stack(outputs), type(state)(*(torch.stack(field) for field in zip(*states, strict=True)))


def _model(tree: Mapping[str, Any], m: int) -> dict[str, Any]:
    return {name: _model(value, m) if isinstance(value, Mapping) else value[m] for name, value in tree.items()}


def _run_one(
    cell: Cell,
    weights: Weights,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    noise: Mapping[str, Tensor],
    tap: Tap,
) -> tuple[Tensor, State]:
    inputs = dict(cell.project(weights, x))
    for slot, value in noise.items():
        inputs[slot] = inputs[slot] + value if slot in inputs else value
    unbound = {name: value.unbind(0) for name, value in inputs.items()}
    y = []
    for t in range(x.shape[0]):
        new = cell.step(weights, {name: value[t] for name, value in unbound.items()}, state, tap)
        state = new if lengths is None else _hold(lengths > t, new, state)
        tap("cell", state.c)
        tap("hidden", state.h)
        y.append(state.h)
    return torch.stack(y), state


def _hold(running: Tensor, new: State, old: State) -> State:
    keep = running.unsqueeze(-1)
    return state_type(new._fields[2:])(*(torch.where(keep, n, o) for n, o in zip(new, old, strict=True)))
