"""A wandb server that fails: noticed within seconds, told of once in a sweep, whatever its processes are."""

from __future__ import annotations

import contextlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from analysis.common.terminal import say

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
    words = f"{_reason(error)}; the runs go on offline, their records are whole. To send what is missing:"
    say_once("failed", f"warning: wandb: {words} {sync_line(study)}")


def tell_nothing_made(error: Exception, study: Path) -> None:
    """Say, once in a sweep, that there are runs without a mirror."""
    later = f"python -m experiments.push study={study}"
    words = f"{_reason(error)}; there are runs without a mirror, their records are whole. To make it: {later}"
    say_once("nothing", f"warning: wandb: {words}")


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return " ".join(lines[: 3 if "validation error" in lines[0] else 1])  # pydantic's first line says nothing


def say_once(what: str, text: str) -> None:
    """A line on the terminal, from whichever process of this sweep comes first."""
    try:
        if folder := os.environ.get(STATE):
            Path(folder, what).touch(exist_ok=False)
    except OSError:  # it is there; or nothing can be kept there
        return
    say(text)


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
