"""The tasks, one file each, found by name: nothing to register. A name starting with ``_`` is a shared part."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from experiments.tasks._sharing import shared
from experiments.tasks.base import Task, TaskError

_extensions: list[Path] = []
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}


def add_extensions(folder: Path) -> None:
    """Also look for tasks in ``folder/tasks``."""
    if folder not in _extensions:
        _extensions.append(folder)


def task_names() -> list[str]:
    """The names of all tasks."""
    folders = [Path(__file__).parent, *(folder / "tasks" for folder in _extensions)]
    found = {path.stem for folder in folders for path in folder.glob("*.py")}
    return sorted(name for name in found if not name.startswith("_") and name != "base")


def load_task(name: str, settings: Mapping[str, Any]) -> Task:
    """Build a task from its settings, the keys of ``conf/task/NAME.yaml``.

    Raises:
        TaskError: for an unknown name, an unknown or missing key, or a value of the wrong type.
    """
    if name not in task_names():
        raise TaskError(f"task={name}: no such task{_nearest(name, task_names())}")
    kind = _task_class(name)
    hints = get_type_hints(kind)
    wanted = {field.name: hints[field.name] for field in fields(kind)}
    for key in settings:
        if key not in wanted:
            raise TaskError(f"task.{key}: {name} has no such setting{_nearest(key, list(wanted))}")
    for key in wanted:
        if key not in settings:
            raise TaskError(f"task.{key}: {name} needs this setting")
    return shared(kind, {key: _typed(key, settings[key], hint) for key, hint in wanted.items()})


def _nearest(name: str, known: list[str]) -> str:
    match = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {match[0]}?" if match else f"; there are {', '.join(known)}"


def _task_class(name: str) -> type[Task]:
    module = task_module(name)
    own = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Task) and kind.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise TaskError(f"task={name}: its file must define one class derived from Task, it defines {len(own)}")
    return own[0]


def own_file(name: str) -> Path | None:
    """The user's own file of a task, None for one that is part of this package."""
    paths = (folder / "tasks" / f"{name}.py" for folder in _extensions)
    return next((path for path in paths if path.is_file()), None)


def task_module(name: str) -> types.ModuleType:
    """The file of a task."""
    path = own_file(name)
    if path:
        return _load(f"experiments_extension_{name}", path)
    return importlib.import_module(f"experiments.tasks.{name}")


def _load(module_name: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def _typed(key: str, value: Any, hint: Any) -> Any:
    """The value if it is of the type; a whole number passes for a number, a number for a text, a list for a tuple."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise TaskError(f"task.{key}={value}: a list is needed, such as [100, 200]")
        return tuple(_typed(key, item, get_args(hint)[0]) for item in value)
    legal = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(value) in legal:
        return value
    if float in legal and type(value) is int:
        return float(value)
    if str in legal and type(value) in (int, float):
        return str(value)
    raise TaskError(f"task.{key}={value}: {' or '.join(_KINDS[kind] for kind in legal)} is needed")
