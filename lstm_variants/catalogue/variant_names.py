"""What a cell is called: by the variant file that it is, else by the nearest one with the difference in brackets."""

from __future__ import annotations

import functools

from lstm_variants.catalogue.variants import Variant, variants
from lstm_variants.extensions import user_folders
from lstm_variants.spec import CellSpec


def describe(spec: CellSpec) -> Variant:
    """The variant file whose spec this is, however it was written; else the nearest one, with the difference.

    >>> describe(load("lstm", "forget.feeds=xb")).name
    'lstm[forget.feeds=xb]'
    """
    return _describe(spec, user_folders.generation())


@functools.cache
def _describe(spec: CellSpec, generation: int) -> Variant:
    known = variants()
    distances = {
        name: len(spec.difference(file.spec)) + len(file.spec.difference(spec)) for name, file in known.items()
    }
    nearest_file = known[min(known, key=lambda name: (distances[name], name != "lstm", name))]
    difference = spec.difference(nearest_file.spec)
    if not difference:
        return nearest_file
    changes = ",".join(f"{key}={_plain(value)}" for key, value in sorted(difference.items()))
    name = f"{nearest_file.name}[{changes}]"
    return Variant(name, name, f"a change of {nearest_file.name} ({nearest_file.cite})", spec)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
