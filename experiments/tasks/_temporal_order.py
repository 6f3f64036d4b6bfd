"""Strings whose class is the order of a few symbols among noise: what the two temporal-order tasks share."""

from __future__ import annotations

import numpy as np

from experiments.tasks.base import Array, Batch, ordinal

ALPHABET = "EBabcdXY"
PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}  # in % of T
MIN_LENGTH = 10  # so that no two symbols can fall on one place


NAMES = ("first", "second", "third")


def named_symbols(batch: Batch, symbols: int) -> dict[str, Array]:
    """The X and Y of each string, in their order, and its start."""
    start = (batch.inputs == 0) & batch.inside
    order = ordinal((batch.inputs >= 6) & batch.inside, since=start)
    return {"string start": start} | {f"{NAMES[k]} X or Y": order == k + 1 for k in range(symbols)}


def ordered_strings(
    generator: np.random.Generator, count: int, length: int, symbols: int
) -> tuple[Array, Array, Array]:
    """E, noise of {a, b, c, d} with X or Y at the places, B.

    Returns:
        strings (N, L), zero past a string's end; classes (N,), the X and Y read as binary digits; lengths (N,).
    """
    lengths = generator.integers(length, length + length // 10 + 1, count)
    rows = np.arange(count)
    strings = generator.integers(2, 6, (count, int(lengths.max())))
    classes = np.zeros(count, dtype=np.int64)
    for low, high in PLACES[symbols]:
        is_y = generator.integers(0, 2, count)
        strings[rows, generator.integers(low * length // 100, high * length // 100 + 1, count)] = 6 + is_y
        classes = 2 * classes + is_y
    strings[:, 0] = 0
    strings[rows, lengths - 1] = 1
    strings[np.arange(strings.shape[1]) >= lengths[:, None]] = 0
    return strings, classes, lengths
