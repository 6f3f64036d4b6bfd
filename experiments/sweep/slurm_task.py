"""What a task of a Slurm array does: what is left of its runs. It can be done again at any time."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from dataclasses import dataclass

from experiments.config.extensions_option import use_extensions
from experiments.sweep.plan import make_plan
from experiments.sweep.run_stack import InterruptedRunError
from experiments.sweep.slurm_queue import ask
from experiments.sweep.workers import run_in_processes
from experiments.tracking import live


@dataclass(frozen=True)
class Task:
    """What an array task does: what is left of its runs.

    Attributes:
        jobs: pickled apart, since extensions must be known before they are read.
        extensions: the user's own folders.
        largest: runs in a stack.
        memory: bytes that it may use.
        requeue: how often it goes back to the queue.
    """

    jobs: bytes
    extensions: list[str]
    largest: int
    memory: float | None
    requeue: int

    def __call__(self) -> None:
        """At SIGTERM the runs checkpoint; the task goes back to the queue if it was the time limit that sent it."""
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            use_extensions(self.extensions)
            plan = make_plan(pickle.loads(self.jobs), 1, self.largest, memory=self.memory)
            print(plan, flush=True)
            with live.sweep():
                run_in_processes(plan.groups, 1, lambda event: None)
        except InterruptedRunError as interrupted:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends another one to what it requeues
            self._go_on_later()
            sys.exit(128 + interrupted.signum)

    def _go_on_later(self) -> None:
        """Back to the queue, unless the task was cancelled: then Slurm no longer counts it as running."""
        import submitit

        task = submitit.JobEnvironment().job_id  # 12_3: one of the SLURM_JOB_IDs of an array names the whole array
        running = ask("squeue", "--noheader", f"--jobs={task}", "--format=%T").strip() == "RUNNING"
        if running and int(os.environ.get("SLURM_RESTART_COUNT", 0)) < self.requeue:
            ask("scontrol", "requeue", task)


def _interrupt(signum: int, frame: object) -> None:
    raise InterruptedRunError(signum)
