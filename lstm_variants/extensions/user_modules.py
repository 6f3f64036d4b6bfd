"""Python files of the user's own folders as modules.

A folder is a package under a name made from its path, which is the same in every process that uses the folder; so what
its files define can be sent to worker processes. A file whose content has changed is read again, with all others of its
folder.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm_variants.extensions.user_folders import ExtensionError

_read: dict[str, tuple[Path, bytes | None]] = {}  # module -> its file, and the content that was read


def load(path: Path) -> types.ModuleType:
    """The module of a Python file in DIR/cells, DIR/tasks ...

    Raises:
        ExtensionError: if it cannot be read.
    """
    if "." in path.stem:
        raise ExtensionError(f"{path}: a name without dots is needed")
    _forget_what_has_changed()
    package = package_of(path.parents[1])
    try:
        with _no_compiled_copies():
            return importlib.import_module(f"{package}.{path.parent.name}.{path.stem}")
    except (Exception, SystemExit) as error:
        _forget(package)
        raise ExtensionError(f"{path}: {reason(error, path)}") from error
    finally:
        _remember(package)


def reason(error: BaseException, path: Path) -> str:
    """What went wrong in a file of the user's, in one line, and where."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    text = getattr(error, "msg", None) or " ".join(str(error).split())
    return f"{type(error).__name__}{': ' * bool(text)}{text}{'' if line is None else f' (line {line})'}"


def package_of(folder: Path) -> str:
    """The name of the package of a folder, which is made if it is not there."""
    package = types.ModuleType(f"own_{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")
    package.__path__ = [str(folder)]
    return sys.modules.setdefault(package.__name__, package).__name__


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
