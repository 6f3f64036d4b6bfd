"""The structures of ``native.cpp`` as Python fills them in, and a spec in their terms."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.gate import SLOTS
from lstm_variants.spec import CellSpec

# The orders of native.cpp and native_vectors.h.
KINDS = ("absent", "learned", "constant", "complement", "same")
PARTS = ("x", "h", "b", "c", "bh", "input", "forget", "output")  # the last three: the matrices of previous gates
SEEN = ("input", "forget", "output")


class _Gate(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in ("kind", "of", "x", "h", "b", "peephole", "gates", "activation", "shared")
        ),
        ("value", ctypes.c_float),
        ("offset", ctypes.c_float),
    ]


class _Cell(ctypes.Structure):
    _fields_ = [
        ("gate", _Gate * len(SLOTS)),
        *((name, ctypes.c_int32) for name in ("squash", "normalise", "reset_before", "hidden_is_cell")),
        ("seen", ctypes.c_int32 * len(SEEN)),
    ]


_States = ctypes.c_void_p * (2 + len(SEEN))
_Weights = (ctypes.c_void_p * len(PARTS)) * len(SLOTS)
_SIZES = ("models", "steps", "batch", "inputs", "hidden", "threads", "keep")
_STRIDES = ("x_model", "x_step", "x_row", "dy_model", "dy_step", "dy_row")


class Call(ctypes.Structure):
    _fields_ = [
        ("cell", _Cell),
        *((name, ctypes.c_int64) for name in _SIZES + _STRIDES),
        ("x", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("state", _States),
        ("weights", _Weights),
        ("y", ctypes.c_void_p),
        ("last", _States),
        ("planes", ctypes.c_void_p),
        ("dy", ctypes.c_void_p),
        ("dlast", _States),
        ("dx", ctypes.c_void_p),
        ("dstate", _States),
        ("dweights", _Weights),
    ]


@functools.cache
def _numbers() -> dict[str, int]:
    """The numbers of native_vectors.h for the squashings."""
    header = Path(__file__).with_name("native_vectors.h").read_text(encoding="utf-8")
    listed = header.partition("enum Activation {")[2].partition("}")[0]
    return {name.strip(): number for number, name in enumerate(listed.split(","))}


def _activation(name: str) -> int:
    return _numbers()[ACTIVATIONS[name].native]


def described(spec: CellSpec) -> _Cell:
    cell = _Cell(
        squash=_activation(spec.squash),
        normalise=spec.normalise,
        reset_before=spec.reset.kind != "absent" and not spec.reset_after,
        hidden_is_cell=spec.hidden_is_cell,
    )
    for number, slot in enumerate(SLOTS):
        gate = spec[slot]
        cell.gate[number] = _Gate(
            kind=KINDS.index(gate.kind),
            of=SLOTS.index(gate.of) if gate.of else -1,
            peephole=gate.peephole,
            gates=gate.gates,
            activation=_activation(gate.activation),
            shared=gate.block == "all",
            value=gate.value or 0.0,
            offset=gate.offset,
            **{source: gate.fed_by(source) for source in "xhb"},
        )
    for number, slot in enumerate(SEEN):
        cell.seen[number] = slot in spec.seen_gates
    return cell
