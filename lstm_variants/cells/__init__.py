"""Cells outside the gate algebra, one file each, behind the same interface; found by name, nothing to register."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from lstm_variants.cell import Cell, GatedCell
from lstm_variants.spec import CellSpec, SpecError

_extensions: list[Path] = []


def add_extensions(folder: Path) -> None:
    """Also look for cells in ``folder/cells``."""
    if folder not in _extensions:
        _extensions.append(folder)


def make_cell(spec: CellSpec) -> Cell:
    """The cell that computes a spec: the gate algebra, or the class ``Cell`` of ``cells/<spec.cell>.py``.

    Raises:
        SpecError: if there is no such file, or the cell does not read a knob that the spec changes.
    """
    return GatedCell(spec) if spec.cell == "gated" else _own_class(spec.cell)(spec)


def _own_class(name: str) -> type[Cell]:
    for folder in _extensions:
        path = folder / "cells" / f"{name}.py"
        if path.is_file():
            return _load(f"lstm_variants_extension_{name}", path)
    try:
        module = importlib.import_module(f"lstm_variants.cells.{name}")
    except ModuleNotFoundError:
        raise SpecError(f"variant.cell={name}: legal are gated, {', '.join(_available())}") from None
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
