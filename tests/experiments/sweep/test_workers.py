"""Worker processes need nothing of the user's script, end when told to, and blame no run for what is not its own."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from sweeps import LONGER, NO_MIRROR, ROOT, holder, jobs

import experiments
from experiments.config.job import Job
from experiments.store.locks import lock
from experiments.sweep import signals, workers
from experiments.sweep.grouping import stacks
from experiments.sweep.run_stack import InterruptedRunError, Run
from experiments.sweep.workers import WorkerError, run_in_processes

UNENDING = [*LONGER, "train.steps=1000000", "train.eval_every=1000000", NO_MIRROR]
SCRIPT = """
import experiments
print("once")
settings = {"train.steps": 2, "train.eval_every": 2, "task.length": 10, "model.hidden_size": 4}
made = experiments.sweep({"seed": range(4)}, workers=2, study=STUDY, task="adding", **settings)
print(*made["status"])
"""

WORKER_WITH_A_LOCK = """
import multiprocessing
from experiments.sweep import workers
def live():
    global lock
    lock = multiprocessing.RLock()
    workers._end()
if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=live)
    worker.start()
    worker.join()
    print(worker.exitcode)
"""


def test_a_worker_that_ends_leaves_no_semaphore_behind(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WORKER_WITH_A_LOCK)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=200)
    assert (ended.stdout, ended.stderr) == ("0\n", "")


@pytest.mark.slow
def test_a_script_without_a_main_guard_runs_once_whether_it_is_a_file_or_typed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("STUDY", repr(str(tmp_path / "of a file"))))
    typed = SCRIPT.replace("STUDY", repr(str(tmp_path / "typed")))
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, *more], env=environment, **pipes) for more in ([script], ["-"])]
    for process, text in zip(both, ["", typed], strict=True):
        shown, errors = process.communicate(text, timeout=200)
        assert (process.returncode, shown.split()) == (0, ["once", *["finished"] * 4]), errors


@pytest.mark.parametrize("weights", [None, {"scalar": torch.tensor(0.5), "matrix": torch.arange(6.0).view(2, 3).t()}])
def test_a_run_is_whole_when_it_comes_from_a_worker(weights: dict[str, torch.Tensor] | None) -> None:
    run = Run({"run_id": "a", "status": "finished"}, [{"step": 0}], weights)
    came = pickle.loads(pickle.dumps(run))
    assert (came.record, came.rows) == (run.record, run.rows)
    assert (came.weights is None) == (weights is None)
    for name, value in (weights or {}).items():
        assert torch.equal(came.weights[name], value)
        came.weights[name] += 1  # they are the caller's to change


def status_of(job: Job) -> str:
    assert job.folder is not None
    return str(json.loads((job.folder / "run.json").read_text())["status"])


@pytest.fixture
def heard() -> Iterator[None]:
    """SIGHUP is heard, though the tests be run under ``nohup``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def ended_by(sent: signal.Signals, many: list[Job], first: Callable[[int], None]) -> None:
    """Train in workers until the first step; then something happens to a worker, and this process is sent a signal."""
    seen: list[int] = []

    def on_event(event: dict[str, Any]) -> None:
        if not seen:
            seen.append(holder(next(job for job in many if job.run_id == event["stack"][0])))
            first(seen[0])
            os.kill(os.getpid(), sent)

    with pytest.raises(InterruptedRunError) as caught:
        run_in_processes(stacks(many, {}, 1, 2), 2, on_event)
    assert caught.value.signum == sent


@pytest.mark.slow
@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_sweep_though_a_worker_is_stopped(tmp_path: Path, sent: signal.Signals) -> None:
    (job,) = many = jobs(tmp_path, *UNENDING, variants=["lstm"], seeds=1)
    ended_by(sent, many, lambda worker: os.kill(worker, signal.SIGSTOP))
    assert status_of(job) == "interrupted"
    assert (tmp_path / job.run_id / "checkpoint.pt").is_file()


def test_a_worker_that_does_not_answer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE", 0.5)
    monkeypatch.setattr(workers._Worker, "ask_to_end", lambda worker: None)
    (job,) = many = jobs(tmp_path, *UNENDING, variants=["lstm"], seeds=1)
    ended_by(signal.SIGTERM, many, lambda worker: os.kill(worker, signal.SIGSTOP))
    assert status_of(job) == "running"  # the same command goes on from its last checkpoint
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_what_nohup_rules_out_is_not_heard() -> None:
    before = signal.getsignal(signal.SIGHUP)
    heard: list[int] = []
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with signals.handled(heard.append):
            os.kill(os.getpid(), signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with signals.handled(heard.append):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [signal.SIGHUP]


@pytest.mark.slow
def test_workers_that_cannot_begin_are_no_fault_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "used_extensions", lambda: str(tmp_path / "gone"))
    with pytest.raises(WorkerError, match=r"^worker processes end before they begin \(exit code 1\).*workers=1"):
        run_in_processes(
            stacks(jobs(tmp_path / "s", *UNENDING, variants=["lstm"], seeds=1), {}, 1, 1), 1, lambda event: None
        )
    assert not (tmp_path / "s").exists()


def test_a_sweep_waits_for_what_another_process_makes_and_takes_up_what_it_leaves(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"task": "adding", "train.steps": 4, "train.eval_every": 2, "task.length": 10}
    settings |= {"model.hidden_size": 4, "record.wandb.mode": "disabled"}
    study, seeds = tmp_path / "study", [0, 1, 2]
    elsewhere = experiments.sweep({"seed": seeds}, study=str(tmp_path / "elsewhere"), **settings)
    theirs, dropped = elsewhere["run_id"][:2]
    found: list[pd.DataFrame] = []
    sweep = threading.Thread(
        target=lambda: found.append(experiments.sweep({"seed": seeds}, study=str(study), **settings))
    )
    with lock(study, theirs), lock(study, dropped):
        sweep.start()
        shown = ""
        while "waiting for 2 runs that another process is making" not in shown:
            shown += capfd.readouterr().err
            time.sleep(0.05)
        shutil.copytree(tmp_path / "elsewhere" / theirs, study / theirs)
        record = study / theirs / "run.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"notes": ["theirs"]}))
        assert sweep.is_alive()
    sweep.join(60)
    pd.testing.assert_frame_equal(found[0], elsewhere)
    assert json.loads(record.read_text())["notes"] == ["theirs"]
    assert json.loads((study / dropped / "run.json").read_text())["notes"] == []
