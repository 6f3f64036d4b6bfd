"""Variants by name: every file of conf/variant, ours and the user's, and their aliases."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm_variants import config_files
from lstm_variants.catalogue.changes import nested
from lstm_variants.extensions import user_folders
from lstm_variants.gate import DESCRIPTION, SpecError
from lstm_variants.hints import OF_FILES, nearest
from lstm_variants.spec import CellSpec

FILE = "conf/variant/{}.yaml"
NO_SOURCE = "no source given"


@dataclass(frozen=True)
class Variant:
    """A spec and how it is called.

    Attributes:
        name: the file's, with what was changed in brackets: ``lstm[forget.feeds=xb]``.
        label: how figures and tables call it.
        cite: where it was published, as its own file says; a file that says nothing inherits nothing.
    """

    name: str
    label: str
    cite: str
    spec: CellSpec


def load(name: str, *changes: str) -> CellSpec:
    """The spec of a variant file, with changes as on the command line.

    ::

        load("gru")
        load("CIFG")                                              # an alias: what the papers call it
        load("lstm", "forget.feeds=xb", "input={kind: constant, value: 1}")

    Args:
        name: a file of conf/variant, ours or the user's (:func:`lstm_variants.use_extensions`), or an alias.
        changes: ``KEY=VALUE``; of several for one key the last counts. ``variant.`` may stand before the key.

    Raises:
        SpecError: naming the key, the value received and what is legal.
        ExtensionError: for a file of the user's own that cannot be used.
    """
    file = aliases().get(str(name), str(name))
    if file not in config_files.names("variant"):
        raise SpecError(f"variant={name}: {unknown_variant(name)}")
    config = config_files.config_file("variant", file)
    for change in changes:
        content = nested(change)
        if key := next((key for key in content if key in DESCRIPTION), None):
            raise SpecError(f"{change}: {key} belongs to a file, {FILE.format('NAME')}")
        config = config_files.merge(config, content)
    return CellSpec.from_config(config)


def unknown_variant(name: object) -> str:
    """What an error says about a variant that no file describes."""
    files = nearest(name, config_files.names("variant"), OF_FILES)
    return f"{files}; any other cell is one of these with changes, such as variant=lstm variant.forget.feeds=hb"


def variants() -> dict[str, Variant]:
    """Every variant file, by name.

    Raises:
        SpecError: for a file that makes no variant.
    """
    return dict(_variants(user_folders.generation()))


@functools.cache
def _variants(generation: int) -> dict[str, Variant]:
    names = config_files.names("variant")
    found = {name: _variant(name, config_files.config_file("variant", name)) for name in names}
    _refuse_one_cell_twice(found)
    return found


def _refuse_one_cell_twice(found: Mapping[str, Variant]) -> None:
    """Two files of one cell would have one name in records, and the label of one would be lost: SpecError."""
    shown = {name: config_files.shown_path("variant", name) for name in found}
    first: dict[CellSpec, str] = {}
    for name in sorted(found, key=lambda name: (not shown[name].startswith("conf/"), name)):
        other = first.setdefault(found[name].spec, name)
        if other != name:
            raise SpecError(f"{shown[name]}: this is the cell of {other}: say variant={other}, or change something")


def _variant(name: str, content: Mapping[str, Any]) -> Variant:
    described = {"label": name, "cite": NO_SOURCE, **config_files.own_content("variant", name)}
    for key in ("label", "cite"):
        if not isinstance(described[key], str):
            value = "null" if described[key] is None else described[key]
            raise SpecError(f"{config_files.shown_path('variant', name)}: variant.{key}={value}: a text is needed")
    try:
        return Variant(name, described["label"], described["cite"], CellSpec.from_config(content))
    except SpecError as error:
        raise SpecError(f"{config_files.shown_path('variant', name)}: {error}") from None


def aliases() -> dict[str, str]:
    """Papers' short names (NFG, CIFG ...) and the files that they stand for.

    Raises:
        SpecError: for an alias that has another meaning already.
    """
    return dict(_aliases(user_folders.generation()))


@functools.cache
def _aliases(generation: int) -> dict[str, str]:
    files = {name: config_files.own_content("variant", name) for name in config_files.names("variant")}
    pairs = [(str(alias), name) for name, content in files.items() for alias in content.get("aliases") or []]
    known = dict.fromkeys(files, "the name of a variant")
    for alias, name in pairs:
        if alias in known:
            file = config_files.shown_path("variant", name)
            raise SpecError(f"{file}: the alias {alias} is {known[alias]} too; give it another one")
        known[alias] = f"an alias of {name}"
    return dict(pairs)
