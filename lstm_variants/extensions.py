"""Folders of a user's own, whose Python files stand beside ours: DIR/cells/NAME.py, tasks, activations and inits.

A folder is a package under a name made from its path, which is the same in every process that uses the folder; so what
its files define can be sent to worker processes. A file whose content has changed is read again, with all others of its
folder. A file whose name begins with ``_`` is a part that others share: ``from . import _parts``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstm_variants.activations import ACTIVATIONS, check_activation
from lstm_variants.parameters import RECURRENT, RULES, check_recurrent, check_rule

WANTED: dict[str, dict[str, Callable[[object], object]]] = {
    "activations": {"ACTIVATION": check_activation},
    "inits": {"RULE": check_rule, "RECURRENT": check_recurrent},
}
TABLES: dict[str, dict[str, Any]] = {"ACTIVATION": ACTIVATIONS, "RULE": RULES, "RECURRENT": RECURRENT}
_folders: tuple[Path, ...] = ()
_added: list[tuple[dict[str, Any], str]] = []  # what the user's folders have added to the tables
_read: dict[str, tuple[Path, bytes | None]] = {}  # module -> its file, and the content that was read


class ExtensionError(ValueError):
    """A file of the user's own that cannot be used; the message names it and what is wrong."""


def use(folders: Sequence[Path]) -> None:
    """The user's folders from now on, in place of those before; absolute paths.

    Raises:
        ExtensionError: for an activation or an init that is not what it has to be; then nothing has changed.
    """
    global _folders, _added
    for folder in folders:
        package = types.ModuleType(_package(folder))
        package.__path__ = [str(folder)]
        sys.modules.setdefault(package.__name__, package)
    files = [path for folder in folders for kind in WANTED for path in sorted((folder / kind).glob("[!_]*.py"))]
    entries = [(TABLES[name], path.stem, entry) for path in files for name, entry in _defined(path).items()]
    for table, name in _added:
        del table[name]
    for table, name, entry in entries:
        table[name] = entry
    _folders, _added = tuple(folders), [(table, name) for table, name, _ in entries]


def _defined(path: Path) -> dict[str, Any]:
    """What the file of an activation or an init adds to the tables, tried once.

    Raises:
        ExtensionError: if there is nothing, or it is not what it has to be.
    """
    module, wanted = load(path), WANTED[path.parent.name]
    found = {name: getattr(module, name) for name in wanted if hasattr(module, name)}
    if not found:
        raise ExtensionError(f"{path}: it defines no {' and no '.join(wanted)}")
    for name, entry in found.items():
        try:
            wanted[name](entry)
        except Exception as error:
            text = str(error) if isinstance(error, ValueError) else reason(error, path)
            raise ExtensionError(f"{path}: {name}: {text}") from error
    return found


def folders() -> tuple[Path, ...]:
    """The user's folders in use."""
    return _folders


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
    for one in found:  # and of those that are found on the way
        found += [other for other in _imported(one) if other not in found]
    return found


def _imported(path: Path) -> list[Path]:
    """The files of its folder that a file imports."""
    try:
        nodes = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ImportFrom)]
    except (OSError, SyntaxError, ValueError):
        return []
    named = [
        path.parents[node.level - 1].joinpath(*(node.module or "").split("."), name)
        for node in nodes
        if 0 < node.level < len(path.parents)
        for name in ("", *(alias.name for alias in node.names))
    ]
    return [
        file
        for one in dict.fromkeys(named)
        for file in (one.with_name(f"{one.name}.py"), one / "__init__.py")
        if file.is_file()
    ]


def load(path: Path) -> types.ModuleType:
    """The module of a file that :func:`file` found.

    Raises:
        ExtensionError: if it cannot be read.
    """
    if "." in path.stem:
        raise ExtensionError(f"{path}: a name without dots is needed")
    _forget_what_has_changed()
    name = f"{_package(path.parents[1])}.{path.parent.name}.{path.stem}"
    try:
        with _no_compiled_copies():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        _forget(_package(path.parents[1]))
        raise ExtensionError(f"{path}: {reason(error, path)}") from error
    finally:
        _remember(_package(path.parents[1]))


def reason(error: BaseException, path: Path) -> str:
    """What went wrong in a file of the user's, in one line, and where."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    text = getattr(error, "msg", None) or " ".join(str(error).split())
    return f"{type(error).__name__}{': ' * bool(text)}{text}{'' if line is None else f' (line {line})'}"


def _package(folder: Path) -> str:
    return f"own_{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"


@contextmanager
def _no_compiled_copies() -> Iterator[None]:
    """Python takes an old compiled copy for a file's if both are of one second and size."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _remember(package: str) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package}.") and name not in _read and getattr(module, "__file__", None):
            path = Path(str(module.__file__))
            _read[name] = (path, _content(path))


def _forget_what_has_changed() -> None:
    changed = {name.partition(".")[0] for name, (path, content) in _read.items() if _content(path) != content}
    for package in changed:
        _forget(package)


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        del sys.modules[name]
        _read.pop(name, None)
