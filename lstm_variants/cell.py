"""The step equation, once, driven by a :class:`~lstm_variants.spec.CellSpec`.

Symbols follow Greff et al. 2017: gates i, f, o, candidate z, cell c, output h; W reads the input x, U the previous
output h[t-1], p is a peephole, b a bias. Shapes: T steps, B sequences, I inputs, H hidden units.
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.equations import LAYER_NORM_EPSILON, Equation, gated_equations
from lstm_variants.gate import SLOTS
from lstm_variants.spec import CellSpec

Shapes = dict[str, dict[str, Any]]
Weights = Mapping[str, Mapping[str, Any]]
Tap = Callable[[str, Tensor], Tensor]


class State(NamedTuple):
    """What a cell carries from step to step: output h and cell c, each (B, H). Some cells append fields."""

    h: Tensor
    c: Tensor


@functools.cache
def state_type(extra: tuple[str, ...]) -> type[State]:
    """The state of a cell that carries ``extra`` fields after h and c."""
    return cast(type[State], namedtuple("State", ("h", "c", *extra))) if extra else State


def phi(activation: str) -> Callable[[Tensor], Tensor]:
    """A squashing by its name."""
    return ACTIVATIONS[activation].phi


def layer_normed(a: Tensor, gain: Tensor, shift: Tensor | None) -> Tensor:
    """gain * (a - mean) / sqrt(variance + LAYER_NORM_EPSILON) + shift, over the last axis (Ba, Kiros & Hinton 2016)."""
    return F.layer_norm(a, a.shape[-1:], gain, shift, LAYER_NORM_EPSILON)


def product(w: Mapping[str, Any], part: str, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x or U h and a bias; layer-normalised before the bias where the part has a gain."""
    if (gain := w.get(f"gain_{part}")) is None:
        return F.linear(value, w[part], bias)
    return layer_normed(F.linear(value, w[part]), gain, bias)


def no_tap(slot: str, value: Tensor) -> Tensor:
    """Leave the gate value as it is."""
    return value


