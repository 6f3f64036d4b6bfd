"""The native engine: ``native.cpp``, compiled at first use for this machine's CPU, for every cell of the gate algebra.

float32 on the CPU, with gradients of the first order. The library is a plain shared object with two calls, forward and
backward; ``native_library`` compiles it, ``native_passes`` tells it by pointers where the tensors lie, and this module
makes the two one autograd function.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.cell import Cell, GatedCell, State, Weights, state_type
from lstm_variants.engines.native_passes import Pass, Plan, call_of, contiguous_rows, forward, placed_weights, plan_of


def unfit(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this engine is not made for a cell, or None."""
    if type(cell) is not GatedCell:
        return f"the cell {cell.spec.cell} has a step of its own"
    if cell.spec.noisy:
        return "a squashing adds noise"
    if cell.spec.layer_norm:
        return "native has no layer normalisation"
    used = (cell.spec.squash, *(cell.spec[slot].activation for slot in cell.spec.learned))
    if lacking := sorted(name for name in {*used} if not ACTIVATIONS[name].native):
        return f"native has no activation {', '.join(lacking)}"
    if device.type != "cpu" or dtype != torch.float32:
        unknown = ", not measured on this hardware" if device.type == "cuda" else ""
        return f"{str(dtype).removeprefix('torch.')} on {device.type}{unknown}; native is float32 on the CPU"
    return None


class _Layer(torch.autograd.Function):
    """(x, state, weights) -> (y, last state); the planes serve any number of backward passes."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, places: Sequence[tuple[int, int]], lengths: Tensor | None, x: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        done = Pass(plan, places, lengths, x, rest)
        ctx.save_for_backward(done.x, done.y, *done.rest)  # torch watches over them
        y, last = done.y, done.last
        done.x = done.y = torch.empty(0)
        done.rest, done.last = [], []
        ctx.done = done
        ctx.set_materialize_grads(False)
        return (y, *last)

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("engine=native has first derivatives only; create_graph=True needs engine=reference")
        done = copy.copy(ctx.done)
        done.x, done.y, *done.rest = ctx.saved_tensors
        return None, None, None, *done.backward(dy, dlast, ctx.needs_input_grad[3:])


def _arguments(
    cell: Cell, weights: Weights, lengths: Tensor | None
) -> tuple[Plan, list[tuple[int, int]], list[Tensor], Tensor | None]:
    leaves = list(placed_weights(weights))
    places = [(slot, part) for slot, part, _ in leaves]
    if lengths is not None:
        lengths = lengths.to(torch.int64).contiguous()
    return plan_of(cell.spec), places, [tensor for _, _, tensor in leaves], lengths


def run(cell: Cell, weights: Weights, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """One layer over a whole sequence, for M models side by side; see :func:`lstm_variants.engines.reference.run`.

    Args:
        cell: a cell of the gate algebra.
        weights: its parameters, each with a leading model axis.
        x: (M, T, B, I), any strides.
        state: fields (M, B, H).
        lengths: (M, B) steps of each sequence; past its end a sequence holds its state. None: all are T long.

    Returns:
        y (M, T, B, H) and the state after the last step, fields (M, B, H).
    """
    plan, places, tensors, lengths = _arguments(cell, weights, lengths)
    inputs = (x, *state, *tensors)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        y, *last = _Layer.apply(plan, places, lengths, *inputs)  # type: ignore[no-untyped-call]
    else:
        x, fields = contiguous_rows(x), [field.contiguous() for field in state]
        y = x.new_empty(*x.shape[:-1], state[0].shape[-1])
        held = plan.per_unit(places, [tensor.contiguous() for tensor in tensors])
        last, _ = forward(call_of(plan, places, lengths, x, fields, held, y), fields, keep=False)
    return y, state_type(plan.fields[2:])(*last)
