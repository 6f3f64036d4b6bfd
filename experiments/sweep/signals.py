"""The signals that end a command: what is trained is checkpointed first, and the same command goes on from there."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


def ending() -> list[signal.Signals]:
    """SIGTERM, SIGINT and SIGHUP (the terminal is gone), but not a SIGHUP that ``nohup`` has ruled out."""
    unheard = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if unheard else [signal.SIGHUP])]


@contextlib.contextmanager
def handled(handler: Callable[[int], object]) -> Iterator[None]:
    """A handler of them, in the main thread; in any other Python gets no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {which: signal.signal(which, lambda signum, frame: handler(signum)) for which in ending()}
    try:
        yield
    finally:
        for which, earlier in before.items():
            signal.signal(which, earlier)
