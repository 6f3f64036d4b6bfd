"""Many runs with few distinct values: a column as its distinct values and, per run, which of them. None is missing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int32]


class Column(NamedTuple):
    values: list[Any]  # distinct; 1, 1.0 and True are three values
    codes: Codes  # one per run: its place in `values`


Table = dict[str, Column]


def code(values: Iterable[Any]) -> Column:
    """The column of these values; lists are values too."""
    places: dict[Any, int] = {}
    distinct: list[Any] = []
    codes = []
    for value in values:
        key = (list, repr(value)) if isinstance(value, list) else (type(value), value)
        place = places.setdefault(key, len(distinct))
        if place == len(distinct):
            distinct.append(value)
        codes.append(place)
    return Column(distinct, np.asarray(codes, dtype=np.int32))


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row per mapping; a key that some of them lack is missing there."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: code([row.get(key) for row in rows]) for key in keys}


def rows(whole: Table) -> list[dict[str, Any]]:
    """The rows of a table, one mapping each; what is missing is None."""
    cells = [[column.values[place] for place in column.codes] for column in whole.values()]
    return [dict(zip(whole, row, strict=True)) for row in zip(*cells, strict=True)]


def concat(tables: Sequence[Table], lengths: Sequence[int]) -> Table:
    """Tables of these numbers of rows, one under the other."""
    keys = dict.fromkeys(key for part in tables for key in part)
    return {key: under([part.get(key) for part in tables], lengths) for key in keys}


def under(parts: Sequence[Column | None], lengths: Sequence[int]) -> Column:
    whole = [part or Column([None], np.zeros(n, np.int32)) for part, n in zip(parts, lengths, strict=True)]
    merged = code(value for part in whole for value in part.values)
    starts = np.cumsum([0, *(len(part.values) for part in whole)])
    codes = [merged.codes[start + part.codes] for start, part in zip(starts, whole, strict=False)]
    return Column(merged.values, np.concatenate(codes))


def take(whole: Table, rows: NDArray[np.intp]) -> Table:
    """Some of the rows, in this order."""
    return {key: Column(column.values, column.codes[rows]) for key, column in whole.items()}


def frame(whole: Table) -> pd.DataFrame:
    """The table as pandas has it; a column's type is that of the values that occur in it."""
    return pd.DataFrame({key: series(column) for key, column in whole.items()})


def series(column: Column) -> "pd.Series[Any]":
    used, codes = np.unique(column.codes, return_inverse=True)
    return pd.Series([column.values[place] for place in used]).take(codes).reset_index(drop=True)
