"""A variant is data: gates and a handful of switches, validated, with the facts that follow from them.

The cell that a :class:`CellSpec` describes is written once, in :mod:`lstm_variants.cell`::

    a_k  = W_k x[t] + U_k h[t-1] + p_k * c + b_k          only the terms that the gate's feeds name
    c[t] = f * c[t-1] + i * z
    h[t] = o * squash(c[t])
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.hints import nearest

SLOTS = ("input", "forget", "candidate", "output", "reset", "refine")
SYMBOLS = {"input": "i", "forget": "f", "candidate": "z", "output": "o", "reset": "r", "refine": "v"}
KINDS = {
    "input": ("learned", "constant", "complement"),
    "forget": ("learned", "constant", "complement"),
    "candidate": ("learned",),
    "output": ("learned", "constant"),
    "reset": ("learned", "same", "absent"),
    "refine": ("learned", "absent"),
}
PARTNER = {"input": "forget", "forget": "input"}
FEEDS = ("x", "h", "b", "xh", "xb", "hb", "xhb")
DESCRIPTION = ("label", "cite", "aliases")  # what a variant file says beside its knobs
CONF = (Path(__file__).parent / "conf").resolve()  # a link to the checkout's conf/; a folder in an installation
COMPLETE_LSTM = CONF / "variant" / "lstm.yaml"
# What a gate of each kind reads; every other knob must stand at the complete LSTM's value.
READ_BY_KIND = {
    "learned": {"kind", "feeds", "peephole", "gates", "activation", "block", "bias", "position"},
    "constant": {"kind", "value"},
    "complement": {"kind", "offset"},
    "same": {"kind", "of", "position"},
    "absent": {"kind"},
}


class SpecError(ValueError):
    """A specification that cannot be built; the message names the key, the value received and what is legal."""


def _refuse(key: str, value: object, legal: str) -> SpecError:
    return SpecError(f"variant.{key}={value}: {legal}")


def _one_of(key: str, value: object, legal: Iterable[object]) -> None:
    options = [str(v) for v in legal]
    if str(value) in options and not isinstance(value, bool):
        return
    raise _refuse(key, value, nearest(value, options))


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise _refuse(key, value, "a finite number is needed")
    return float(value)


@functools.cache
def complete_lstm() -> dict[str, Any]:
    """Every knob at its default: the content of ``conf/variant/lstm.yaml``, the only place where a default lives."""
    knobs = yaml.safe_load(COMPLETE_LSTM.read_text(encoding="utf-8"))
    return {key: value for key, value in knobs.items() if key not in DESCRIPTION}


@dataclass(frozen=True)
class Gate:
    """How one gate value arises. A knob that a slot does not have stays at the inert value given here.

    Attributes:
        kind: ``learned``; ``constant`` (``value``); ``complement``, 1 minus the partner gate; ``same``, equal to the
            gate ``of``; ``absent``.
        value: the value of a constant gate.
        offset: complement only: 1 - activation(a - offset), a the partner's pre-activation (JANET).
        of: same only: the gate it equals.
        position: reset only: ``after`` (r * (U h + b)) or ``before`` (U (r * h)).
        feeds: any of ``x`` (input), ``h`` (previous output), ``b`` (bias): what enters the pre-activation.
        peephole: adds p * c. Input, forget and reset gate see c[t-1], the output gate sees c[t].
        gates: also sees the previous step's gates (full gate recurrence).
        activation: the squashing, a key of :data:`lstm_variants.activations.ACTIVATIONS`.
        block: how many neighbouring units share one value per step: 1 (each has its own), 2, 3, ..., or ``all``.
        bias: ``learned``, or ``frozen`` at its initial value.
    """

    kind: str = "learned"
    value: float | None = None
    offset: float = 0.0
    of: str | None = None
    position: str = "after"
    feeds: str = "xhb"
    peephole: bool = False
    gates: bool = False
    activation: str = "sigmoid"
    block: int | str = 1
    bias: str = "learned"

    @property
    def learned(self) -> bool:
        """Whether the gate has parameters of its own."""
        return self.kind == "learned"

    def rows(self, hidden_size: int) -> int:
        """How many values the gate has, one for each block of the units."""
        return 1 if self.block == "all" else math.ceil(hidden_size / int(self.block))

    def fed_by(self, source: str) -> bool:
        """Whether ``source`` (x, h or b) enters this gate's own pre-activation."""
        return self.learned and source in self.feeds


