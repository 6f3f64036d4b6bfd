"""Whose a run is: whoever holds ``flock`` on its file. The kernel lets go when that process dies, however it dies."""

from __future__ import annotations

import fcntl
from pathlib import Path

from filelock import FileLock

from experiments.store.files import storing

LOOK = 0.05  # seconds that a lock is waited for; a look at it by is_held, which shares it, is shorter


def lock(study: Path, name: str, seconds: float = LOOK) -> FileLock:
    """The lock of a run, or another one of the study; negative seconds wait for ever.

    Raises:
        StorageError: if the study's folder cannot be written.
        filelock.Timeout: on entering it, if somebody else has it.
    """
    path = _path(study, name)
    with storing(study):
        path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, timeout=seconds, poll_interval=LOOK / 5)


def is_held(study: Path, name: str) -> bool:
    """Whether a process has the lock; changes nothing, and needs no right to write."""
    try:
        with _path(study, name).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # held, or this file system cannot say
        return True
    return False


def _path(study: Path, name: str) -> Path:
    return study / ".locks" / f"{name}.lock"
