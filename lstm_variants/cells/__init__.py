"""Cells outside the gate algebra, one file each, behind the same interface; found by name, nothing to register."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from lstm_variants.cell import Cell, GatedCell
from lstm_variants.spec import CellSpec, SpecError, flatten

_extensions: list[Path] = []


def add_extensions(folder: Path) -> None:
    """Also look for cells in ``folder/cells``."""
    if folder not in _extensions:
        _extensions.append(folder)


def make_cell(spec: CellSpec) -> Cell:
    """The cell that computes a spec: the gate algebra, or the class ``OwnCell`` of ``cells/<spec.cell>.py``.

    Raises:
        SpecError: if there is no such file, or the cell does not read a knob that the spec changes.
    """
    if spec.cell == "gated":
        return GatedCell(spec)
    own = _own_class(spec.cell)
    _refuse_what_is_not_read(spec, own)
    return own(spec)


def _refuse_what_is_not_read(spec: CellSpec, own: type[Cell]) -> None:
    changed = spec.difference()
    for key, value in flatten(spec.to_config()).items():
        legal = own.reads.get(key)
        if legal and value not in legal:
            raise SpecError(f"variant.{key}={value}: legal with cell={spec.cell} are {', '.join(map(str, legal))}")
        if legal is None and key in changed and key != "cell":
            others = f"it reads {', '.join(own.reads)}" if own.reads else "its equation is fixed"
            raise SpecError(f"variant.{key}={value}: cell={spec.cell} does not read this; {others}")


def own_file(name: str) -> Path | None:
    """The user's own file of a cell, None for one that is part of this package."""
    paths = (folder / "cells" / f"{name}.py" for folder in _extensions)
    return next((path for path in paths if path.is_file()), None)


def _own_class(name: str) -> type[Cell]:
    path = own_file(name)
    if path:
        return _load(f"lstm_variants_extension_{name}", path)
    if name not in _available():
        raise SpecError(f"variant.cell={name}: legal are gated, {', '.join(_available())}")
    module = importlib.import_module(f"lstm_variants.cells.{name}")
    return module.OwnCell  # type: ignore[no-any-return]


def _available() -> list[str]:
    folders = [Path(__file__).parent, *(folder / "cells" for folder in _extensions)]
    return sorted(path.stem for folder in folders for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _load(module_name: str, path: Path) -> type[Cell]:
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module.OwnCell  # type: ignore[no-any-return]
