"""Figures of a user's own: DIR/figures/NAME.py, beside those of analysis/figures and of the same make."""

import importlib.util
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from analysis.common.command_line import CommandError

MEMBERS = ("LAYOUT", "CAPTION", "numbers", "draw")
_found: dict[str, ModuleType] = {}
_folders: list[str] = []


def use(folders: Sequence[str], ours: Collection[str]) -> None:
    """The folders with the user's figures from now on.

    Raises:
        CommandError: naming the folder or the file that cannot be used, and why.
    """
    _found.clear()
    _folders[:] = [str(Path(said).expanduser().absolute()) for said in folders]
    for said in folders:
        folder = Path(said).expanduser()
        if not folder.is_dir():
            raise CommandError(f"extensions={said}: no such folder")
        for path in sorted((folder / "figures").glob("[!_]*.py")):
            if path.stem in (*ours, *_found):
                raise CommandError(f"{path}: there is a figure {path.stem} already; give it another name")
            _found[path.stem] = _load(path.resolve())


def found() -> dict[str, Any]:
    """Name -> module."""
    return dict(_found)


def folders() -> list[str]:
    """The folders in use, for other processes."""
    return list(_folders)


@contextmanager
def named(name: str) -> Iterator[None]:
    """A figure of the user's that fails is named, in one line."""
    try:
        yield
    except Exception as error:
        if name not in _found:
            raise
        raise CommandError(f"{_found[name].__file__}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"own_figure_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise CommandError(f"{path}: {_reason(error)}") from error
    missing = [name for name in MEMBERS if not hasattr(module, name)]
    if missing or not (module.__doc__ or "").strip():
        what = ", ".join(missing) or "a first line that says which question it answers"
        raise CommandError(f"{path}: it lacks {what}; analysis/figures/__init__.py says what a figure has")
    return module
