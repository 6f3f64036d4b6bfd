"""The content of the files that a task reads: that is part of a run, not where they lie or how one names them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path


def named_by(settings: Mapping[str, object]) -> dict[str, list[Path]]:
    """The files behind the settings ``path`` and ``..._path``: a file, or all files of a folder."""
    found = {}
    for key, value in settings.items():
        if isinstance(value, str) and (key == "path" or key.endswith("_path")):
            path = Path(value).expanduser()
            files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
            found[key] = [file for file in files if file.is_file()]
    return {key: files for key, files in found.items() if files}


def file_contents(files: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """16 hex digits for each setting that change with the content of its files, and with their names if several."""
    return {key: _content(paths) for key, paths in files.items()}


def _content(paths: Sequence[Path]) -> str:
    hasher = hashlib.sha256()
    for path in paths:
        name = path.name if len(paths) > 1 else ""
        hasher.update(f"{name} {_digest(path, _stamp(path))} ".encode())
    return hasher.hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@functools.lru_cache(maxsize=1024)
def _digest(path: Path, stamp: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
