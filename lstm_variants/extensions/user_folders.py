"""The user's own folders in use, and their files: DIR/conf, DIR/cells/NAME.py, tasks, activations, inits, figures.

A file whose name begins with ``_`` is a part that others share: ``from . import _parts``.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KINDS = ("cells", "tasks", "activations", "inits", "figures")
Folders = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_folders: tuple[Path, ...] = ()
_generation = 0


class ExtensionError(ValueError):
    """A folder or file of the user's own that cannot be used; the message names it and what is wrong."""


def folders() -> tuple[Path, ...]:
    """The user's folders in use, as absolute paths."""
    return _folders


def generation() -> int:
    """A number that is another one whenever the folders or their configuration files have changed: a key for caches."""
    return _generation


def set_used(used: Sequence[Path], changed: bool) -> None:
    """Use these folders from now on; :func:`lstm_variants.extensions.registration.use` has checked them."""
    global _folders, _generation
    _folders, _generation = tuple(used), _generation + changed


def listed(given: Folders) -> tuple[Path, ...]:
    """Folders as a person gives them (one, several separated by commas, or a list) as absolute paths, each once.

    Raises:
        ExtensionError: for a folder that is not there, or that holds nothing of what a folder may hold.
    """
    found: list[Path] = []
    for text in _texts(given):
        folder = Path(os.path.abspath(Path(text).expanduser()))
        if not str(text) or not folder.is_dir():
            raise ExtensionError(f"extensions={text}: no such folder")
        if not any((folder / kind).is_dir() for kind in ("conf", *KINDS)):
            raise ExtensionError(f"extensions={text}: there is none of conf, {', '.join(KINDS)} in this folder")
        if not any(folder.samefile(other) for other in found):
            found.append(folder)
    return tuple(found)


def _texts(given: Any) -> list[str | os.PathLike[str]]:
    if isinstance(given, str):
        return [given] if Path(given).expanduser().is_dir() else list(given.split(","))
    several = list(given) if isinstance(given, Sequence) else [given]
    for folder in several:
        if not isinstance(folder, str | os.PathLike):
            raise ExtensionError(f"extensions={folder}: a folder or a list of folders is needed")
    return several


def conf_folders() -> list[Path]:
    """The configuration folders of the folders in use."""
    return [path for folder in _folders if (path := folder / "conf").is_dir()]


def names(kind: str) -> list[str]:
    """The names of the user's own cells, tasks ..."""
    found = {path.stem for folder in _folders for path in (folder / kind).glob("*.py")}
    return sorted(name for name in found if not name.startswith("_"))


def file(kind: str, name: str) -> Path | None:
    """The user's file of that name, or None."""
    paths = [folder / kind / f"{name}.py" for folder in _folders if name in names(kind)]
    return next((path for path in paths if path.is_file()), None)


def sources(kind: str, name: str) -> list[Path]:
    """The user's file of that name, the shared parts beside it, what they import; empty if there is no such file."""
    path = file(kind, name)
    found = [path, *sorted(path.parent.glob("_*.py"))] if path else []
    for source in found:  # and of those that are found on the way
        found += [other for other in _imported(source) if other not in found]
    return found


def _imported(path: Path) -> list[Path]:
    """The files of its folder that a file imports."""
    try:
        nodes = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ImportFrom)]
    except (OSError, SyntaxError, ValueError):
        return []
    modules = [
        path.parents[node.level - 1].joinpath(*(node.module or "").split("."), name)
        for node in nodes
        if 0 < node.level < len(path.parents)
        for name in ("", *(alias.name for alias in node.names))
    ]
    return [
        file
        for module in dict.fromkeys(modules)
        for file in (module.with_name(f"{module.name}.py"), module / "__init__.py")
        if file.is_file()
    ]
