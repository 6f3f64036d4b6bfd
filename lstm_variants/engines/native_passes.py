"""One layer over a whole sequence in the native library, forwards and backwards, by the addresses of its tensors."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from lstm_variants.cell import Weights
from lstm_variants.engines.native_library import library
from lstm_variants.engines.native_structures import PARTS, Call, described
from lstm_variants.gate import SLOTS
from lstm_variants.spec import CellSpec


class Planes:
    """Memory that goes back to the spare buffers with its owner; fresh memory costs as much as the arithmetic."""

    spare: list[Tensor] = []  # noqa: RUF012 (shared on purpose)
    most_spare = 8

    def __init__(self, floats: int) -> None:
        fitting = [b for b in self.spare if floats <= b.numel() <= 2 * floats + 4096]
        if fitting:
            self.buffer = min(fitting, key=torch.Tensor.numel)
            Planes.spare = [b for b in self.spare if b is not self.buffer]
        else:
            Planes.spare = self.spare[1:]  # sizes have changed: let the oldest go
            self.buffer = torch.empty(floats)

    def __del__(self) -> None:
        if len(Planes.spare) < self.most_spare:
            Planes.spare.append(self.buffer)


class Plan:
    """A spec in the library's terms: its structure and the order in which its weights are passed."""

    def __init__(self, spec: CellSpec) -> None:
        self.cell = described(spec)
        self.fields = ("h", "c", *spec.seen_gates)
        self.state_at = (0, 1, *(2 + n for n in range(len(spec.seen_gates))))
        self.blocks = tuple(1 if spec[slot].block == "all" else int(spec[slot].block) for slot in SLOTS)

    def per_unit(self, places: Sequence[tuple[int, int]], weights: Sequence[Tensor]) -> list[Tensor]:
        """The weights with a row for every unit of a block: the library knows a gate per unit and one for all."""
        blocks = [self.blocks[slot] for slot, _ in places]
        return [w if n == 1 else w.repeat_interleave(n, dim=1) for n, w in zip(blocks, weights, strict=True)]

    def per_block(self, places: Sequence[tuple[int, int]], gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients on such weights as those on the weights of the blocks."""
        blocks = [self.blocks[slot] for slot, _ in places]
        return [g if g is None or n == 1 else block_sums(g, n) for n, g in zip(blocks, gradients, strict=True)]


def block_sums(gradient: Tensor, block: int) -> Tensor:
    """The sums over the rows of each block, (M, rows, ...), in one order whatever M."""
    models, rows, *rest = gradient.shape
    return functools.reduce(torch.add, gradient.reshape(models, rows // block, block, *rest).unbind(2))


@functools.cache
def plan_of(spec: CellSpec) -> Plan:
    return Plan(spec)


def placed_weights(weights: Weights) -> Iterator[tuple[int, int, Tensor]]:
    """Slot, part and tensor of every weight."""
    for slot, parts in weights.items():
        number = SLOTS.index(slot)
        for part, value in parts.items():
            if isinstance(value, Mapping):
                yield from ((number, PARTS.index(source), matrix) for source, matrix in value.items())
            else:
                yield number, PARTS.index(part), value


def contiguous_rows(x: Tensor) -> Tensor:
    """The same values with the last axis contiguous; the other strides may be any."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def call_of(
    plan: Plan,
    places: Sequence[tuple[int, int]],
    lengths: Tensor | None,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    y: Tensor,
) -> Call:
    call = Call(cell=plan.cell)
    fill(call, lengths, x, state, y)
    for (slot, part), weight in zip(places, weights, strict=True):
        call.weights[slot][part] = weight.data_ptr()
    return call


def fill(call: Call, lengths: Tensor | None, x: Tensor, state: Sequence[Tensor], y: Tensor) -> None:
    """Sizes and addresses of one sequence."""
    call.models, call.steps, call.batch, call.inputs = x.shape
    call.hidden = y.shape[-1]
    call.threads = torch.get_num_threads()
    call.x_model, call.x_step, call.x_row, _ = x.stride()
    call.x, call.y = x.data_ptr(), y.data_ptr()
    call.lengths = None if lengths is None else lengths.data_ptr()
    for n, field in enumerate(state):
        call.state[n] = field.data_ptr()


def fill_outside(call: Call, dy: Tensor | None, dx: Tensor | None, planes: Planes) -> None:
    """What a backward pass has besides."""
    call.keep, call.planes = 1, planes.buffer.data_ptr()
    if dy is not None:
        call.dy = dy.data_ptr()
        call.dy_model, call.dy_step, call.dy_row, _ = dy.stride()
    call.dx = None if dx is None else dx.data_ptr()


def forward(call: Call, state: Sequence[Tensor], keep: bool) -> tuple[list[Tensor], Planes | None]:
    """Fill y; the state after the last step and the planes."""
    last = [torch.empty_like(field) for field in state]
    for n, field in enumerate(last):
        call.last[n] = field.data_ptr()
    call.keep = keep
    planes = None
    if keep:
        planes = Planes(library().planes_needed(ctypes.byref(call)))
        call.planes = planes.buffer.data_ptr()
    library().forward(ctypes.byref(call))
    return last, planes


class Pass:
    """One layer's forward pass with all that its backward pass needs.

    Attributes:
        y: (M, T, B, H).
        last: the state after the last step, fields (M, B, H).
    """

    def __init__(
        self, plan: Plan, places: Sequence[tuple[int, int]], lengths: Tensor | None, x: Tensor, rest: Sequence[Tensor]
    ) -> None:
        self.plan, self.places, self.lengths = plan, places, lengths
        self.x, self.rest = contiguous_rows(x), [tensor.contiguous() for tensor in rest]
        state, weights = self.rest[: len(plan.fields)], plan.per_unit(places, self.rest[len(plan.fields) :])
        self.y = x.new_empty(*x.shape[:-1], state[0].shape[-1])
        call = call_of(plan, places, lengths, self.x, state, weights, self.y)
        self.last, self.planes = forward(call, state, keep=True)

    def backward(
        self, dy: Tensor | None, dlast: Sequence[Tensor | None], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """The gradients of x, the state's fields and the weights, as far as they are needed."""
        assert self.planes is not None
        fields = len(self.plan.fields)
        state, weights = self.rest[:fields], self.plan.per_unit(self.places, self.rest[fields:])
        call = call_of(self.plan, self.places, self.lengths, self.x, state, weights, self.y)
        outside = [None if d is None else d.contiguous() for d in dlast]
        for n, field in enumerate(outside):
            call.dlast[n] = None if field is None else field.data_ptr()
        dx = torch.empty(self.x.shape) if needed[0] else None
        dy = None if dy is None else contiguous_rows(dy)
        fill_outside(call, dy, dx, self.planes)
        known = zip([*state, *weights], needed[1:], strict=True)
        gradients = [torch.empty_like(tensor) if need else None for tensor, need in known]
        for n, gradient in enumerate(gradients):
            if gradient is None:
                continue
            if n < fields:
                call.dstate[n] = gradient.data_ptr()
            else:
                slot, part = self.places[n - fields]
                call.dweights[slot][part] = gradient.data_ptr()
        library().backward(ctypes.byref(call))
        return [dx, *gradients[:fields], *self.plan.per_block(self.places, gradients[fields:])]
