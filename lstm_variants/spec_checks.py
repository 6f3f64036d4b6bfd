"""What is refused of a variant's knobs: unknown keys, illegal values, and combinations without a meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.gate import FEEDS, KINDS, PARTNER, SLOTS, Gate, SpecError, complete_lstm
from lstm_variants.hints import nearest

if TYPE_CHECKING:
    from lstm_variants.spec import CellSpec

# What a gate of each kind reads; every other knob must stand at the complete LSTM's value.
READ_BY_KIND = {
    "learned": {"kind", "feeds", "peephole", "gates", "activation", "block", "bias", "position"},
    "constant": {"kind", "value"},
    "complement": {"kind", "offset"},
    "same": {"kind", "of", "position"},
    "absent": {"kind"},
}


def refuse(key: str, value: object, legal: str) -> SpecError:
    return SpecError(f"variant.{key}={value}: {legal}")


def one_of(key: str, value: object, legal: Iterable[object]) -> None:
    options = [str(v) for v in legal]
    if str(value) in options and not isinstance(value, bool):
        return
    raise refuse(key, value, nearest(value, options))


def number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise refuse(key, value, "a finite number is needed")
    return float(value)


def known_keys(prefix: str, given: Mapping[str, Any], legal: Mapping[str, Any]) -> None:
    for key in given:
        if key not in legal:
            raise SpecError(f"variant.{prefix}{key}: unknown key; {nearest(key, legal)}")


def gate_of(slot: str, given: Any) -> Gate:
    neutral = complete_lstm()[slot]
    if not isinstance(given, Mapping):
        raise refuse(slot, given, f"a mapping with any of {', '.join(neutral)} is needed")
    known_keys(f"{slot}.", given, neutral)
    knobs = {**neutral, **given}
    if "feeds" in given:
        knobs["feeds"] = _feeds(f"{slot}.feeds", given["feeds"])
    for name in ("peephole", "gates"):
        if name in knobs and not isinstance(knobs[name], bool):
            raise refuse(f"{slot}.{name}", knobs[name], "legal are true, false")
    if "block" in knobs:
        _check_block(f"{slot}.block", knobs["block"])
    kind = knobs.get("kind", "learned")
    one_of(f"{slot}.kind", kind, KINDS[slot])
    one_of(f"{slot}.activation", knobs["activation"], ACTIVATIONS)
    one_of(f"{slot}.bias", knobs["bias"], ("learned", "frozen"))
    if "position" in knobs:
        one_of(f"{slot}.position", knobs["position"], ("before", "after"))
    if "offset" in knobs:
        knobs["offset"] = number(f"{slot}.offset", knobs["offset"])
    _only_what_the_kind_reads(slot, kind, knobs, neutral)
    if kind == "constant":
        knobs["value"] = number(f"{slot}.value", knobs["value"])
    if kind == "same":
        one_of(f"{slot}.of", knobs["of"], ("input", "forget"))
    return Gate(**knobs)


def _check_block(key: str, value: object) -> None:
    if value != "all" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise refuse(key, value, "legal are a whole number of units, 1 or more, and all")


def _feeds(key: str, value: object) -> str:
    feeds = "".join(c for c in "xhb" if c in str(value))
    if feeds not in FEEDS or sorted(feeds) != sorted(str(value)):
        raise refuse(key, value, f"legal are {', '.join(FEEDS)} (a gate fed by nothing is kind=constant)")
    return feeds


def _only_what_the_kind_reads(slot: str, kind: str, knobs: Mapping[str, Any], neutral: Mapping[str, Any]) -> None:
    for name, value in knobs.items():
        if name not in READ_BY_KIND[kind] and value != neutral[name]:
            raise refuse(f"{slot}.{name}", value, f"has no meaning for a gate of kind {kind}")
    if kind == "learned" and "b" not in knobs["feeds"] and knobs["bias"] != neutral["bias"]:
        raise refuse(f"{slot}.bias", knobs["bias"], f"has no meaning: no b in {slot}.feeds={knobs['feeds']}")


def check_combination(spec: CellSpec) -> None:
    for slot, partner in PARTNER.items():
        if spec[slot].kind == "complement" and not spec[partner].learned:
            raise refuse(f"{slot}.kind", "complement", f"needs a learned {partner} gate, it is {spec[partner].kind}")
    for slot in spec.learned:
        block = spec[slot].block
        if block != 1 and (spec[slot].peephole or spec.seen_gates):
            other = "peephole" if spec[slot].peephole else "gates"
            raise refuse(f"{slot}.block", block, f"units with one value cannot go with {other}=true, a value per unit")
    if spec.reset.kind != "absent" and "h" not in spec.candidate.feeds:
        raise refuse("reset.kind", spec.reset.kind, f"resets nothing: no h in candidate.feeds={spec.candidate.feeds}")
    if spec.reset.kind == "same" and not spec[str(spec.reset.of)].learned:
        raise refuse("reset.of", spec.reset.of, f"needs a learned {spec.reset.of} gate")
    if spec.refine.learned and not spec.forget.learned:
        raise refuse("refine.kind", "learned", f"needs a learned forget gate, it is {spec.forget.kind}")
    if spec.normalise and spec.refine.learned:
        raise refuse("normalise", True, "cannot go with refine.kind=learned: which comes first is not defined")
    if spec.normalise:
        for slot in ("input", "forget"):
            if not spec[slot].learned or spec[slot].activation != "sigmoid":
                raise refuse("normalise", True, f"needs a learned {slot} gate with activation sigmoid")
    if spec.layer_norm and not (spec.normalises_cell or spec.normalised_slots):
        raise refuse("layer_norm", "true", "there is nothing to normalise: no gate sees x or h, and h = c")
    _derived_from_plain_gates(spec)


def _derived_from_plain_gates(spec: CellSpec) -> None:
    """Offsets, ties and seen gates are defined on gates that are neither refined nor normalised."""
    changed = "refine" if spec.refine.learned else "normalise" if spec.normalise else None
    if changed is None:
        return
    if spec.input.offset:
        raise refuse("input.offset", spec.input.offset, f"cannot go with {changed}")
    if spec.reset.kind == "same":
        raise refuse("reset.kind", "same", f"cannot go with {changed}")
    if spec.seen_gates:
        reader = next(slot for slot in SLOTS if spec[slot].gates)
        raise refuse(f"{reader}.gates", True, f"cannot go with {changed}")
