"""What goes wrong around a sweep, for real: full and read-only disks, dead workers, no memory, two commands at once."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sweeps import LONGER, NO_MIRROR, QUICK, ROOT, SIZES, holder, jobs, outcome

from experiments.config.compose import compose
from experiments.config.extensions_option import use_extensions
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.store.files import StorageError
from experiments.sweep.grouping import stacks
from experiments.sweep.plan import make_plan
from experiments.sweep.run_all import run_all
from experiments.sweep.workers import DEATHS, run_in_processes

HELD = ["task=held_reber", "train.steps=6", "train.eval_every=3", "record.checkpoint_every=.2", NO_MIRROR]


def start(*said: str, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "experiments.run", *said]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, **pipes)


def undisturbed(like: Sequence[Job], study: Path) -> dict[str, Any]:
    """What the same runs are, made alone in a folder of their own."""
    said = [[word for word in job.overrides if not word.startswith("study=")] + [f"study={study}"] for job in like]
    run_all([resolve(compose(words), words) for words in said], workers=1, show=False)
    return outcome(study)


# ---- the disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk can be mounted by root alone")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """A file that takes the disk's space but for some bytes."""
    ballast = disk / "ballast"
    space = os.statvfs(disk)
    ballast.write_bytes(bytes(space.f_bavail * space.f_frsize - left))
    return ballast


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_the_sweep_goes_on_from_there(disk: Path, tmp_path: Path) -> None:
    study = disk / "study"
    run_all(jobs(study, *LONGER, NO_MIRROR, seeds=1, variants=["lstm"]), workers=1, show=False)
    before = outcome(study)
    ballast = fill(disk, 0)
    with pytest.raises(StorageError, match=rf"^study={study}: {study}.*No space left on device"):
        run_all(jobs(study, *LONGER, NO_MIRROR, variants=["lstm"], seeds=2), workers=1, show=False)
    ballast.unlink()
    ballast = fill(disk, 30_000)
    said = ["-m", "seed=range(0,4)", f"study={study}", *LONGER, "hydra.launcher.workers=2", "hydra.launcher.stack=2"]
    sweep = start(*said)
    _, shown = sweep.communicate(timeout=120)
    assert sweep.returncode == 2, shown
    assert len(shown.splitlines()) == 2, shown
    plan, error = shown.splitlines()
    assert plan.startswith("3 new, 1 done")
    assert error.startswith(f"error: study={study}: {study}")
    assert "No space left on device" in error
    assert {name: entry for name, entry in outcome(study).items() if entry[0] == "finished"} == before
    ballast.unlink()
    all_of_them = jobs(study, *LONGER, NO_MIRROR, seeds=4, variants=["lstm"])
    run_all(all_of_them, workers=1, show=False)
    assert outcome(study) == undisturbed(all_of_them, tmp_path / "undisturbed")
    assert not list(study.glob("*/.*"))


def test_a_folder_that_may_only_be_read_is_named(disk: Path, tmp_path: Path) -> None:
    study = disk / "study"
    run_all(jobs(study, NO_MIRROR, seeds=1, variants=["lstm"]), workers=1, show=False)
    before = outcome(study)
    remount = ["mount", "-o", "remount,ro", str(disk)]
    subprocess.run(remount, check=True)
    assert run_all(jobs(study, NO_MIRROR, seeds=1, variants=["lstm"]), workers=1, show=False) == []
    for folder in (study, disk / "new"):
        with pytest.raises(
            StorageError, match=rf"^study={folder}: {disk}.*cannot be written \(Read-only file system\)"
        ):
            run_all(jobs(folder, NO_MIRROR, seeds=2, variants=["lstm"]), workers=1, show=False)
    assert outcome(study) == before
    subprocess.run([*remount[:2], "remount,rw", str(disk)], check=True)
    both = jobs(study, NO_MIRROR, variants=["lstm"], seeds=2)
    run_all(both, workers=1, show=False)
    assert outcome(study) == undisturbed(both, tmp_path / "undisturbed")


def test_a_study_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    study = tmp_path / "file" / "study"
    with pytest.raises(StorageError, match=rf"^study={study}: {study.parent}.* cannot be written \(Not a directory\)"):
        run_all(jobs(study, seeds=1, variants=["lstm"]), workers=1, show=False)


# ---- workers ------------------------------------------------------------------------------------------------------


