"""Which figures there are: those of this folder, and DIR/figures/NAME.py of the user's folders, of the same make."""

import hashlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

from analysis.common.command_line import CommandError
from analysis.figures._figure import Drawing

MEMBERS = ("LAYOUT", "CAPTION", "numbers", "draw")
_users: dict[str, ModuleType] = {}


def use_extensions(folders: Sequence[str]) -> None:
    """Draw the user's figures, FOLDER/figures/NAME.py, too: these and no others from now on.

    Raises:
        CommandError: naming the folder or the file that cannot be used, and why.
    """
    _users.clear()
    for name in folders:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise CommandError(f"extensions={name}: no such folder")
        for path in sorted((folder / "figures").glob("[!_]*.py")):
            if path.stem in (*ours(), *_users):
                raise CommandError(f"{path}: there is a figure {path.stem} already; give it another name")
            _users[path.stem] = _load(path.resolve())


def ours() -> list[str]:
    """The names of the figures in this folder."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [module.name for module in modules if not module.name.startswith("_")]


def discover() -> dict[str, Drawing]:
    """Figure name -> its module, in the order of a report."""
    modules = {name: importlib.import_module(f"analysis.figures.{name}") for name in ours()} | _users
    found = {name: cast(Drawing, module) for name, module in modules.items()}
    return dict(sorted(found.items(), key=lambda item: (item[1].LAYOUT.order, item[0])))


def question(figure: Drawing) -> str:
    """The question that a figure answers."""
    return (figure.__doc__ or "").strip().splitlines()[0]


@contextmanager
def failures_named(name: str) -> Iterator[None]:
    """A figure of the user's that fails is named, in one line."""
    try:
        yield
    except Exception as error:
        if name not in _users:
            raise
        raise CommandError(f"{_users[name].__file__}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _load(path: Path) -> ModuleType:
    """The module of FOLDER/figures/NAME.py, read anew with the parts that it imports: ``from . import _parts``."""
    package = ModuleType(f"own_figures_{hashlib.sha256(os.fsencode(path.parents[1])).hexdigest()[:16]}")
    package.__path__ = [str(path.parents[1])]
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{package.__name__}.")]:
        del sys.modules[name]
    sys.modules[package.__name__] = package
    importlib.invalidate_caches()
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a compiled copy may be that of an older file
    try:
        module = importlib.import_module(f"{package.__name__}.figures.{path.stem}")
    except (Exception, SystemExit) as error:
        raise CommandError(f"{path}: {_reason(error)}") from error
    finally:
        sys.dont_write_bytecode = before
    missing = [name for name in MEMBERS if not hasattr(module, name)]
    if missing or not (module.__doc__ or "").strip():
        what = ", ".join(missing) or "a first line that says which question it answers"
        raise CommandError(f"{path}: it lacks {what}; analysis/figures/__init__.py says what a figure has")
    return module
