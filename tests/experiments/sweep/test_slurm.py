"""hydra/launcher=slurm on a real cluster of one node: what happens to its tasks does not change how a sweep ends."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import command
from slurm_node import answers, whole_cluster
from small_study import MINE, TINY, confirmations, write_study
from sweeps import NO_MIRROR, ROOT, jobs, outcome

from analysis.claims.frozen_study_file import FrozenStudy
from experiments.config.schema import ConfigError
from experiments.studies.standing import look
from experiments.sweep import slurm, slurm_queue
from experiments.sweep.plan import make_plan
from experiments.sweep.run_all import run_all
from experiments.sweep.slurm import Options, run_on_slurm

SIZES = ["variant=lstm,CIFG", "seed=range(0,2)", "train.batch_size=4", "train.eval_every=200", "train.eval_size=16"]
SIZES += ["model.hidden_size=4", "record.checkpoint_every=.2"]
SAID = ["-m", "task=continual_reber", *SIZES]
ON_SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus=1"]
DETACHED = [*ON_SLURM, "hydra.launcher.detach=true"]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled", "OMP_WAIT_POLICY": "passive"}


def start(study: Path, *more: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "experiments.run", *more, f"study={study}"]
    return subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def gates(study: Path, *more: str) -> tuple[int, str]:
    process = start(study, *more)
    shown, _ = process.communicate(timeout=1000)
    return process.returncode, shown


def made_here(study: Path, *more: str) -> Path:
    """The undisturbed sweep, made in this process."""
    study.mkdir(exist_ok=True)
    done = command("experiments.run", *more, NO_MIRROR, "hydra.launcher.workers=1", f"study={study}", cwd=study)
    assert done.returncode == 0, done.stderr
    return study


on_a_cluster = pytest.mark.skipif(
    not answers(), reason="Slurm does not answer here; as root: tests/slurm/start-one-node.sh"
)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Path]:
    """A study's folder; what holds its runs ends with the test."""
    folder = tmp_path / f"{tmp_path.name}-study"
    folder.mkdir()
    with whole_cluster():
        yield folder
        subprocess.run(["pkill", "-f", f"study={folder}"], check=False)
        if tasks := slurm_queue.queue(folder):
            slurm_queue.ask("scancel", *(task.name for task in tasks))


@pytest.fixture
def hold(study: Path) -> Path:
    """A file beside the study's own task; while it lies there, a step of training takes a second."""
    return Path(shutil.copytree(ROOT / "tests/data/held", study.with_name("own"))) / "hold"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The undisturbed sweep of so many steps."""
    made: dict[int, Path] = {}

    def sweep(steps: int) -> Path:
        if steps not in made:
            made[steps] = made_here(tmp_path_factory.mktemp("whole"), *SAID, f"train.steps={steps}")
        return made[steps]

    return sweep


def until(what: Callable[[], bool], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def checkpointed(study: Path, run_ids: list[str], since: float) -> bool:
    """Whether all these runs have gone on since then."""
    files = [study / run_id / "checkpoint.pt" for run_id in run_ids]
    return all(file.is_file() and file.stat().st_mtime > since for file in files)


def training(study: Path) -> list[slurm_queue.Queued]:
    """Two tasks, once each has trained and checkpointed on this start."""
    since = time.time()

    def both() -> bool:
        tasks = slurm_queue.queue(study)
        return len(tasks) == 2 and all(checkpointed(study, task.run_ids, since) for task in tasks)

    until(both)
    return slurm_queue.queue(study)


def processes(task: slurm_queue.Queued) -> list[int]:
    """The Python processes of a task: submitit's and its worker's."""
    pattern = "^[^ ]*python.*(submitit.core._submit|spawn_main)"
    listed = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
    number, _, index = task.name.partition("_")
    mine = [f"SLURM_ARRAY_JOB_ID={number}".encode(), f"SLURM_ARRAY_TASK_ID={index}".encode()]
    return [pid for pid in map(int, listed.stdout.split()) if set(mine) <= environment(pid)]


def environment(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def statuses(study: Path, task: slurm_queue.Queued) -> set[str]:
    return {json.loads((study / run_id / "run.json").read_text())["status"] for run_id in task.run_ids}


def at_once(task: slurm_queue.Queued) -> None:
    """A task that goes back to the queue waits there for two minutes: Slurm's way, which a user can cut short."""
    waits = ["squeue", "--noheader", "--array", f"--jobs={task.name}", "--format=%T"]
    until(lambda: slurm_queue.ask(*waits).strip() == "PENDING")
    begin_now(task)


