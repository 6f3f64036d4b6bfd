"""Whether a cell of one's own is what the layer, its trace and its clamp need, found out on a few small steps.

A gate that does not pass through ``tap`` would train like any other, while a trace lacked it and a clamp of it did
nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lstm_variants.cell import Cell, State
from lstm_variants.engines import reference
from lstm_variants.equations import Equation
from lstm_variants.extensions.user_modules import reason
from lstm_variants.gate import SLOTS
from lstm_variants.parameters import GateParameters, leaves, make_parameters
from lstm_variants.spec import CellSpec

STEPS, BATCH, INPUTS, UNITS = 3, 2, 3, 5  # odd ones out, so that a wrong shape does not fit by chance
CLAMPED = 0.321
MEMBERS = ("shapes", "step", "equations")


class FaultError(Exception):
    """What is wrong with a cell."""


@functools.cache
def shown(kind: type[Cell], spec: CellSpec) -> tuple[str, ...]:
    """The gates that a cell shows to its tap.

    Raises:
        FaultError: saying in one line what is wrong with the cell.
    """
    missing = [name for name in MEMBERS if getattr(kind, name) is getattr(Cell, name)]
    _require(not missing, f"OwnCell lacks {', '.join(missing)}")
    try:
        cell = kind(spec)
        shapes = cell.shapes(INPUTS, UNITS)
        _check_description(cell, shapes)
        with torch.inference_mode(False), torch.enable_grad():  # whatever the caller has set
            return _checked_gates(cell, _weights(cell, shapes))
    except FaultError:
        raise
    except Exception as error:
        raise FaultError(f"trying three steps of it: {reason(error, Path(inspect.getfile(kind)))}") from error


def _require(holds: object, needed: str) -> None:
    if not holds:
        raise FaultError(needed)


def _check_description(cell: Cell, shapes: Mapping[str, Any]) -> None:
    for path, shape in leaves(shapes):
        sizes = isinstance(shape, tuple) and all(isinstance(size, int) and size > 0 for size in shape)
        _require("." in path and sizes, f'shapes: {path} is {shape}; {{slot: {{"x": (H, I), ...}}}} is needed')
    lines = cell.equations()
    _require(lines and all(isinstance(line, Equation) for line in lines), "equations: a list of Equation is needed")
    keep = cell.keep
    _require(
        keep is None or keep[0] in SLOTS, f"keep: {keep}; one of {', '.join(SLOTS)} and a sign are needed, or None"
    )


def _weights(cell: Cell, shapes: Mapping[str, Any]) -> GateParameters:
    weights = make_parameters(cell, dict(shapes), 1, device="cpu", dtype=torch.float32)
    generator = torch.Generator("cpu").manual_seed(0)
    for tensor in (*weights.parameters(), *weights.buffers()):
        tensor.data.normal_(generator=generator)
    return weights


def _checked_gates(cell: Cell, weights: GateParameters) -> tuple[str, ...]:
    seen: Counter[str] = Counter()

    def look(slot: str, value: Tensor) -> Tensor:
        _require(slot in (*SLOTS, "cell", "hidden"), f"tap({slot!r}, ...): legal are {', '.join(SLOTS)}")
        _require(_is_per_unit(value), f"tap({slot!r}, ...) sees the shape {tuple(value.shape)}, (B, H) is needed")
        seen[slot] += 1
        return value

    plain = _run(cell, weights, look)
    for slot in SLOTS:
        silent = slot in weights.names and not seen[slot]
        _require(
            not silent, f"its {slot} gate does not go through tap({slot!r}, value): no trace or clamp would see it"
        )
    for slot, times in seen.items():
        _require(times == STEPS, f"tap({slot!r}, ...): once a step is needed, and cell and hidden are shown without it")
    gates = tuple(slot for slot in SLOTS if seen[slot])
    for slot in gates:
        same = all(map(torch.equal, plain, _run(cell, weights, functools.partial(_clamp, slot))))
        _require(not same, f"its {slot} gate: what tap({slot!r}, value) returns is not used, a clamp would do nothing")
    _check_gradients(weights, plain)
    return gates


def _is_per_unit(value: Tensor) -> bool:
    """Whether a value can stand for (B, H): it may be one for all sequences or all units."""
    try:
        return value.expand(BATCH, UNITS).shape == (BATCH, UNITS)
    except RuntimeError:
        return False


def _clamp(gate: str, slot: str, value: Tensor) -> Tensor:
    return torch.full_like(value, CLAMPED) if slot == gate else value


def _run(cell: Cell, weights: GateParameters, tap: Any) -> tuple[Tensor, ...]:
    """y (1, T, B, H) and the fields of the last state (1, B, H)."""
    generator = torch.Generator("cpu").manual_seed(1)
    plain: Any = {"generator": generator, "device": "cpu", "dtype": torch.float32}
    x = torch.randn(1, STEPS, BATCH, INPUTS, **plain)
    state = cell.completed_state(*torch.randn(2, 1, BATCH, UNITS, **plain))
    y, last = reference.run(cell, weights.tree(), x, state, None, None, tap)
    wanted = ("h", "c", *cell.state_fields)
    _require(isinstance(last, State) or last._fields == wanted, f"step: a state of {', '.join(wanted)} is needed")
    for name, field in zip(wanted, last, strict=True):
        _require(field.shape == (1, BATCH, UNITS), f"step: {name} has the shape {tuple(field.shape[1:])}, not (B, H)")
    return (y, *last)


def _check_gradients(weights: GateParameters, values: tuple[Tensor, ...]) -> None:
    parameters = dict(weights.named_parameters())
    total = torch.stack([value.sum() for value in values]).sum()
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    unused = [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]
    _require(not unused, f"step does not use the parameter {next(iter(unused), '')}")
