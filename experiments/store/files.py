"""Files that a kill at any instant or a full disk leaves as they were or as they are to be, never torn."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from analysis.common.command_line import CommandError
from analysis.records import archive
from experiments.config.schema import ConfigError

UMASK = os.umask(0o077)  # it can only be had by setting it
os.umask(UMASK)


class StorageError(OSError):
    """A study's folder cannot be written. No run is to blame: each goes on from its last checkpoint."""


@contextlib.contextmanager
def storing(study: Path) -> Iterator[None]:
    """Name the key, the path and the reason where something below a study's folder cannot be written.

    Raises:
        ConfigError: if it is an archive.
        StorageError: for whatever else is in the way.
    """
    refuse_archive(study)
    try:
        yield
    except (StorageError, TimeoutError):  # a lock that is held is no fault of the disk
        raise
    except OSError as error:
        where, why = error.filename or study, error.strerror or error
        after = "what is recorded is whole, the same command goes on once this is mended"
        raise StorageError(f"study={study}: {where} cannot be written ({why}); {after}") from None


def refuse_archive(study: Path) -> None:
    """Refuse an archive where runs are made, planned or changed.

    Raises:
        ConfigError: if this folder is one.
    """
    try:
        archive.refuse(study, "runs are made in a study folder, study=outputs/NAME")
    except CommandError as error:
        raise ConfigError(str(error)) from None


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Write a file whole or not at all: temporary name, fsync, rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o666 & ~UMASK)  # mkstemp would keep it from everybody else
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file, whole or not at all; what is not finite is null."""
    with atomic(path) as file:
        file.write(json.dumps(_without_nan(content), indent=1, allow_nan=False).encode())


def write_tensors(path: Path, content: Any) -> None:
    """What ``torch.save`` writes, whole or not at all."""
    buffer = io.BytesIO()  # torch hides an error of the disk
    torch.save(content, buffer)
    with atomic(path) as file:
        file.write(buffer.getbuffer())


def read_tensors(path: Path) -> Any:
    """What :func:`write_tensors` wrote: tensors and plain values, never code.

    Raises:
        ConfigError: if it is not there, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:  # torch does not look at the checksums
            damaged = file.testzip()
        if damaged is None:
            return torch.load(path, weights_only=True)
    except Exception as error:  # a damaged file can make zipfile, pickle and torch raise nearly anything
        raise ConfigError(
            f"{path}: cannot be read ({next(iter(str(error).splitlines()), type(error).__name__)})"
        ) from None
    raise ConfigError(f"{path}: cannot be read (its checksum is wrong)")


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return [_without_nan(entry) for entry in value] if isinstance(value, list | tuple) else value