def begin_now(task: slurm_queue.Queued) -> None:
    """Cut a task's wait short, unless it is running by now."""
    subprocess.run(["scontrol", "update", f"jobid={task.name}", "starttime=now"], capture_output=True)


@on_a_cluster
@pytest.mark.slow
def test_attached_it_is_a_sweep_like_any_other(study: Path, whole: Callable[[int], Path]) -> None:
    said = [*SAID, "train.steps=20", *ON_SLURM, "hydra.launcher.stack=1"]
    code, shown = gates(study, *said)
    assert code == 0, shown
    tasks = slurm_queue.largest_array()
    assert tasks < 4, "the cluster must be one whose arrays are shorter than the sweep"
    assert f"in stacks: 4, workers: {tasks}" in shown  # several stacks a task
    assert outcome(study) == outcome(whole(20))


@on_a_cluster
@pytest.mark.slow
def test_cancelled_crashed_and_requeued_tasks_lose_nothing(study: Path, hold: Path, tmp_path: Path) -> None:
    said = ["-m", "task=held_reber", f"extensions={hold.parent}", *SIZES, "train.steps=600", "hydra.launcher.stack=2"]
    whole = made_here(tmp_path / "whole", *said)
    hold.touch()  # until every one of them has been disturbed
    at_the_same_time = [start(study, *said, *DETACHED) for _ in range(2)]
    for process in at_the_same_time:
        shown, _ = process.communicate(timeout=200)
        assert process.returncode == 0, shown
        assert f"python -m experiments.status study={study}" in shown
    code, again = gates(study, *said, *DETACHED)
    assert (code, "4 queued or running on Slurm; to run: 0" in again) == (0, True), again
    assert len(slurm_queue.queue(study)) == 2

    first, second = training(study)
    assert look(study).slurm == "2 running"
    slurm_queue.ask("scancel", first.name)
    for pid in processes(second):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not slurm_queue.queue(study))
    assert statuses(study, first) == {"interrupted"}
    assert statuses(study, second) == {"running"}

    attached = start(study, *said, *ON_SLURM)
    first, second = training(study)
    slurm_queue.ask("scontrol", "requeue", first.name)
    # as at the time limit: it checkpoints and goes back itself
    slurm_queue.ask("scancel", "--signal=TERM", second.name)
    at_once(first)
    at_once(second)
    hold.unlink()
    shown, _ = attached.communicate(timeout=300)
    assert attached.returncode == 0, shown
    assert "4 to resume or do again; to run: 4" in shown
    assert outcome(study) == outcome(whole)
    assert not [path for path in study.glob("*-s*/*") if path.name.startswith(".") or path.name == "checkpoint.pt"]


@on_a_cluster
@pytest.mark.slow
def test_a_study_leaves_its_phases_to_the_cluster_one_after_the_other(study: Path, tmp_path: Path) -> None:
    folder = study / "study"  # its jobs are named so in the queue
    words = ["experiment=mine", write_study(tmp_path, MINE), *TINY, *DETACHED, f"study={folder}"]

    def again(phase: str) -> str:
        line = [sys.executable, "-m", "experiments.study", *words, f"phase={phase}"]
        done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        until(lambda: not slurm_queue.queue(folder))
        return done.stdout

    assert "submitted: 30 runs" in again("all")
    assert FrozenStudy.read(folder) is None
    shown, frozen = again("all"), FrozenStudy.read(folder)
    assert frozen is not None
    assert f"submitted: {confirmations(frozen)} runs" in shown
    assert "A GRU has a lower loss. gru vs lstm, short" in again("confirm")