class Cell:
    """A recurrent cell: which parameters it has and one step of its equation.

    A cell of one's own derives from this class and gives ``shapes``, ``step`` and ``equations``; its state may append
    fields to h and c.
    """

    reads: Mapping[str, tuple[object, ...]] = {}
    """The knobs a cell of one's own reads beside ``cell``, each with the values it takes (none: all legal ones). A spec
    that changes another knob is refused."""

    slots: tuple[str, ...]
    """The gates that ``step`` shows to its tap; of a cell of one's own they are found out when it is made."""

    def __init__(self, spec: CellSpec) -> None:
        self.spec = spec

    @property
    def state_fields(self) -> tuple[str, ...]:
        """Fields the state has after h and c."""
        return ()

    @property
    def keep(self) -> tuple[str, float] | None:
        """The learned gate that decides what is kept and its sign, see :attr:`CellSpec.keep`."""
        return self.spec.keep

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        """Shapes of the parameters by slot and part: x (H, I), h (H, H), b (H,), c (H,), ..."""
        raise NotImplementedError

    def frozen(self, slot: str, part: str) -> bool:
        """Whether a part is a buffer that stays at its initial value, not a parameter."""
        return False

    def initial_state(self, zeros: Tensor) -> State:
        """The state before the first step, from zeros of shape (B, H)."""
        kind = state_type(self.state_fields)
        return kind(*[zeros] * len(kind._fields))

    def completed_state(self, h: Tensor, c: Tensor) -> State:
        """The state that starts from a pair (h, c), as nn.LSTM has it."""
        return state_type(self.state_fields)(h, c, *self.initial_state(torch.zeros_like(h))[2:])

    def project(self, weights: Weights, x: Tensor) -> Mapping[str, Tensor]:
        """What can be computed from x (T, B, I) for all steps at once; ``step`` gets one step of it."""
        return {"x": x}

    def step(self, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> State:
        """One step. ``tap(slot, value)`` sees every gate value and returns the one to use."""
        raise NotImplementedError

    def equations(self) -> list[Equation]:
        """The cell's equations, in the order of computation."""
        raise NotImplementedError

    def parameter_count(self, input_size: int, hidden_size: int) -> int:
        """The number of learned parameters of one layer."""
        return sum(
            torch.Size(shape).numel()
            for slot, parts in self.shapes(input_size, hidden_size).items()
            for part, entry in parts.items()
            for shape in (entry.values() if isinstance(entry, dict) else (entry,))
            if not self.frozen(slot, part)
        )


class GatedCell(Cell):
    """The LSTM and everything that is a diff of it.

    ::

        a_k  = W_k x[t] + U_k h[t-1] + p_k * c + b_k        only the terms that the gate's feeds name
        c[t] = f * c[t-1] + i * z
        h[t] = o * squash(c[t])

    Input, forget and reset gate see c[t-1] through their peepholes, the output gate sees c[t]. With ``layer_norm`` W x,
    U h[t-1] and, inside the squash, c[t] are layer-normalised, each with a gain; the one bias of a gate stays its bias.
    Source: Hochreiter & Schmidhuber 1997, Gers et al. 2000, Greff et al. 2017; the GRU is Cho et al. 2014.
    """

    def __init__(self, spec: CellSpec) -> None:
        super().__init__(spec)
        self.slots = tuple(slot for slot in SLOTS if spec[slot].kind != "absent")

    def step(self, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> State:
        gates = _Gates(self.spec, weights, inputs, state, tap)
        i, f = gates.input_and_forget()
        r = gates.reset(i, f)
        z = gates.candidate(r)
        c = f * state.c + i * z
        o = gates.output(c)
        normed = layer_normed(c, **weights["cell"]) if self.spec.normalises_cell else c
        h = o * phi(self.spec.squash)(normed)
        seen = {"input": i, "forget": f, "output": o}
        return state_type(self.state_fields)(h, c, *(seen[slot] for slot in self.state_fields))

    @property
    def state_fields(self) -> tuple[str, ...]:
        return self.spec.seen_gates

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        shapes: Shapes = {slot: self._slot_shapes(slot, input_size, hidden_size) for slot in self.spec.learned}
        if self.spec.normalises_cell:
            shapes["cell"] = {"gain": (hidden_size,), "shift": (hidden_size,)}
        return shapes

    def _slot_shapes(self, slot: str, input_size: int, hidden_size: int) -> dict[str, Any]:
        gate = self.spec[slot]
        rows = gate.rows(hidden_size)
        shapes: dict[str, Any] = {"x": (rows, input_size), "h": (rows, hidden_size), "b": (rows,)}
        shapes = {part: shape for part, shape in shapes.items() if gate.fed_by(part)}
        if gate.peephole:
            shapes["c"] = (hidden_size,)
        if slot == "candidate" and self.spec.reset_after and "b" in shapes:
            shapes["bh"] = (hidden_size,)
        if gate.gates:
            shapes["gates"] = dict.fromkeys(self.spec.seen_gates, (hidden_size, hidden_size))
        if self.spec.layer_norm:
            shapes |= {f"gain_{part}": (rows,) for part in ("x", "h") if part in shapes}
        return shapes

    def frozen(self, slot: str, part: str) -> bool:
        return part in ("b", "bh") and self.spec[slot].bias == "frozen"

    def project(self, weights: Weights, x: Tensor) -> Mapping[str, Tensor]:
        projected = {}
        for slot, w in weights.items():
            if "x" in w:
                projected[slot] = product(w, "x", x, w.get("b"))
            elif "b" in w:
                projected[slot] = w["b"].expand(*x.shape[:-1], -1)
        return projected

    def equations(self) -> list[Equation]:
        return gated_equations(self.spec)


class _Gates:
    """The gates of one step: what the knobs of a spec make of the input, the state before it and the weights."""

    def __init__(self, spec: CellSpec, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> None:
        self.spec, self.weights, self.inputs, self.state, self.tap = spec, weights, inputs, state, tap

    def preactivation(self, slot: str, c: Tensor) -> Tensor:
        """a = W x + b + U h[t-1] + p * c + R gates[t-1], the terms that there are."""
        w = self.weights[slot]
        terms = [self.inputs[slot]] if slot in self.inputs else []  # W x + b, of all steps at once
        if "h" in w:
            terms.append(product(w, "h", self.state.h))
        if "c" in w:
            terms.append(w["c"] * c)
        terms += [F.linear(getattr(self.state, source), R) for source, R in w.get("gates", {}).items()]
        return self._per_unit(slot, functools.reduce(torch.add, terms))

    def _per_unit(self, slot: str, a: Tensor) -> Tensor:
        """The values of a gate's blocks for their units; one for all units is left to broadcasting."""
        block = self.spec[slot].block
        return a if block in (1, "all") else a.unsqueeze(-1).expand(*a.shape, int(block)).flatten(-2)

    def learned(self, slot: str, c: Tensor) -> Tensor:
        """phi(a)."""
        return phi(self.spec[slot].activation)(self.preactivation(slot, c))

    def input_and_forget(self) -> tuple[Tensor, Tensor]:
        """i and f: each by itself, one as 1 minus the other, or both divided by their sum."""
        if self.spec.normalise:
            return self._normalised()
        if self.spec.input.kind == "complement":
            f = self._gate("forget")
            return self._complement("input", "forget", f), f
        i = self._gate("input")
        if self.spec.forget.kind == "complement":
            return i, self._complement("forget", "input", i)
        return i, self._gate("forget")

    def _gate(self, slot: str) -> Tensor:
        """A gate by itself: constant, or learned and, of the forget gate, refined."""
        c = self.state.c
        if self.spec[slot].kind == "constant":
            return self.tap(slot, c.new_tensor(self.spec[slot].value))
        value = self.learned(slot, c)
        if slot == "forget" and self.spec.refine.learned:
            v = self.tap("refine", self.learned("refine", c))
            value = 2 * v * value + (1 - 2 * v) * value**2
        return self.tap(slot, value)

    def _complement(self, slot: str, partner: str, value: Tensor) -> Tensor:
        """1 minus the partner; with an offset 1 - phi(a - offset), a the partner's."""
        if offset := self.spec[slot].offset:
            value = phi(self.spec[partner].activation)(self.preactivation(partner, self.state.c) - offset)
        return self.tap(slot, 1 - value)

    def _normalised(self) -> tuple[Tensor, Tensor]:
        """f / (f + i) = sigmoid(log f - log i), without dividing small by small."""
        c = self.state.c
        log_ratio = F.logsigmoid(self.preactivation("forget", c)) - F.logsigmoid(self.preactivation("input", c))
        f = self.tap("forget", torch.sigmoid(log_ratio))
        return self.tap("input", torch.sigmoid(-log_ratio)), f

    def reset(self, i: Tensor, f: Tensor) -> Tensor | None:
        """r: a gate of its own, or equal to i or f; None without one."""
        reset = self.spec.reset
        if reset.kind == "absent":
            return None
        r = {"input": i, "forget": f}[reset.of] if reset.of else self.learned("reset", self.state.c)
        return self.tap("reset", r)

    def candidate(self, r: Tensor | None) -> Tensor:
        """z = phi(W x + b + U h[t-1]); with a reset gate r * (U h[t-1] + b_h) or U (r * h[t-1])."""
        w, h = self.weights["candidate"], self.state.h
        terms = [self.inputs["candidate"]] if "candidate" in self.inputs else []
        if "h" in w:
            if r is None:
                terms.append(product(w, "h", h))
            elif self.spec.reset_after:
                terms.append(r * product(w, "h", h, w.get("bh")))
            else:
                terms.append(product(w, "h", r * h))
        return self.tap("candidate", phi(self.spec.candidate.activation)(functools.reduce(torch.add, terms)))

    def output(self, c: Tensor) -> Tensor:
        """o, which sees the new cell c through its peephole."""
        output = self.spec.output
        return self.tap("output", self.learned("output", c) if output.learned else c.new_tensor(output.value))
