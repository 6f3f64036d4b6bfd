"""Standard streams that are closed, full or no longer read: they end no work, and what is lost is said if it can be.

A person may close them (``2>&-``), fill the disk that they go to, or have seen enough (``| head``).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import re
import sys
from typing import Any

atexit.register(gc.freeze)  # or Python looks through all that there is when it ends, half a second with torch

GATES = "GATES_COMMAND"  # set in the environment of the command `gates` and of its workers


class Forgiving:
    """A text stream that keeps its first error instead of raising it."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.lost = stream, None

    def write(self, text: str) -> int:
        self._try(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def _try(self, call: Any, *arguments: Any) -> None:
        try:
            call(*arguments)
        except (OSError, ValueError) as error:  # ValueError: it has been closed since
            self.lost = self.lost or error  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def prepare(stdout: bool = False) -> None:
    """Open what is closed, escape what has no code; errors of stderr, and with ``stdout`` of both, end no work."""
    for number in range(3):  # or the next file that is opened becomes a standard stream
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # letters that the terminal's encoding lacks
        forgive = not isinstance(stream, Forgiving) and (stdout or name == "stderr")
        setattr(sys, name, Forgiving(stream) if forgive else stream)


def say(text: str) -> None:
    """A line on stderr, if somebody can be told."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(as_typed(text), file=sys.stderr, flush=True)


def as_typed(text: str) -> str:
    """The text with our commands as its reader types them: ``gates run`` where the command ``gates`` is at work."""
    if GATES not in os.environ:
        return text
    return re.sub(r"python -m (?:experiments|analysis)\.([a-z]+)\b", r"gates \1", text)


def finished(program: str, status: int = 0) -> int:
    """The exit status once all that was printed has gone out: 2 if it cannot. A reader who has left is no error."""
    lost = None
    try:
        sys.stdout.flush()
        lost = getattr(sys.stdout, "lost", None)
    except OSError as error:
        lost = error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it is tried again at the end
    if status or lost is None or isinstance(lost, BrokenPipeError):
        return status
    say(f"{program}: standard output cannot be written ({getattr(lost, 'strerror', None) or lost})")
    return 2
