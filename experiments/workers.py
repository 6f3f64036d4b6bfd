"""Stacks on one machine: in this process or in worker processes that may die without taking the sweep with them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from experiments.configs import Job, use_extensions, used_extensions
from experiments.record import fail
from experiments.stack import Event, InterruptedRunError, Run, execute

Stack = Sequence[Job]
DEATHS = 3  # workers that may die on a run alone before it counts as failed


def run_here(stacks: Sequence[Stack], on_event: Callable[[Event], None]) -> list[Run]:
    """One stack after another in this process."""
    return [run for stack in stacks for run in execute(stack, on_event)]


def run_in_processes(stacks: Sequence[Stack], workers: int, on_event: Callable[[Event], None]) -> list[Run]:
    """Stacks shared by worker processes.

    A worker that dies (out of memory, killed) loses its stack only: the stack is split and tried smaller; a run on
    which three workers died alone is recorded as failed.

    Raises:
        InterruptedRunError: on SIGINT or SIGTERM, after every worker has checkpointed.
    """
    runs: list[Run] = []
    deaths: Counter[str] = Counter()
    waiting = list(stacks)
    while waiting:
        done, lost = _one_pool(waiting, workers, on_event)
        runs += done
        waiting = []
        for stack, begun in lost:
            deaths.update(job.run_id for job in stack if begun)
            waiting += _tried_again(stack, begun, deaths)
    return runs


def _tried_again(stack: Stack, begun: bool, deaths: Counter[str]) -> list[Stack]:
    if not begun:
        return [stack]
    if len(stack) > 1:
        half = len(stack) // 2
        return [stack[:half], stack[half:]]
    if deaths[stack[0].run_id] < DEATHS:
        return [stack]
    fail(stack[0], f"{DEATHS} worker processes died on this run (out of memory?)")
    return []


def _one_pool(
    stacks: Sequence[Stack], workers: int, on_event: Callable[[Event], None]
) -> tuple[list[Run], list[tuple[Stack, bool]]]:
    """Runs done, and the stacks lost to a worker that died, each with whether it had begun."""
    context = multiprocessing.get_context("spawn")
    events, stop, begun = context.Queue(), context.Event(), set()

    def hear(event: Event) -> None:
        begun.update(event.get("begun", ()))
        on_event(event)

    listener = threading.Thread(target=_listen, args=(events, hear), daemon=True)
    listener.start()
    done: list[Run] = []
    lost: list[Stack] = []
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(events, stop, used_extensions()))
    try:
        with _signals_interrupt():
            futures = {pool.submit(_work, stack): stack for stack in stacks}
            for future in as_completed(futures):
                _collect(future, futures[future], done, lost)
    except InterruptedRunError:
        stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        events.put(None)
        listener.join(timeout=5)
        events.cancel_join_thread()
    return done, [(stack, stack[0].run_id in begun) for stack in lost]


def _collect(future: Future[list[Run]], stack: Stack, done: list[Run], lost: list[Stack]) -> None:
    try:
        done += future.result()
    except BrokenProcessPool:
        lost.append(stack)


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    def interrupt(signum: int, frame: object) -> None:
        raise InterruptedRunError(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {which: signal.signal(which, interrupt) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _listen(events: Any, hear: Callable[[Event], None]) -> None:
    while (event := events.get()) is not None:
        hear(event)


_events: Any = None  # a worker's way to report, set when it begins


def _begin(events: Any, stop: Any, extensions: str | None) -> None:
    """Set a worker up: it reports through ``events``, ends when told, and never outlives its parent."""
    global _events
    _events = events
    events.cancel_join_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and tells
    use_extensions(extensions)
    threading.Thread(target=_stop_when_told, args=(stop,), daemon=True).start()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _stop_when_told(stop: Any) -> None:
    stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(stack: Stack) -> list[Run]:
    _events.put({"begun": [job.run_id for job in stack]})
    try:
        return execute(stack, _events.put)
    except InterruptedRunError as interrupted:
        return interrupted.runs
