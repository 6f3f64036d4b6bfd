"""What every run of a process shares: versions, platform, the checkout's commit."""

from __future__ import annotations

import functools
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
import torch


@functools.cache
def machine() -> dict[str, Any]:
    """What every run of this process shares: versions, platform, commit."""
    commit, dirty = _commit()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "gates": _version(),
        "platform": platform.platform(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "host": socket.gethostname(),
        "commit": commit,
        "dirty": dirty,
    }


def _version() -> str | None:
    """The installed version; None for a checkout that is only on the path."""
    try:
        return version("gates")
    except PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    """The checkout's commit and whether files differ from it; None where this is an installation.

    An installation may lie inside a repository of the user's, whose commit says nothing of files it does not hold.
    """
    try:
        _git("ls-files", "--error-unmatch", __file__)
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
