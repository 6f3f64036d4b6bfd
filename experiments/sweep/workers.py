"""Stacks on one machine: in this process or in worker processes that may die without taking the sweep with them."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from analysis.common import resources, terminal
from experiments.config.extensions_option import use_extensions, used_extensions
from experiments.config.job import Job
from experiments.sweep import signals
from experiments.sweep.run_stack import Event, InterruptedRunError, Run, execute, failed
from experiments.tracking import wandb_runs
from experiments.training.allocator import keep_freed_memory

Stack = Sequence[Job]
DEATHS = 3  # workers that may die on a run alone before it counts as failed
PATIENCE = 0.2  # seconds until a signal is noticed
GRACE = 60.0  # seconds in which a worker ends, with a checkpoint
WORKER_BYTES = 400_000_000  # of a process that has imported torch and trains little nets


def number_of_workers() -> int:
    """One per core, as far as their memory suffices."""
    return max(1, min(resources.cores(), resources.memory_free() // WORKER_BYTES))


def run_here(stacks: Sequence[Stack], on_event: Callable[[Event], None]) -> list[Run]:
    """One stack after another in this process."""
    return [run for stack in stacks for run in execute(stack, on_event)]


def run_in_processes(stacks: Sequence[Stack], workers: int, on_event: Callable[[Event], None]) -> list[Run]:
    """Stacks shared by worker processes.

    A worker that dies (out of memory, killed) loses its stack only, and another takes its place: the stack is split
    and tried smaller while the others go on; a run on which three workers died alone is recorded as failed.

    Raises:
        InterruptedRunError: on SIGINT, SIGTERM or SIGHUP, after every worker has checkpointed.
        WorkerError: if processes die before they can begin.
    """
    runs: list[Run] = []
    deaths: Counter[str] = Counter()  # by run, and under "" those of workers that had not begun
    waiting = deque(stacks)
    came: list[int] = []
    with signals.handled(came.append):
        processes = [_Worker() for _ in range(min(workers, len(stacks)))]
        try:
            while not came and (waiting or any(worker.stack for worker in processes)):
                _occupy(processes, waiting)
                for worker in _with_messages(processes):
                    made, lost = worker.receive(on_event)
                    runs += made
                    if lost:
                        waiting.extendleft(_tries(worker, lost, deaths))
                    if lost and deaths[lost[0].run_id] == DEATHS:
                        runs.append(failed(lost[0], f"{DEATHS} worker processes died on this run (out of memory?)"))
                        on_event({"done": [lost[0].run_id]})
        finally:
            _stop(processes)
        if came:  # the workers may have got it too, and be done
            raise InterruptedRunError(came[0])
    return runs


def _occupy(processes: list[_Worker], waiting: deque[Stack]) -> None:
    """Give every idle worker a stack; one that has died is replaced."""
    for at, worker in enumerate(processes):
        if waiting and not worker.stack:
            processes[at] = worker if worker.process.is_alive() else _Worker()
            processes[at].give(waiting.popleft())


def _with_messages(processes: Sequence[_Worker]) -> list[_Worker]:
    ready = wait([worker.pipe for worker in processes if worker.stack], PATIENCE)
    return [worker for worker in processes if worker.pipe in ready]


def _tries(worker: _Worker, stack: Stack, deaths: Counter[str]) -> list[Stack]:
    """What is to be tried of a stack on which a worker died; no run is to blame if it had not begun."""
    if worker.begun:
        return _smaller(stack, deaths)
    deaths[""] += 1
    if deaths[""] < DEATHS:
        return [stack]
    raise WorkerError(
        f"worker processes end before they begin (exit code {worker.process.exitcode}): too little memory for several, "
        "or something else in the way; with one worker (hydra.launcher.workers=1, workers=1) all runs in this process"
    )


def _smaller(stack: Stack, deaths: Counter[str]) -> list[Stack]:
    if len(stack) > 1:
        half = len(stack) // 2
        return [stack[:half], stack[half:]]
    deaths[stack[0].run_id] += 1
    return [stack] if deaths[stack[0].run_id] < DEATHS else []


def _stop(processes: Sequence[_Worker]) -> None:
    """End the processes; one that trains checkpoints first. One that takes longer than GRACE is killed."""
    late = threading.Timer(GRACE, _kill, [processes])
    late.daemon = True
    late.start()
    for worker in processes:
        worker.ask_to_end()
    for worker in processes:
        with contextlib.suppress(Exception):
            while worker.stack:
                worker.receive(lambda event: None)
        worker.pipe.close()
        worker.process.join()
    late.cancel()


def _kill(processes: Sequence[_Worker]) -> None:
    for worker in processes:
        worker.process.kill()


class WorkerError(OSError):
    """No worker process can be had here."""


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Let a process start without the user's script: to import it would do again what no main guard protects."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _Worker:
    """A process that does one stack after another, and a pipe that ends when it does."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, used_extensions()))
        with _without_main():
            self.process.start()
        theirs.close()
        self.stack: Stack = ()
        self.begun = False  # whether the process has come as far as its first message

    def give(self, stack: Stack) -> None:
        self.stack = stack
        with contextlib.suppress(OSError):  # that a process is dead shows when a message is due
            self.pipe.send(list(stack))

    def ask_to_end(self) -> None:
        """Ask it to checkpoint and end, also if somebody has stopped it."""
        if self.stack:
            self.process.terminate()
        if self.process.is_alive():
            assert self.process.pid is not None
            os.kill(self.process.pid, signal.SIGCONT)

    def receive(self, on_event: Callable[[Event], None]) -> tuple[list[Run], Stack]:
        """The runs that a message brings, and the stack that is lost if the process has died."""
        stack = self.stack
        try:
            kind, content = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            self.process.join()
            self.stack = ()
            return [], stack
        self.begun = True
        if kind == "event":
            on_event(content)
        if kind in ("begun", "event"):
            return [], ()
        self.stack = ()
        if kind == "error":
            raise content
        return content, ()


def _serve(pipe: Connection, extensions: list[str]) -> None:
    """A worker's life: it ends with its parent's end of the pipe, or with its parent."""
    terminal.prepare()
    for which in (signal.SIGINT, signal.SIGHUP):  # the parent gets it and sends SIGTERM
        signal.signal(which, signal.SIG_IGN)
    keep_freed_memory()
    gc.freeze()  # what has been imported stays: it need not be looked through time and again
    use_extensions(extensions)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def send(kind: str, content: Any) -> None:
        pipe.send_bytes(pickle.dumps((kind, content)))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        send("begun", None)
        while True:
            stack = pipe.recv()
            try:
                send("runs", execute(stack, lambda event: send("event", event)))
            except InterruptedRunError as interrupted:
                send("runs", interrupted.runs)
            except Exception as error:
                send("error", error)
    _end()


def _end() -> None:
    """Let the process end at once: to take down an interpreter that has imported torch takes most of a second."""
    wandb_runs.wait()
    wandb_runs.settle()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    atexit.register(os._exit, 0)  # of all that is registered this runs first, once multiprocessing has cleaned up


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
