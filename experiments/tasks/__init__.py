"""The tasks, one file each, found by name: nothing to register. A name starting with ``_`` is a shared part.

May import: lstm_variants.
"""

from __future__ import annotations

import importlib
import inspect
import math
import types
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from experiments.tasks._file_contents import file_contents as file_contents
from experiments.tasks._sharing import shared
from experiments.tasks.base import LOSSES, Task, TaskError
from lstm_variants.extensions import user_folders, user_modules
from lstm_variants.hints import OF_FILES, nearest

PARTS = (
    *("input_size", "output_size", "loss_kind", "metric", "direction", "unit", "carry", "chance_loss", "chance"),
    *("solved", "lag"),
)
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}


def task_names() -> list[str]:
    """The names of all tasks."""
    ours = [path.stem for path in Path(__file__).parent.glob("[!_]*.py") if path.stem != "base"]
    return sorted([*ours, *user_folders.names("tasks")])


def load_task(name: str, settings: Mapping[str, Any]) -> Task:
    """Build a task from its settings, the keys of ``conf/task/NAME.yaml``.

    Raises:
        TaskError: for an unknown name, an unknown or missing key, or a value of the wrong type.
    """
    if name not in task_names():
        raise TaskError(f"task={name}: no such task; {nearest(name, task_names(), OF_FILES)}")
    kind = _task_class(name)
    wanted = _settings(kind, name)
    for key in settings:
        if key not in wanted:
            raise TaskError(f"task.{key}: {_called(name)} has no such setting; {nearest(key, wanted)}")
    for key in wanted:
        if key not in settings:
            raise TaskError(f"task.{key}: {_called(name)} needs this setting, in conf/task/{name}.yaml")
    values = {key: _typed(key, settings[key], hint) for key, hint in wanted.items()}
    return _own_task(kind, values, name) if own_file(name) else shared(kind, values)


def _called(name: str) -> str:
    """A task as an error calls it: by its file, if that is the user's own."""
    return str(own_file(name) or name)


def _settings(kind: type[Task], name: str) -> dict[str, Any]:
    """The fields of a task's class, with their types."""
    try:
        hints = get_type_hints(kind)
    except Exception as error:
        raise TaskError(f"{_called(name)}: {type(error).__name__}: {error}") from error
    wanted = {field.name: hints[field.name] for field in fields(kind)}
    for key, hint in wanted.items():
        kinds = get_args(hint)[:1] if get_origin(hint) is tuple else get_args(hint) or (hint,)
        if not {*kinds} <= {*_KINDS}:
            legal = "int, float, bool, str, with | None or not, or a tuple of one of them"
            raise TaskError(
                f"{_called(name)}: the setting {key} is {inspect.formatannotation(hint)}; legal are {legal}"
            )
    return wanted


def _own_task(kind: type[Task], settings: Mapping[str, Any], name: str) -> Task:
    """A task of the user's own that has every part of the contract.

    Raises:
        TaskError: naming the file and what is missing.
    """
    try:
        task = shared(kind, settings)
        lacking = [part for part in PARTS if not _has(task, part)]
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(f"{_called(name)}: {user_modules.reason(error, Path(_called(name)))}") from error
    if all(getattr(kind, part) is getattr(Task, part) for part in ("sample", "training_batch")):
        lacking.append("sample")
    if lacking:
        raise TaskError(f"{_called(name)}: class {kind.__name__} lacks {', '.join(lacking)}")
    for part, legal in (("loss_kind", LOSSES), ("direction", ("min", "max"))):
        if getattr(task, part) not in legal:
            raise TaskError(f"{_called(name)}: {part}={getattr(task, part)}: legal are {', '.join(legal)}")
    return task


def _has(task: Task, part: str) -> bool:
    try:
        getattr(task, part)
    except NotImplementedError:
        return False
    return True


def _task_class(name: str) -> type[Task]:
    module = task_module(name)
    own = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Task) and kind.__module__ == module.__name__
    ]
    if len(own) != 1:
        what = f"task={name}: its file must define one class derived from Task, it defines {len(own)}"
        raise TaskError(f"{_called(name)}: {what}" if own_file(name) else what)
    return own[0]


def own_file(name: str) -> Path | None:
    """The user's own file of a task, None for one that is part of this package."""
    return user_folders.file("tasks", name)


def task_module(name: str) -> types.ModuleType:
    """The file of a task."""
    path = own_file(name)
    return user_modules.load(path) if path else importlib.import_module(f"experiments.tasks.{name}")


def _typed(key: str, value: Any, hint: Any) -> Any:
    """The value if it is of the type; a whole number passes for a number, a number for a text, a list for a tuple."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise TaskError(f"task.{key}={value}: a list is needed, such as [100, 200]")
        return tuple(_typed(key, item, get_args(hint)[0]) for item in value)
    legal = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(value) is float and not math.isfinite(value):
        raise TaskError(f"task.{key}={value}: a finite number is needed")
    if type(value) in legal:
        return value
    if float in legal and type(value) is int:
        return float(value)
    if str in legal and type(value) in (int, float):
        return str(value)
    raise TaskError(f"task.{key}={value}: {' or '.join(_KINDS[kind] for kind in legal)} is needed")