def in_status(process: int, name: str) -> int:
    """A number of /proc/PID/status."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def disturbed(
    many: Sequence[Job], disturb: Callable[[dict[str, Any]], None], workers: int = 2
) -> tuple[list[Any], set[int]]:
    """Stacks of four; the runs made, and the sizes of the stacks that trained."""
    sizes = set()

    def on_event(event: dict[str, Any]) -> None:
        if "stack" in event:
            sizes.add(len(event["stack"]))
            disturb(event)

    return run_in_processes(stacks(many, {}, 4, workers), workers, on_event), sizes


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A file of the task HELD; while it lies there every batch takes its time, and no run ends."""
    folder = shutil.copytree(ROOT / "tests/data/held", tmp_path / "own")
    use_extensions([str(folder)])
    (folder / "hold").touch()
    return folder / "hold"


@pytest.mark.slow
def test_a_killed_worker_costs_its_stack_only_and_the_other_goes_on(hold: Path, tmp_path: Path) -> None:
    many = jobs(tmp_path / "study", *HELD, variants=("lstm", "gru"), seeds=4)
    first: list[str] = []
    others: set[int] = set()

    def disturb(event: dict[str, Any]) -> None:
        job = next(job for job in many if job.run_id == event["stack"][0])
        if not first:
            first.extend(event["stack"])
            others.update(child.pid for child in multiprocessing.active_children() if child.pid != holder(job))
            os.kill(holder(job), signal.SIGKILL)
        elif job.run_id not in first and hold.exists():
            assert holder(job) in others
            hold.unlink()

    runs, sizes = disturbed(many, disturb)
    assert not hold.exists()
    assert sizes == {4, 2}
    assert sorted(run.record["run_id"] for run in runs) == sorted(job.run_id for job in many)
    assert outcome(tmp_path / "study") == undisturbed(many, tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_run_that_kills_every_worker_is_failed_and_the_others_are_made(hold: Path, tmp_path: Path) -> None:
    many = jobs(tmp_path / "study", *HELD, seeds=1)
    deadly, killed = many[0], list[int]()

    def disturb(event: dict[str, Any]) -> None:
        living = {child.pid for child in multiprocessing.active_children()}.difference(killed)
        if event["stack"] == [deadly.run_id] and living:  # else it is what a worker said before it was killed
            killed.append(holder(deadly))
            os.kill(killed[-1], signal.SIGKILL)
            if len(killed) == DEATHS:
                hold.unlink()

    runs, _ = disturbed(many, disturb, workers=1)
    assert len(set(killed)) == DEATHS
    whole, now = undisturbed(many, tmp_path / "undisturbed"), outcome(tmp_path / "study")
    assert now.pop(deadly.run_id)[:3] == ("failed", {}, None)
    assert now == {name: entry for name, entry in whole.items() if name != deadly.run_id}
    assert {run.record["error"] for run in runs if run.status == "failed"} == {
        f"{DEATHS} worker processes died on this run (out of memory?)"
    }
    run_all(jobs(tmp_path / "study", *HELD, "retry=failed", seeds=1), workers=1, show=False)
    assert outcome(tmp_path / "study") == whole


@pytest.mark.slow
def test_a_worker_out_of_memory_tries_its_stack_in_halves(tmp_path: Path) -> None:
    big = ["task.length=200", "train.batch_size=128", "train.eval_size=4", "model.hidden_size=128", "train.steps=4"]
    many = jobs(tmp_path / "study", *big, "train.eval_every=5", NO_MIRROR, seeds=4, variants=["lstm"])
    limited: list[int] = []

    def disturb(event: dict[str, Any]) -> None:
        if not limited:
            limited.append(holder(many[0]))
            size, peak = (1024 * in_status(limited[0], name) for name in ("VmSize", "VmPeak"))
            limit = size + 7 * (peak - size) // 10
            resource.prlimit(limited[0], resource.RLIMIT_AS, (limit, limit))

    runs, sizes = disturbed(many, disturb, workers=1)
    assert sizes >= {4, 2}
    assert [run.status for run in runs] == ["finished"] * 4
    assert outcome(tmp_path / "study") == undisturbed(many, tmp_path / "undisturbed")


# ---- commands -----------------------------------------------------------------------------------------------------

MAKE = """
import sys
from pathlib import Path
from sweeps import LONGER, NO_MIRROR, jobs
from experiments.sweep.run_all import run_all
if __name__ == "__main__":
    made = run_all(jobs(Path(sys.argv[1]), *LONGER, NO_MIRROR, variants=("lstm", "gru"), seeds=4), 1, 2, show=False)
    print(*(run.record["run_id"] for run in made))
"""


@pytest.mark.slow
def test_two_commands_at_once_make_every_run_once(tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text(MAKE)
    command = [sys.executable, str(tmp_path / "make.py"), str(tmp_path / "study")]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = [one.communicate(timeout=120)[0].split() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    many = jobs(tmp_path / "study", *LONGER, NO_MIRROR, variants=("lstm", "gru"), seeds=4)
    assert sorted(made[0] + made[1]) == sorted(job.run_id for job in many)
    assert outcome(tmp_path / "study") == undisturbed(many, tmp_path / "undisturbed")


@pytest.mark.slow
def test_control_c_checkpoints_and_ends_with_130(tmp_path: Path) -> None:
    said = ["train.steps=1000000", "train.eval_every=1000000", *SIZES, f"study={tmp_path}", NO_MIRROR]
    process = start(*said)
    while process.poll() is None and not list(tmp_path.glob("*/metrics.csv")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert shown.splitlines()[-1] == "interrupted: the same command goes on from the checkpoints"
    (record,) = tmp_path.glob("*/run.json")
    assert json.loads(record.read_text())["status"] == "interrupted"
    assert record.with_name("checkpoint.pt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_does_not_wait_for_a_long_evaluation(
    tmp_path: Path, sent: signal.Signals, code: int, full: bool
) -> None:
    said = ["-m", "seed=range(0,4)", f"study={tmp_path}", *SIZES, NO_MIRROR, "hydra.launcher.workers=2"]
    if sent == signal.SIGINT and not full:
        pytest.skip("as SIGTERM, and as the test above: --slow")
    process = start(*said, "train.eval_size=100000", "task.length=50", "model.hidden_size=32")
    while process.poll() is None and len(list(tmp_path.glob("*/run.json"))) < 4:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(sent)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == code, shown
    records = list(tmp_path.glob("*/run.json"))
    assert {json.loads(record.read_text())["status"] for record in records} == {"interrupted"}
    assert all(record.with_name("checkpoint.pt").is_file() for record in records)
    assert not list(tmp_path.glob("*/metrics.csv")), "the evaluation must have been going on"


def test_what_failed_and_what_is_stale_is_done_again_when_asked(tmp_path: Path) -> None:
    study = tmp_path / "study"
    many = jobs(study, NO_MIRROR, seeds=4, variants=["lstm"])
    run_all(many, workers=1, show=False)
    whole = outcome(study)
    paths = {job.seed: study / job.run_id / "run.json" for job in many}
    for seed, change in (
        (1, {"status": "failed"}),
        (2, {"semantics": {"cell": 0, "task": 1, "trainer": 1}}),
        (3, {"status": "interrupted"}),
    ):
        paths[seed].write_text(json.dumps(json.loads(paths[seed].read_text()) | change))

    def plan(*more: str) -> str:
        return str(make_plan(jobs(study, NO_MIRROR, *more, seeds=4, variants=["lstm"]), 1)).partition(";")[0]

    assert plan() == "1 to resume or do again, 1 done, 1 failed (retry=failed), 1 stale (retry=stale)"
    assert plan("retry=failed") == "2 to resume or do again, 1 done, 1 stale (retry=stale)"
    assert plan("retry=stale") == "2 to resume or do again, 1 done, 1 failed (retry=failed)"
    for retry, left in (("failed", "3 done, 1 stale (retry=stale)"), ("stale", "4 done")):
        run_all(jobs(study, NO_MIRROR, f"retry={retry}", seeds=4, variants=["lstm"]), workers=1, show=False)
        assert plan() == left
    assert outcome(study) == whole


@pytest.mark.slow
def test_no_key_and_no_environment_variable_reaches_a_file(tmp_path: Path) -> None:
    key, secret = "a1b2c3d4e5" * 4, "xyzzy-31415926"
    sweep = start(f"study={tmp_path}/study", *QUICK, WANDB_API_KEY=key, MY_SECRET=secret)
    _, shown = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, shown
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {".wandb", ".json", ".csv", ".pt", ".log"} <= {path.suffix for path in written}
    for path in written:
        content = path.read_bytes()
        assert key.encode() not in content, path
        assert secret.encode() not in content, path