@dataclass(frozen=True)
class CellSpec:
    """One cell: six slots, the output squashing, and the cell class that reads them.

    Build it with :meth:`from_config`, which validates and normalises, so that two ways of saying one cell compare
    equal.

    Attributes:
        squash: h = output * squash(c).
        normalise: input and forget gate are divided by their sum (minLSTM).
        cell: ``gated``, the equation above, or the module in ``lstm_variants/cells`` with a cell class of its own.
    """

    input: Gate
    forget: Gate
    candidate: Gate
    output: Gate
    reset: Gate
    refine: Gate
    squash: str
    normalise: bool
    cell: str

    def __getitem__(self, slot: str) -> Gate:
        gate = getattr(self, slot)
        assert isinstance(gate, Gate)
        return gate

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None = None) -> CellSpec:
        """Build a spec from the knobs that differ from the complete LSTM.

        Args:
            config: a mapping as in ``conf/variant/*.yaml``; ``label``, ``cite`` and ``aliases`` are left aside, knobs
                not given are the complete LSTM's.

        Raises:
            SpecError: for an unknown key, an illegal value, or a combination without a meaning.
        """
        given = {key: value for key, value in (config or {}).items() if key not in DESCRIPTION}
        _known_keys("", given, complete_lstm())
        gates: dict[str, Any] = {slot: _gate(slot, given.get(slot, {})) for slot in SLOTS}
        switches = {k: given.get(k, v) for k, v in complete_lstm().items() if k not in SLOTS}
        _one_of("squash", switches["squash"], [name for name in ACTIVATIONS if name != "gumbel"])  # noise is for gates
        if not isinstance(switches["normalise"], bool):
            raise _refuse("normalise", switches["normalise"], "legal are true, false")
        if not re.fullmatch(r"\w[\w -]*", str(switches["cell"])):
            raise _refuse("cell", switches["cell"], "the name of a file in lstm_variants/cells is needed")
        spec = cls(**gates, **switches)
        _check_combination(spec)
        return spec

    def to_config(self) -> dict[str, Any]:
        """Every knob, nested as in ``lstm.yaml``: ``from_config(spec.to_config()) == spec``."""
        return {
            key: {knob: getattr(self[key], knob) for knob in value} if key in SLOTS else getattr(self, key)
            for key, value in complete_lstm().items()
        }

    def difference(self, other: CellSpec | None = None) -> dict[str, Any]:
        """The knobs that differ from ``other`` (default: the complete LSTM), as ``{"forget.kind": ...}``."""
        mine, theirs = flatten(self.to_config()), flatten(other.to_config() if other else complete_lstm())
        return {key: value for key, value in mine.items() if value != theirs[key]}

    @property
    def learned(self) -> tuple[str, ...]:
        """The slots with parameters of their own, in the order of :data:`SLOTS`."""
        return tuple(slot for slot in SLOTS if self[slot].learned)

    @property
    def fed_by_hidden(self) -> tuple[str, ...]:
        """The slots whose pre-activation reads h[t-1]."""
        return tuple(slot for slot in SLOTS if self[slot].fed_by("h"))

    @property
    def hidden_is_cell(self) -> bool:
        """Whether h[t] = c[t], as in the GRU."""
        return self.output.kind == "constant" and self.output.value == 1.0 and self.squash == "identity"

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate acts on the recurrent product (as in torch.nn.GRU), not on h[t-1]."""
        return self.reset.kind != "absent" and self.reset.position == "after"

    @property
    def seen_gates(self) -> tuple[str, ...]:
        """The gates whose previous value some gate reads (full gate recurrence); they join the state."""
        readers = any(self[slot].gates for slot in SLOTS)
        return tuple(s for s in ("input", "forget", "output") if self[s].learned) if readers else ()

    @property
    def noisy(self) -> bool:
        """Whether a squashing adds noise during training."""
        return any(self[slot].activation == "gumbel" for slot in self.learned)

    @property
    def keep(self) -> tuple[str, float] | None:
        """The learned gate that decides what is kept, and the sign with which its pre-activation keeps.

        ``("forget", 1)``, or ``("input", -1)`` where f = 1 - i; None where keeping is not learned.
        """
        if self.forget.learned:
            return "forget", 1.0
        if self.forget.kind == "complement":
            return "input", -1.0
        return None

    @property
    def unit_step(self) -> int:
        """The least number of units that every gate can divide into its blocks; others are multiples of it."""
        return math.lcm(*(int(self[slot].block) for slot in self.learned if self[slot].block != "all"))

    def check_hidden_size(self, hidden_size: int) -> None:
        """Refuse a number of units that a gate cannot divide into its blocks.

        Raises:
            SpecError: naming the key, its value and the number of units.
        """
        for slot in self.learned:
            block = self[slot].block
            if block != "all" and hidden_size % int(block):
                raise _refuse(f"{slot}.block", block, f"divides no {hidden_size} units (model.hidden_size)")

    @property
    def linear_recurrence(self) -> bool:
        """Whether c[t] is linear in c[t-1] with coefficients that depend on the input alone."""
        sees_cell = any(self[slot].peephole for slot in ("input", "forget", "reset"))
        return self.cell == "gated" and not self.fed_by_hidden and not sees_cell and not self.seen_gates


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"forget": {"kind": "learned"}}`` as ``{"forget.kind": "learned"}``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def _known_keys(prefix: str, given: Mapping[str, Any], legal: Mapping[str, Any]) -> None:
    for key in given:
        if key not in legal:
            raise SpecError(f"variant.{prefix}{key}: unknown key; {nearest(key, legal)}")


def _gate(slot: str, given: Any) -> Gate:
    neutral = complete_lstm()[slot]
    if not isinstance(given, Mapping):
        raise _refuse(slot, given, f"a mapping with any of {', '.join(neutral)} is needed")
    _known_keys(f"{slot}.", given, neutral)
    knobs = {**neutral, **given}
    if "feeds" in given:
        knobs["feeds"] = _feeds(f"{slot}.feeds", given["feeds"])
    for name in ("peephole", "gates"):
        if name in knobs and not isinstance(knobs[name], bool):
            raise _refuse(f"{slot}.{name}", knobs[name], "legal are true, false")
    if "block" in knobs:
        _check_block(f"{slot}.block", knobs["block"])
    kind = knobs.get("kind", "learned")
    _one_of(f"{slot}.kind", kind, KINDS[slot])
    _one_of(f"{slot}.activation", knobs["activation"], ACTIVATIONS)
    _one_of(f"{slot}.bias", knobs["bias"], ("learned", "frozen"))
    if "position" in knobs:
        _one_of(f"{slot}.position", knobs["position"], ("before", "after"))
    if "offset" in knobs:
        knobs["offset"] = _number(f"{slot}.offset", knobs["offset"])
    _only_what_the_kind_reads(slot, kind, knobs, neutral)
    if kind == "constant":
        knobs["value"] = _number(f"{slot}.value", knobs["value"])
    if kind == "same":
        _one_of(f"{slot}.of", knobs["of"], ("input", "forget"))
    return Gate(**knobs)


def _check_block(key: str, value: object) -> None:
    if value != "all" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise _refuse(key, value, "legal are a whole number of units, 1 or more, and all")


def _feeds(key: str, value: object) -> str:
    feeds = "".join(c for c in "xhb" if c in str(value))
    if feeds not in FEEDS or sorted(feeds) != sorted(str(value)):
        raise _refuse(key, value, f"legal are {', '.join(FEEDS)} (a gate fed by nothing is kind=constant)")
    return feeds


def _only_what_the_kind_reads(slot: str, kind: str, knobs: Mapping[str, Any], neutral: Mapping[str, Any]) -> None:
    for name, value in knobs.items():
        if name not in READ_BY_KIND[kind] and value != neutral[name]:
            raise _refuse(f"{slot}.{name}", value, f"has no meaning for a gate of kind {kind}")
    if kind == "learned" and "b" not in knobs["feeds"] and knobs["bias"] != neutral["bias"]:
        raise _refuse(f"{slot}.bias", knobs["bias"], f"has no meaning: no b in {slot}.feeds={knobs['feeds']}")


def _check_combination(spec: CellSpec) -> None:
    for slot, partner in PARTNER.items():
        if spec[slot].kind == "complement" and not spec[partner].learned:
            raise _refuse(f"{slot}.kind", "complement", f"needs a learned {partner} gate, it is {spec[partner].kind}")
    for slot in spec.learned:
        block = spec[slot].block
        if block != 1 and (spec[slot].peephole or spec.seen_gates):
            other = "peephole" if spec[slot].peephole else "gates"
            raise _refuse(f"{slot}.block", block, f"units with one value cannot go with {other}=true, a value per unit")
    if spec.reset.kind != "absent" and "h" not in spec.candidate.feeds:
        raise _refuse("reset.kind", spec.reset.kind, f"resets nothing: no h in candidate.feeds={spec.candidate.feeds}")
    if spec.reset.kind == "same" and not spec[str(spec.reset.of)].learned:
        raise _refuse("reset.of", spec.reset.of, f"needs a learned {spec.reset.of} gate")
    if spec.refine.learned and not spec.forget.learned:
        raise _refuse("refine.kind", "learned", f"needs a learned forget gate, it is {spec.forget.kind}")
    if spec.normalise and spec.refine.learned:
        raise _refuse("normalise", True, "cannot go with refine.kind=learned: which comes first is not defined")
    if spec.normalise:
        for slot in ("input", "forget"):
            if not spec[slot].learned or spec[slot].activation != "sigmoid":
                raise _refuse("normalise", True, f"needs a learned {slot} gate with activation sigmoid")
    _derived_from_plain_gates(spec)


def _derived_from_plain_gates(spec: CellSpec) -> None:
    """Offsets, ties and seen gates are defined on gates that are neither refined nor normalised."""
    changed = "refine" if spec.refine.learned else "normalise" if spec.normalise else None
    if changed is None:
        return
    if spec.input.offset:
        raise _refuse("input.offset", spec.input.offset, f"cannot go with {changed}")
    if spec.reset.kind == "same":
        raise _refuse("reset.kind", "same", f"cannot go with {changed}")
    if spec.seen_gates:
        reader = next(slot for slot in SLOTS if spec[slot].gates)
        raise _refuse(f"{reader}.gates", True, f"cannot go with {changed}")
