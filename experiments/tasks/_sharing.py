"""One copy of a task, and so of the data that it reads, for all runs of a process that ask for the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from experiments.tasks.base import Task

Key = tuple[Any, ...]
_living: WeakValueDictionary[Key, Task] = WeakValueDictionary()
_latest: deque[Task] = deque(maxlen=1)  # a worker lets go of a stack before it gets the next one


def shared(kind: type[Task], settings: Mapping[str, Any]) -> Task:
    """The task of a class with these settings; another one once a file that a setting names has been replaced.

    Args:
        settings: a value for every field of the class.
    """
    key = (kind, repr(sorted(settings.items())), *(_stamp(value) for value in settings.values()))
    task = _living.get(key)
    if task is None:
        task = _living[key] = kind(**settings)
    _latest.append(task)
    return task


def _stamp(value: Any) -> Key:
    """What changes when the file, or a file of the folder, that a setting names is replaced; empty if it names none."""
    if not isinstance(value, str):
        return ()
    try:
        path = Path(value).expanduser()
        return tuple(_facts(file) for file in (path, *(sorted(path.iterdir()) if path.is_dir() else ())))
    except (OSError, ValueError, RuntimeError):  # no path, or nothing there
        return ()


def _facts(file: Path) -> Key:
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
