"""Gradients of a layer taken by hand in the native library, beside autograd: for a loop that trains small nets."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from lstm_variants.cell import Cell, State, Weights
from lstm_variants.engines.native_library import library
from lstm_variants.engines.native_passes import (
    Planes,
    block_sums,
    contiguous_rows,
    fill,
    fill_outside,
    forward,
    placed_weights,
    plan_of,
)
from lstm_variants.engines.native_structures import Call


class _Sequence(NamedTuple):
    """A forward pass taken by hand, with all that its backward pass needs."""

    x: Tensor
    lengths: Tensor | None
    state: list[Tensor]
    y: Tensor
    last: list[Tensor]
    planes: Planes


class _Spread:
    """A weight of blocks of units and its gradient, as the library has them: with a row for every unit."""

    def __init__(self, block: int, weight: Tensor, gradient: Tensor | None) -> None:
        self.block, self.weight, self.gradient = block, weight.detach(), gradient
        self.rows = self.weight if block == 1 else self.weight.repeat_interleave(block, dim=1)
        self.row_gradients = gradient if gradient is None or block == 1 else torch.empty_like(self.rows)

    def spread(self) -> None:
        """Take over what the weight is now."""
        if self.block > 1:
            self.rows.copy_(self.weight.repeat_interleave(self.block, dim=1))

    def gather(self) -> None:
        """Fill the gradient from those of the rows."""
        if self.block > 1 and self.gradient is not None and self.row_gradients is not None:
            self.gradient.copy_(block_sums(self.row_gradients, self.block))


class ByHand:
    """A layer whose gradients are taken by hand, beside autograd; what stays from step to step is prepared once.

    Args:
        cell: a cell of the gate algebra.
        weights: its parameters, contiguous, each with a leading model axis.

    Attributes:
        gradients: of each weight, None where it is frozen; every backward pass overwrites them.
    """

    def __init__(self, cell: Cell, weights: Weights) -> None:
        plan = plan_of(cell.spec)
        self._call = Call(cell=plan.cell)
        self._spread: list[_Spread] = []
        self.weights: list[Tensor] = []
        self.gradients: list[Tensor | None] = []
        for slot, part, weight in placed_weights(weights):
            assert weight.is_contiguous()
            gradient = torch.empty_like(weight) if weight.requires_grad else None
            own = _Spread(plan.blocks[slot], weight, gradient)
            self._call.weights[slot][part] = own.rows.data_ptr()
            self._call.dweights[slot][part] = None if own.row_gradients is None else own.row_gradients.data_ptr()
            self._spread.append(own)
            self.weights.append(weight)
            self.gradients.append(gradient)

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> _Sequence:
        """The forward pass; arguments as in :func:`run`."""
        x, fields = contiguous_rows(x), [field.contiguous() for field in state]
        lengths = None if lengths is None else lengths.to(torch.int64).contiguous()
        y = x.new_empty(*x.shape[:-1], fields[0].shape[-1])
        fill(self._call, lengths, x, fields, y)
        for own in self._spread:
            own.spread()
        last, planes = forward(self._call, fields, keep=True)
        assert planes is not None
        return _Sequence(x, lengths, fields, y, last, planes)

    def backward(self, sequence: _Sequence, dy: Tensor, needs_dx: bool) -> Tensor | None:
        """Fill the gradients for the gradient on y; gives that on x if it is needed."""
        x, dy = sequence.x, contiguous_rows(dy)
        dx = torch.empty(x.shape) if needs_dx else None
        fill(self._call, sequence.lengths, x, sequence.state, sequence.y)
        fill_outside(self._call, dy, dx, sequence.planes)
        library().backward(ctypes.byref(self._call))
        for own in self._spread:
            own.gather()
        return dx