@on_a_cluster
@pytest.mark.slow
def test_an_attached_sweep_that_is_stopped_cancels_its_tasks(study: Path) -> None:
    said = [*SAID, "train.steps=100000", *ON_SLURM, "hydra.launcher.stack=2", "hydra.launcher.sbatch={comment: mine}"]
    attached = start(study, *said)
    tasks = training(study)
    assert (
        slurm_queue.ask("squeue", "--noheader", f"--name={slurm_queue.job_name(study)}", "--format=%k").split()
        == ["mine"] * 2
    )
    attached.send_signal(signal.SIGINT)
    shown, _ = attached.communicate(timeout=30)
    assert attached.returncode == 130, shown
    until(lambda: not slurm_queue.queue(study))
    assert [statuses(study, task) for task in tasks] == [{"interrupted"}, {"interrupted"}]


@on_a_cluster
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_at_the_time_limit_a_task_checkpoints_and_goes_back_to_the_queue(
    study: Path, whole: Callable[[int], Path], full: bool
) -> None:
    if not full:
        pytest.skip("Slurm's shortest limit is a minute, its signal may come any time before: --slow")
    limit = ["hydra.launcher.time=1", "hydra.launcher.signal=20"]
    attached = start(study, *SAID, "train.steps=12000", *ON_SLURM, "hydra.launcher.stack=2", *limit)
    while attached.poll() is None:
        for task in slurm_queue.queue(study):
            if task.reason == "BeginTime":
                begin_now(task)
        time.sleep(1)
    shown, _ = attached.communicate()
    assert attached.returncode == 0, shown
    logs = [path.read_text() for path in (study / slurm_queue.FOLDER).glob("*_log.out")]
    assert [log.count("DUE TO JOB REQUEUE") > 0 for log in logs] == [True, True]
    assert outcome(study) == outcome(whole(12000))


@on_a_cluster
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_sweep_disturbed_again_and_again_ends_as_the_undisturbed_one(
    study: Path, whole: Callable[[int], Path], full: bool
) -> None:
    if not full:
        pytest.skip("minutes long: --slow")
    dice, said = random.Random(0), [*SAID, "train.steps=20000", *DETACHED]
    for _ in range(20):
        code, shown = gates(study, *said)
        assert code == 0, shown
        if not (tasks := slurm_queue.queue(study)):
            break
        time.sleep(dice.uniform(2, 15))
        task = dice.choice(tasks)
        words = dice.choice([["scancel"], ["scontrol", "requeue"], ["scancel", "--signal=TERM"], ["kill"]])
        if words == ["kill"]:
            for pid in dice.sample(victims := processes(task), k=dice.randint(0, len(victims))):
                os.kill(pid, signal.SIGKILL)
        else:
            subprocess.run([*words, task.name], capture_output=True)  # it may have ended
        for task in slurm_queue.queue(study):
            begin_now(task)
    code, shown = gates(study, *SAID, "train.steps=20000", *ON_SLURM)
    assert code == 0, shown
    assert outcome(study) == outcome(whole(20000))


