"""Cells outside the gate algebra, one file each, behind the same interface; found by name, nothing to register.

May import: lstm_variants, lstm_variants.engines, lstm_variants.extensions.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from lstm_variants.cell import Cell, GatedCell
from lstm_variants.cells._probe import FaultError, shown
from lstm_variants.extensions import user_folders, user_modules
from lstm_variants.extensions.user_folders import ExtensionError
from lstm_variants.gate import SpecError
from lstm_variants.spec import CellSpec, flatten


def make_cell(spec: CellSpec) -> Cell:
    """The cell that computes a spec: the gate algebra, or the class ``OwnCell`` of ``cells/<spec.cell>.py``.

    Raises:
        SpecError: if there is no such file, or the cell does not read a knob that the spec changes.
        ExtensionError: if the file is the user's own and not what a cell has to be.
    """
    if spec.cell == "gated":
        return GatedCell(spec)
    kind = _cell_class(spec.cell)
    _refuse_what_is_not_read(spec, kind)
    try:
        gates = shown(kind, spec)  # type: ignore[arg-type]
    except FaultError as fault:
        raise ExtensionError(f"{_users_file(spec.cell) or spec.cell}: cell={spec.cell}: {fault}") from fault.__cause__
    cell = kind(spec)
    cell.slots = gates
    return cell


def _refuse_what_is_not_read(spec: CellSpec, kind: type[Cell]) -> None:
    changed = spec.difference()
    for key, value in flatten(spec.to_config()).items():
        legal = kind.reads.get(key)
        if legal and value not in legal:
            raise SpecError(f"variant.{key}={value}: legal with cell={spec.cell} are {', '.join(map(str, legal))}")
        if legal is None and key in changed and key != "cell":
            others = f"it reads {', '.join(kind.reads)}" if kind.reads else "its equation is fixed"
            raise SpecError(f"variant.{key}={value}: cell={spec.cell} does not read this; {others}")


def _users_file(name: str) -> Path | None:
    """The user's file of a cell, None for one that is part of this package."""
    return user_folders.file("cells", name)


def _cell_class(name: str) -> type[Cell]:
    if name not in _available():
        raise SpecError(f"variant.cell={name}: legal are gated, {', '.join(_available())}")
    path = _users_file(name)
    module = user_modules.load(path) if path else importlib.import_module(f"lstm_variants.cells.{name}")
    kind = getattr(module, "OwnCell", None)
    if not (isinstance(kind, type) and issubclass(kind, Cell)):
        raise ExtensionError(f"{path}: a class OwnCell, derived from lstm_variants.Cell, is needed")
    return kind


def _available() -> list[str]:
    ours = [path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")]
    return sorted([*ours, *user_folders.names("cells")])
