"""Parameters named gate by gate, their initial values, and weights from torch.nn.LSTM and torch.nn.GRU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lstm_variants.activations import ACTIVATIONS, Floats
from lstm_variants.cell import Cell, Shapes
from lstm_variants.gate import SpecError


@dataclass(frozen=True)
class Rule:
    """How b, the bias of the gate that decides what is kept, starts.

    Attributes:
        bias: (init, rows, H, generator) -> b (rows,): one for each value of the gate, which its units may share. None:
            this gate is no exception, every bias and matrix is drawn as the weights are.
        reads: which of the settings ``value`` and ``max_lag`` it reads; with another rule they are refused.
    """

    bias: Callable[[Init, int, int, np.random.Generator], Floats] | None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Init:
    """How the parameters start.

    All weights are uniform on (-1/sqrt(H), 1/sqrt(H)), previous-gate matrices 0, biases 0. The bias of the gate that
    decides what is kept starts at b, so that it keeps sigmoid(b) whatever its squashing; where only the input gate is
    learned (f = 1 - i) its bias starts at -b.

    Attributes:
        rule: ``constant``: b = value. ``chrono``: b = log U[1, max_lag - 1] per unit, and -b for the input gate
            (Tallec & Ollivier 2018: the time constant 1 + e^b is uniform on [2, max_lag]). ``uniform_gate``:
            sigmoid(b) ~ U[1/H, 1 - 1/H] (Gu et al. 2020). ``torch``: all that the cell has is drawn as in torch.nn.LSTM
            and torch.nn.GRU: weights uniform as above, previous-gate matrices too, a bias as the sum of two such draws,
            since torch has two biases a gate; of one draw where the cell itself has two.
        value: b of the constant rule.
        max_lag: the longest lag in steps, of the chrono rule.
        recurrent: ``uniform``, or ``orthogonal`` per gate.
        needs_gate: a spec without a keeping gate with a bias is refused, not skipped.
    """

    rule: str
    value: float
    max_lag: int | None
    recurrent: str
    needs_gate: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Init:
        """Build from ``conf/init/*.yaml``.

        Raises:
            SpecError: naming the key, the value received and what is legal.
        """
        names = [f.name for f in fields(cls)]
        for key in config:
            if key not in names:
                raise SpecError(f"init.{key}: unknown key; legal are {', '.join(names)}")
        init = cls(**config)
        for key, legal in (("rule", RULES), ("recurrent", RECURRENT)):
            if getattr(init, key) not in legal:
                raise SpecError(f"init.{key}={getattr(init, key)}: legal are {', '.join(legal)}")
        if isinstance(init.value, bool) or not isinstance(init.value, int | float) or not math.isfinite(init.value):
            raise SpecError(f"init.value={init.value}: a finite number is needed")
        if not isinstance(init.needs_gate, bool):
            raise SpecError(f"init.needs_gate={init.needs_gate}: legal are true, false")
        if init.max_lag is not None and (not isinstance(init.max_lag, int) or init.max_lag < 2):
            raise SpecError(f"init.max_lag={init.max_lag}: a whole number of steps, 2 or more, is needed")
        return replace(init, value=float(init.value))

    def not_applicable(self, cell: Cell, hidden_size: int) -> str | None:
        """Why this scheme makes no sense with a cell, or None."""
        if self.needs_gate and not _biased_gates(cell, self):
            what = f"value={self.value:g}" if self.rule == "constant" else f"rule={self.rule}"
            return f"init.{what} sets the bias of a forget gate and this variant has none to set"
        if "max_lag" in RULES[self.rule].reads and self.max_lag is None:
            return f"init.rule={self.rule} needs init.max_lag, the longest lag in steps"
        if self.rule == "uniform_gate" and hidden_size < 2:
            return f"init.rule=uniform_gate draws from U[1/H, 1 - 1/H] and needs 2 units, got {hidden_size}"
        for slot, sign in _biased_gates(cell, self).items() if self.rule == "constant" else ():
            activation = cell.spec[slot].activation
            with np.errstate(all="ignore"):
                bias = ACTIVATIONS[activation].start(np.array(sign * self.value))
            if not np.isfinite(bias):
                return f"init.value={self.value}: no finite bias of the {slot} gate, a {activation}, keeps that much"
        return None

    def notes(self, cell: Cell) -> list[str]:
        """What this scheme leaves unset in a cell, for the record."""
        wanted = _wanted_gates(cell, self)
        return [f"init: the {slot} gate has no bias to set" for slot in wanted if slot not in _biased_gates(cell, self)]


DEFAULT_INIT = Init(rule="constant", value=1.0, max_lag=None, recurrent="uniform", needs_gate=False)


def _wanted_gates(cell: Cell, init: Init) -> dict[str, float]:
    """Slots whose bias the scheme sets, with the sign of b."""
    if cell.keep is None or RULES[init.rule].bias is None:
        return {}
    slot, sign = cell.keep
    wanted = {slot: sign}
    if init.rule == "chrono" and slot == "forget" and cell.spec.input.learned:
        wanted["input"] = -1.0
    return wanted


def _biased_gates(cell: Cell, init: Init) -> dict[str, float]:
    shapes = cell.shapes(1, 1)
    return {slot: sign for slot, sign in _wanted_gates(cell, init).items() if "b" in shapes.get(slot, {})}


class GateParameters(nn.Module):
    """The live tensors of one layer as a tree: ``forget.x``, ``forget.h`` ...; frozen ones are buffers."""

    def __init__(self, tree: Mapping[str, Any], frozen: Callable[[str], bool]) -> None:
        super().__init__()
        self.names = tuple(tree)
        for name, value in tree.items():
            if isinstance(value, Mapping):
                self.add_module(name, GateParameters(value, lambda part, n=name: frozen(f"{n}.{part}")))  # type: ignore[misc]
            elif frozen(name):
                self.register_buffer(name, value)
            else:
                self.register_parameter(name, nn.Parameter(value))

    def tree(self) -> dict[str, Any]:
        """The same tensors as nested dictionaries."""
        parts = {name: getattr(self, name) for name in self.names}
        return {name: part.tree() if isinstance(part, GateParameters) else part for name, part in parts.items()}


def make_parameters(cell: Cell, shapes: Shapes, models: int | None, **factory: Any) -> GateParameters:
    """Empty tensors for one layer; with ``models`` they have a leading model axis."""
    lead = () if models is None else (models,)

    def empty(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {name: empty(value) for name, value in tree.items()}
        return torch.empty(*lead, *tree, **factory)

    def frozen(path: str) -> bool:
        slot, _, part = path.partition(".")
        return cell.frozen(slot, part)

    return GateParameters(empty(shapes), frozen)


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dictionaries, by path: ``("forget.x", ...)``."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def initial_values(cell: Cell, shapes: Shapes, hidden_size: int, init: Init, generator: np.random.Generator) -> Any:
    """Initial values of one layer in float64, as ``{"forget.x": array}``, drawn in the order of ``shapes``."""
    bound = 1 / math.sqrt(hidden_size)
    values: dict[str, Floats] = {}
    for path, shape in leaves(shapes):
        slot, part = path.split(".")[:2]
        if part.startswith("gain") or part == "shift":  # of a layer normalisation, which starts as such
            values[path] = np.full(shape, float(part != "shift"))
        elif RULES[init.rule].bias is None and part in ("b", "bh"):
            draws = (
                1 if "bh" in shapes[slot] else 2
            )  # torch adds two biases, which is one here where nothing parts them
            values[path] = sum((generator.uniform(-bound, bound, shape) for _ in range(draws)), np.zeros(shape))
        elif RULES[init.rule].bias is not None and part in ("b", "bh", "gates"):
            values[path] = np.zeros(shape)
        elif part == "h" and init.recurrent != "uniform" and shape[0] == shape[1]:
            values[path] = RECURRENT[init.recurrent](shape[0], generator)
        else:
            values[path] = generator.uniform(-bound, bound, shape)
    for path, value in _initial_biases(cell, shapes, hidden_size, init, generator).items():
        values[path] = value
    return values


def _initial_biases(
    cell: Cell, shapes: Shapes, hidden_size: int, init: Init, generator: np.random.Generator
) -> dict[str, Floats]:
    rule = RULES[init.rule].bias
    if cell.keep is None or rule is None:
        return {}
    keep_slot, _ = cell.keep
    rows = cell.spec[keep_slot].rows(hidden_size)
    b = rule(init, rows, hidden_size, generator)

    def start(slot: str, sign: float) -> Floats:
        value = ACTIVATIONS[cell.spec[slot].activation].start(sign * b)
        return _for_blocks(value, shapes[slot]["b"][0], hidden_size)

    biases = {f"{slot}.b": start(slot, sign) for slot, sign in _biased_gates(cell, init).items()}
    if cell.spec.refine.learned and "b" in shapes["refine"]:  # Gu et al. 2020: the refine gate starts at -b_f
        biases["refine.b"] = start("refine", -1.0)
    return biases


def _for_blocks(values: Floats, rows: int, hidden_size: int) -> Floats:
    """Values of blocks of units as those of other blocks: of each the mean over its units."""
    if len(values) == rows:
        return values.copy()
    return np.asarray(np.repeat(values, hidden_size // len(values)).reshape(rows, -1).mean(axis=1))


def _chrono(init: Init, rows: int, hidden_size: int, generator: np.random.Generator) -> Floats:
    assert init.max_lag is not None
    return np.log(generator.uniform(1, init.max_lag - 1, rows))


def _uniform_gate(init: Init, rows: int, hidden_size: int, generator: np.random.Generator) -> Floats:
    u = generator.uniform(1 / hidden_size, 1 - 1 / hidden_size, rows)
    return -np.log(1 / u - 1)


def _orthogonal(size: int, generator: np.random.Generator) -> Floats:
    q, r = np.linalg.qr(generator.standard_normal((size, size)))
    return q * np.sign(np.diag(r))


def _uniform(size: int, generator: np.random.Generator) -> Floats:
    return generator.uniform(-1 / math.sqrt(size), 1 / math.sqrt(size), (size, size))


# Rules and recurrent matrices of a user's own join these tables, extensions/registration.py.
RULES: dict[str, Rule] = {
    "constant": Rule(lambda init, rows, hidden_size, generator: np.full(rows, init.value), ("value",)),
    "chrono": Rule(_chrono, ("max_lag",)),
    "uniform_gate": Rule(_uniform_gate),
    "torch": Rule(None),
}
RECURRENT: dict[str, Callable[[int, np.random.Generator], Floats]] = {"uniform": _uniform, "orthogonal": _orthogonal}


def check_rule(rule: object) -> Rule:
    """A rule of the user's own, tried once.

    Raises:
        ValueError: saying what is wrong.
    """
    if not isinstance(rule, Rule) or not {*rule.reads} <= {"value", "max_lag"}:
        raise ValueError('Rule(bias, reads) is needed; reads: any of "value", "max_lag"')
    init = replace(DEFAULT_INIT, max_lag=10)
    if rule.bias is None:
        return rule
    _check("bias", np.asarray(rule.bias(init, 3, 3, np.random.default_rng(0))), (3,))
    return rule


def check_recurrent(make: object) -> Callable[[int, np.random.Generator], Floats]:
    """A function for recurrent matrices of the user's own, tried once.

    Raises:
        ValueError: saying what is wrong.
    """
    if not callable(make):
        raise ValueError("a function (size, generator) -> (size, size) is needed")
    _check("it", np.asarray(make(3, np.random.default_rng(0))), (3, 3))
    return make


def _check(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype != np.float64 or not np.isfinite(values).all():
        raise ValueError(f"{name} gives {values.dtype} {values.shape}, finite float64 {shape} is needed")


def torch_weights(module: nn.Module, layer: int) -> dict[str, dict[str, Tensor]]:
    """One layer of an nn.LSTM or nn.GRU, gate by gate; its two biases are summed where they only ever appear summed.

    Raises:
        ValueError: for another module, or one that is bidirectional, projected or without bias.
    """
    if not isinstance(module, nn.LSTM | nn.GRU):
        raise ValueError(f"load_torch_: torch.nn.LSTM or torch.nn.GRU is needed, got {type(module).__name__}")
    if module.bidirectional or module.proj_size or not module.bias:
        raise ValueError("load_torch_: bidirectional, projected and bias-free modules have no counterpart here")
    wx, wh, bx, bh = (
        getattr(module, f"{name}_l{layer}").detach() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    if isinstance(module, nn.LSTM):  # torch's order is i, f, g, o
        parts = zip(
            ("input", "forget", "candidate", "output"), wx.chunk(4), wh.chunk(4), (bx + bh).chunk(4), strict=True
        )
        return {slot: {"x": x, "h": h, "b": b} for slot, x, h, b in parts}
    parts = zip(("reset", "forget", "candidate"), wx.chunk(3), wh.chunk(3), (bx + bh).chunk(3), strict=True)
    weights = {slot: {"x": x, "h": h, "b": b} for slot, x, h, b in parts}  # torch's order is r, z, n; its z keeps
    weights["candidate"].update(b=bx.chunk(3)[2], bh=bh.chunk(3)[2])
    return weights
