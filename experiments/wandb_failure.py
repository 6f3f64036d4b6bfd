"""A wandb server that fails: noticed within seconds, told of once in a sweep, whatever its processes are."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 10  # seconds for a server to say that it is there
STATE = "GATES_WANDB_STATE"  # a folder that the processes of one sweep share


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """While the runs of one sweep, in whatever processes, are mirrored."""
    with tempfile.TemporaryDirectory(prefix="gates-wandb-") as folder:
        before = os.environ.get(STATE)
        os.environ[STATE] = folder
        try:
            yield
        finally:
            os.environ.pop(STATE)
            if before is not None:
                os.environ[STATE] = before


def given_up() -> bool:
    """Whether a process of this sweep has seen the server fail."""
    folder = os.environ.get(STATE)
    return folder is not None and os.path.exists(f"{folder}/failed")


def tell(error: Exception, study: Path) -> None:
    """Say, once in a sweep, that wandb failed."""
    try:
        if folder := os.environ.get(STATE):
            Path(folder, "failed").touch(exist_ok=False)
    except FileExistsError:
        return
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    words = f"warning: wandb: {reason}; the runs go on offline, their records are whole. To send what is missing:"
    print(f"{words} {sync_line(study)}", file=sys.stderr)


def sync_line(study: Path) -> str:
    """The command that sends all of a study that has not arrived."""
    return f"wandb sync --include-online {study / 'wandb'}"


def reach(server: str) -> None:
    """OSError, within seconds, if nobody answers there or a broken server does: wandb itself would try for long."""
    try:
        urllib.request.urlopen(f"{server}/healthz", timeout=PATIENCE).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise
