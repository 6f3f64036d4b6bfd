"""A variant is data: gates and a handful of switches, validated, with the facts that follow from them.

The cell that a :class:`CellSpec` describes is written once, in :mod:`lstm_variants.cell`::

    a_k  = W_k x[t] + U_k h[t-1] + p_k * c + b_k          only the terms that the gate's feeds name
    c[t] = f * c[t-1] + i * z
    h[t] = o * squash(c[t])
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.gate import DESCRIPTION, SLOTS, Gate, complete_lstm
from lstm_variants.spec_checks import check_combination, gate_of, known_keys, one_of, refuse


@dataclass(frozen=True)
class CellSpec:
    """One cell: six slots, the output squashing, and the cell class that reads them.

    Build it with :meth:`from_config`, which validates and normalises, so that two ways of saying one cell compare
    equal.

    Attributes:
        squash: h = output * squash(c).
        normalise: input and forget gate are divided by their sum (minLSTM).
        layer_norm: the products W x and U h[t-1] of each gate are layer-normalised, and c[t] on its way to h[t].
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
    layer_norm: bool
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
        known_keys("", given, complete_lstm())
        gates: dict[str, Any] = {slot: gate_of(slot, given.get(slot, {})) for slot in SLOTS}
        switches = {k: given.get(k, v) for k, v in complete_lstm().items() if k not in SLOTS}
        one_of("squash", switches["squash"], [name for name in ACTIVATIONS if name != "gumbel"])  # noise is for gates
        for name in ("normalise", "layer_norm"):
            if not isinstance(switches[name], bool):
                raise refuse(name, switches[name], "legal are true, false")
        if not re.fullmatch(r"\w[\w -]*", str(switches["cell"])):
            raise refuse("cell", switches["cell"], "the name of a file in lstm_variants/cells is needed")
        spec = cls(**gates, **switches)
        check_combination(spec)
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
    def normalises_cell(self) -> bool:
        """Whether h[t] reads a layer-normalised c[t]; as in the paper, not where h[t] = c[t]."""
        return self.layer_norm and not self.hidden_is_cell

    @property
    def normalised_slots(self) -> tuple[str, ...]:
        """The slots with a layer-normalised product: those that see the input or the previous output."""
        return tuple(slot for slot in self.learned if self.layer_norm and set(self[slot].feeds) & set("xh"))

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
        """Refuse a number of units that a gate cannot divide into its blocks, or of which normalising leaves nothing.

        Raises:
            SpecError: naming the key, its value and the number of units.
        """
        for slot in self.learned:
            block = self[slot].block
            if block != "all" and hidden_size % int(block):
                raise refuse(f"{slot}.block", block, f"divides no {hidden_size} units (model.hidden_size)")
        if self.layer_norm and hidden_size == 1:
            raise refuse(
                "layer_norm", "true", "a single unit less its mean is nothing; 2 (model.hidden_size) are needed"
            )
        for slot in self.normalised_slots:
            if self[slot].rows(hidden_size) == 1:
                legal = f"a single value less its mean is nothing, and {slot}.block={self[slot].block} has no other"
                raise refuse("layer_norm", "true", legal)

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
