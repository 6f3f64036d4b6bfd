"""The ``.npz`` file of the task ``arrays``, read and checked: shape and type of an array say what it means."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.tasks._splits import SPLITS, refusal
from experiments.tasks.base import Array

LAYOUT = {
    "inputs": "(N, T) or (N, T, I)",
    "targets": "(N, T), (N, T, O), (N,) or (N, O)",
    "split": "(N,) of train, validation, test",
    "lengths": "(N,) steps of each sequence; may be left out",
    "events": "(N, T) numbers or texts, 0 or empty for nothing; may be left out",
}
OPTIONAL = ("lengths", "events")
FETCH = f"name an .npz file with {', '.join(LAYOUT)}"
NUMBERS = "biuf"  # numpy's kinds of truth values, whole numbers with and without sign, floats
MOST_SYMBOLS = 1_000_000
AS_VALUES = {"inputs": "values are floats or (N, T, 1)", "targets": "values are floats, (N, T) or (N, 1)"}


class Content(NamedTuple):
    """A checked file: native types, zero past each sequence's end.

    Attributes:
        inputs: symbols (N, T) as int64, or values (N, T, I) as float32.
        targets: symbols as int64 (N, T), values as float32 or truth values (N, T, O); without T if ``labelled``.
        split: (N,) texts.
        lengths: (N,) steps of each sequence.
        loss_kind: ``cross_entropy`` of symbols, ``mse`` of values, ``bce`` of truth values.
        labelled: whether there is one target a sequence.
        events: (N, T) as int64: 1 for the first of ``event_names``, 0 for nothing; None without them.
        event_names: what happens at some steps; no part of what is learned, for looking inside a net.
    """

    inputs: Array
    targets: Array
    split: Array
    lengths: Array
    loss_kind: str
    labelled: bool
    events: Array | None = None
    event_names: tuple[str, ...] = ()


class _FormatError(Exception):
    """What is wrong with the arrays."""


def load(path: Path) -> Content:
    """The content of a file.

    Raises:
        TaskError: naming the file, the array, what came and what is legal.
    """
    try:
        return _content(_read(path))
    except _FormatError as fault:
        raise refusal(path, str(fault)) from None


def _read(path: Path) -> dict[str, Array]:
    key, content = "its list", {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = arrays.files
            for key in filter(LAYOUT.__contains__, names):
                content[key] = arrays[key]
    except Exception as error:  # the reader raises whatever a damaged file leads it to
        reason = f"{key}: {error or type(error).__name__}"
        raise _FormatError(f"it cannot be read as an .npz file of plain arrays ({reason})") from error
    unknown = [name for name in names if name not in LAYOUT]
    missing = [key for key in LAYOUT if key not in content and key not in OPTIONAL]
    if missing:
        raise _FormatError(f"it has no {missing[0]}; {FETCH}")
    if unknown:
        raise _FormatError(f"nothing reads its {unknown[0]}; {FETCH}")
    return content


def _content(arrays: dict[str, Array]) -> Content:
    inputs = arrays["inputs"]
    numbers = inputs.ndim in (2, 3) and inputs.dtype.kind in NUMBERS
    _require("inputs", inputs, numbers, f"{LAYOUT['inputs']} numbers are")
    _require("inputs", inputs, 0 not in inputs.shape[1:], "one step and one value or more are")
    rows, steps = inputs.shape[:2]
    split = _split(_entries("split", arrays["split"], rows))
    lengths = _lengths(_entries("lengths", arrays.get("lengths", np.full(rows, steps)), rows), steps)
    inside = np.arange(steps) < lengths[:, None]
    if inputs.ndim == 2 and inputs.dtype.kind in "iu":
        shown = _symbols("inputs", inputs, inside)
    else:
        shown = _values("inputs", inputs.reshape(rows, steps, -1), inside)
    targets, loss_kind, labelled = _targets(arrays["targets"], inside)
    events, names = _events(arrays["events"], inside) if "events" in arrays else (None, ())
    return Content(shown, targets, split, lengths, loss_kind, labelled, events, names)


def _require(key: str, values: Array, holds: bool, needed: str) -> None:
    if not holds:
        raise _FormatError(f"{key} {values.shape} of {values.dtype}: {needed} needed")


def _entries(key: str, values: Array, rows: int) -> Array:
    """(N,) from any shape that has one entry a row."""
    alone = values.size == rows and max(values.shape, default=0) == rows
    _require(key, values, alone, f"(N,), one entry for each of the {rows} rows of inputs, is")
    return values.ravel()


def _split(split: Array) -> Array:
    _require("split", split, split.dtype.kind in "US", f"texts ({', '.join(SPLITS)}) are")
    names = [name.decode(errors="replace") if isinstance(name, bytes) else name for name in split.tolist()]
    if set(names) != set(SPLITS):
        found = sorted(set(names))[:5]
        raise _FormatError(f"split must hold {', '.join(SPLITS)}, each at least once; it holds {found}")
    return np.array(names)


def _lengths(lengths: Array, steps: int) -> Array:
    _require("lengths", lengths, lengths.dtype.kind in "iuf", "whole numbers are")
    if not ((lengths >= 1) & (lengths <= steps) & (lengths == np.floor(lengths))).all():
        raise _FormatError(f"lengths must be whole numbers from 1 to {steps}")
    return lengths.astype(np.int64)


def _events(events: Array, inside: Array) -> tuple[Array, tuple[str, ...]]:
    """The events as numbers from 1, and their names: the texts, or ``event 3`` for a number."""
    fits = events.shape == inside.shape and events.dtype.kind in "iubUS"
    _require("events", events, fits, f"{inside.shape} whole numbers or texts are")
    texts = events.dtype.kind in "US"
    known = sorted({*events[inside].tolist()} - {0, "", b""})
    names = [k.decode(errors="replace") if isinstance(k, bytes) else k if texts else f"event {int(k)}" for k in known]
    codes = np.zeros(events.shape, dtype=np.int64)
    for code, value in enumerate(known, start=1):
        codes[(events == value) & inside] = code
    return codes, tuple(names)


def _targets(targets: Array, inside: Array) -> tuple[Array, str, bool]:
    """The targets, their kind of loss, and whether there is one a sequence."""
    (rows, steps), shape = inside.shape, targets.shape
    legal = len(shape) in (1, 2, 3) and targets.dtype.kind in NUMBERS
    _require("targets", targets, legal, f"{LAYOUT['targets']} numbers are")
    _require("targets", targets, 0 not in shape[1:], "one step and one value or more are")
    if shape[0] != rows:
        raise _FormatError(f"inputs have {rows} rows, targets {shape[0]}")
    symbols = targets.dtype.kind in "iu" or (len(shape) == 1 and _are_classes(targets))
    labelled = len(shape) == 1 or (len(shape) == 2 and shape[1] != steps and (shape[1] == 1 or not symbols))
    if not labelled and shape[1] != steps:
        raise _FormatError(f"targets have {shape[1]} steps, inputs {steps}")
    counts = np.ones(rows, dtype=bool) if labelled else inside
    if symbols:
        single = targets.size == counts.size
        _require("targets", targets, single, "whole numbers are symbols: one a step, or one a sequence, is")
        return _symbols("targets", targets.reshape(counts.shape), counts), "cross_entropy", labelled
    values = targets.reshape(*counts.shape, -1)
    if targets.dtype.kind == "b":
        return values & counts[..., None], "bce", labelled
    return _values("targets", values, counts), "mse", labelled


def _are_classes(labels: Array) -> bool:
    """Whether labels (N,) are whole numbers, of whatever type; others are values."""
    if labels.dtype.kind == "b":
        return True
    whole = bool((np.isfinite(labels) & (labels == np.floor(labels))).all())
    _require("targets", labels, not whole or labels.min() < labels.max(), "classes or values that differ are")
    return whole


def _symbols(key: str, values: Array, counts: Array) -> Array:
    """As int64, 0 where nothing counts."""
    seen = values[counts]
    lowest, highest = int(seen.min()), int(seen.max())
    if lowest < 0:
        raise _FormatError(f"{key} are symbols, numbered from 0: there is a {lowest}; {AS_VALUES[key]}")
    if highest >= MOST_SYMBOLS:
        raise _FormatError(f"{key} are symbols, below {MOST_SYMBOLS:,}: there is a {highest}; {AS_VALUES[key]}")
    symbols = np.zeros(values.shape, dtype=np.int64)
    symbols[counts] = seen
    return symbols


def _values(key: str, values: Array, counts: Array) -> Array:
    """As float32, 0 where nothing counts."""
    kept = np.zeros(values.shape, dtype=np.float32)
    with np.errstate(over="ignore"):
        kept[counts] = values[counts]
    if not np.isfinite(kept).all():
        raise _FormatError(f"{key} hold values that are not finite in float32")
    return kept