@on_a_cluster
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"partition": "nowhere"}, "hydra.launcher.partition=nowhere: legal are debug"),
        ({"sbatch": {"nodelist": "nowhere"}}, "hydra/launcher=slurm: .*Invalid node name specified"),
        ({"time": 0}, "hydra.launcher.time=0: a number above 0"),
        ({"time": 2}, "hydra.launcher.signal=120: less than the 120 s"),
        ({"memory": 0.0004}, "hydra.launcher.memory=0.0004: at least 0.001 GB"),
        ({"sbatch": "abc"}, "hydra.launcher.sbatch=abc: a mapping"),
    ],
)
def test_what_the_cluster_does_not_have_is_refused(study: Path, said: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run_on_slurm(jobs(study), Options(**said))  # type: ignore[arg-type]
    assert slurm_queue.queue(study) == []


@on_a_cluster
@pytest.mark.slow
def test_a_stop_while_tasks_are_submitted_leaves_none(study: Path) -> None:
    attached = start(study, *SAID, "train.steps=100000", *ON_SLURM)
    until(lambda: bool(list((study / slurm_queue.FOLDER).glob("*.sh"))))  # submitit's, just before it calls sbatch
    attached.send_signal(signal.SIGINT)
    shown, _ = attached.communicate(timeout=30)
    assert attached.returncode == 130, shown
    until(lambda: not slurm_queue.ask("squeue", "--noheader", f"--name={slurm_queue.job_name(study)}").strip())


@on_a_cluster
def test_a_damaged_record_ends_the_wait(study: Path) -> None:
    mine = jobs(study)
    assert mine[0].folder is not None
    mine[0].folder.mkdir()
    (mine[0].folder / "run.json").write_text("{")
    with pytest.raises(ConfigError, match=mine[0].run_id):
        slurm._wait(study, mine)


def test_a_controller_that_stays_silent_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(slurm, "OFTEN", 0.01)
    monkeypatch.setattr(slurm, "SELDOM", 0.01)
    with pytest.raises(ConfigError, match=r"squeue.*the same command waits for them again"):
        slurm._wait(tmp_path, jobs(tmp_path))


def test_the_memory_of_the_submitting_machine_says_nothing_about_a_node(tmp_path: Path) -> None:
    large = jobs(tmp_path, "train.batch_size=100000", "task.length=100000", "device=cpu")
    with pytest.raises(ConfigError, match="of memory, there are"):
        make_plan(large, 1)
    assert len(make_plan(large, 1, here=False).todo) == len(large)
    with pytest.raises(ConfigError, match="there are 1 GB"):
        make_plan(large, 1, memory=1e9, here=False)


def test_without_slurm_or_submitit_one_line_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="needs one folder"):
        run_on_slurm([*jobs(tmp_path / "a"), *jobs(tmp_path / "b")], Options())
    if shutil.which("sbatch"):
        monkeypatch.setitem(sys.modules, "submitit", None)
        with pytest.raises(ConfigError, match=r'pip install -e "\.\[slurm\]"'):
            run_on_slurm(jobs(tmp_path), Options())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no sbatch on PATH"):
        run_on_slurm(jobs(tmp_path), Options())


def test_on_slurm_a_single_run_is_refused_rather_than_run_here(tmp_path: Path) -> None:
    code, shown = gates(tmp_path / "s", "hydra/launcher=slurm")
    assert (code, shown) == (2, "error: hydra/launcher=slurm: it runs sweeps; add -m\n")


def test_a_job_submitted_inside_a_job_inherits_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {"SLURM_JOB_ID": "7", "SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_PER_TASK": "1", "SRUN_DEBUG": "3"}
    kept = {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_ACCOUNT": "mine"}
    for name, value in (inside | kept).items():
        monkeypatch.setenv(name, value)
    with slurm._outside_of_a_job():
        assert not inside.keys() & os.environ.keys()
        assert {name: os.environ[name] for name in kept} == kept
    assert {name: os.environ[name] for name in inside} == inside


def test_attached_with_nothing_to_submit_it_says_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = jobs(tmp_path, seeds=1)
    monkeypatch.setattr(slurm, "_usable", lambda options: None)
    monkeypatch.setattr(slurm, "largest_array", lambda: 4)
    holding = slurm_queue.Queued("12_0", "RUNNING", "None", [job.run_id for job in mine])
    monkeypatch.setattr(slurm, "_settled", lambda study: [holding])
    monkeypatch.setattr(slurm, "_wait", lambda study, awaited: run_all(awaited, workers=1, show=False))
    look = f"python -m experiments.status study={tmp_path}"
    assert [run.status for run in run_on_slurm(mine, Options()) or []] == ["finished"] * 2
    waiting = f"waiting for 2 runs that earlier tasks hold; logs in {tmp_path / '.slurm'}"
    assert capsys.readouterr().out.splitlines() == [waiting, f"ended: 2 finished; {look}"]
    assert run_on_slurm(mine, Options()) == []
    assert capsys.readouterr().out.splitlines() == [f"ended: nothing was left to run; {look}"]
