"""A gate as data: its knobs, their legal values, and the defaults of conf/variant/lstm.yaml."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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


class SpecError(ValueError):
    """A specification that cannot be built; the message names the key, the value received and what is legal."""


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
