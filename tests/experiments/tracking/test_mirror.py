"""The wandb mirror: it shows the record row by row, makes no network call unless asked, and never stops a run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_wandb import FakeServer, numbers
from mirrored_runs import SHORT, jobs, read_back, rows_on_disk, wandb_folder, wandb_id

from analysis.records import wandb_source
from experiments.benchmark.overhead import mirror_cost
from experiments.config.compose import load_spec
from experiments.config.job import Job
from experiments.store.new_record import network
from experiments.store.record import RunRecord
from experiments.sweep.run_all import run_all
from experiments.tracking import config_and_summary, failures, live, run_names, wandb_runs

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def own_wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """wandb reads its environment once; each test starts it anew."""
    import wandb

    for name in ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    wandb.teardown()
    yield
    wandb.teardown()


def sync(server: FakeServer, line: str) -> str:
    """Say what the warning said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | server.environment
    done = subprocess.run(
        [sys.executable, "-m", *line.split()], capture_output=True, text=True, timeout=120, env=environment, check=True
    )
    return done.stderr


def test_what_wandb_was_told_is_the_record_row_by_row(tmp_path: Path) -> None:
    made = jobs(tmp_path / "mine", variants=("lstm", "gru"), seeds=3)
    run_all(made, workers=1, show=False)
    for job in made:
        mirrored, folder = read_back(job), job.folder
        assert folder is not None
        content = json.loads((folder / "run.json").read_text())
        assert [numbers(row) for row in mirrored.history] == rows_on_disk(job)
        assert wandb_source.restored(mirrored) == content
        assert {key: mirrored.config[key] for key in job.resolved} == job.resolved
        assert mirrored.summary["score"] == content["results"]["score"]
        assert mirrored.summary["final/eval/loss"] == content["results"]["final"]["eval/loss"]
        assert mirrored.summary["status"] == "finished"


def test_names_that_make_dashboards_comparable(tmp_path: Path) -> None:
    first, second = jobs(tmp_path / "my study")
    mirror = live.Mirror(first)
    record = RunRecord(first, facts(first), listeners=[mirror])
    said = config_and_summary.described(record.content, tmp_path / "my study")
    assert said["project"] == mirror.run.project == "my-study"
    assert said["group"] == f"adding-T10-LSTM-{first.arm}"
    assert (said["name"], said["job_type"], said["tags"]) == ("adding/lstm/s0", "train", ["adding", "lstm"])
    assert said["id"].startswith(first.run_id)
    assert (
        config_and_summary.described({**record.content, "phase": "tune"}, tmp_path / "my study")["job_type"] == "tune"
    )
    assert wandb_folder(first).name.endswith(said["id"])
    others = [
        run_names.run_id(record.content, tmp_path / "another" / "my study"),
        run_names.run_id({**record.content, "semantics": {"cell": 2}}, tmp_path / "my study"),
        wandb_id(second),
    ]
    assert len({said["id"], *others}) == 4
    record.finish("interrupted", {}, 0.0)


@pytest.mark.parametrize(
    ("variant", "expected"),
    {
        "lstm": {"forget": True, "forget_sees_x": True, "forget_sees_h": True, "forget_sees_b": True, "reset": False},
        "no_forget_gate": {"forget": False, "forget_sees_x": False, "input": True},
        "constant_forget": {"forget": False, "forget_sees_b": False},
        "learned_decay": {"forget": True, "forget_sees_x": False, "forget_sees_h": False, "forget_sees_b": True},
        "coupled_gates": {"forget": True, "forget_sees_h": True, "input": True},
        "gru": {"forget": True, "input": True, "output": False, "reset": True, "reset_sees_h": True},
        "gates_x": {"forget": True, "forget_sees_x": True, "forget_sees_h": False, "output_sees_b": False},
        "mgu": {"reset": True, "reset_sees_x": True},
    }.items(),
)
def test_gates_as_booleans(variant: str, expected: dict[str, bool]) -> None:
    flags = config_and_summary.gates(load_spec(variant).to_config())
    assert {key: flags[key] for key in expected} == expected


def facts(job: Job) -> dict[str, Any]:
    return {**network(job), "environment": {}, "data_digest": "0"}


def test_a_resumed_run_has_one_history(tmp_path: Path) -> None:
    job = jobs(tmp_path / "s")[0]
    rows = [{"step": step, "eval/mse": 1 / (1 + step)} for step in range(4)]
    record = RunRecord(job, facts(job), listeners=[live.Mirror(job)])
    for row in rows[:2]:
        record.row(row)
    record.finish("interrupted", {}, 1.0)
    assert len(read_back(job).history) == 2
    time.sleep(1.1)  # wandb names a folder by the second
    record = RunRecord(job, facts(job), rows[:2], [live.Mirror(job)])
    for row in rows[2:]:
        record.row(row)
    record.finish("finished", {"score": 0.25, "steps": 3, "final": {}}, 1.0)
    assert [numbers(row) for row in read_back(job).history] == rows
    assert len(list((tmp_path / "s" / "wandb").glob("*run-*"))) == 1


@pytest.mark.slow
def test_offline_makes_no_network_call(tmp_path: Path) -> None:
    words = [*SHORT, "variant=lstm", "record.wandb.mode=auto", f"study={tmp_path / 's'}"]
    command = [sys.executable, "-m", "experiments.run", *words]
    trace = tmp_path / "trace"
    tracer = ["strace", "-f", "-e", "trace=connect", "-o", str(trace)]
    traced = subprocess.run(["which", "strace"], capture_output=True).returncode == 0
    with FakeServer() as server:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), server.url)
        environment = {k: v for k, v in os.environ.items() if k != "WANDB_ERROR_REPORTING"}
        environment |= proxies | {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0" * 40, "PYTHONPATH": str(ROOT)}
        command = [*tracer, *command] if traced else command
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=200)
        assert server.requests == []
    assert len(wandb_runs.folders(tmp_path / "s")) == 1
    if traced:
        calls = [line for line in trace.read_text().splitlines() if "AF_INET" in line]
        assert calls == []


def test_disabled_and_in_memory_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_all(jobs(tmp_path / "a", "disabled"), workers=1, show=False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run_all(jobs(tmp_path / "b", "auto"), workers=1, show=False)
    assert not list(tmp_path.glob("*/wandb"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with FakeServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(wandb_runs.SETTINGS, "finish_timeout", 2)
        monkeypatch.setitem(wandb_runs.SETTINGS, "init_timeout", 2)
        monkeypatch.setattr(failures, "PATIENCE", 2)
        yield server


def assert_arrived(server: FakeServer, made: list[Job]) -> None:
    """The server has every row of every record, once."""
    assert len(server.runs) == len(made)
    for job in made:
        run = server.runs[wandb_id(job)]
        assert [numbers(row) for row in run.history] == rows_on_disk(job)
        assert run.conflicts == []
        assert run.exit_code == 0
        assert run.group is not None
        assert run.group.endswith(job.arm)
        assert run.config["record"]["value"]["run_id"] == job.run_id
        assert run.config["gates"]["value"]["forget"] is True
        assert run.summary["score"] == json.loads(run.summary["record"])["results"]["score"]


def test_online_sends_every_row_while_the_runs_are_made(
    server: FakeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = jobs(tmp_path / "s", "online", ("lstm", "gru"))
    run_all(made, workers=1, show=False)
    assert_arrived(server, made)
    assert capfd.readouterr().err == ""
    before = len(server.requests)
    assert "No runs to sync" in sync(server, failures.sync_line(tmp_path / "s"))
    assert len(server.requests) == before


def test_a_resumed_run_has_one_history_on_the_server(server: FakeServer, tmp_path: Path) -> None:
    job = jobs(tmp_path / "s", "online")[0]
    rows = [{"step": step, "eval/mse": 1 / (1 + step)} for step in range(4)]
    record = RunRecord(job, facts(job), rows[:2], [live.Mirror(job)])
    record.finish("interrupted", {}, 1.0)
    record = RunRecord(job, facts(job), rows[:2], [live.Mirror(job)])
    for row in rows[2:]:
        record.row(row)
    record.finish("finished", {"score": 0.25, "steps": 3, "final": {}}, 1.0)
    (run,) = server.runs.values()
    assert [numbers(row) for row in run.history] == rows
    assert run.conflicts == []


FAST = ("unreachable", "dies", "falls silent")
SLOW = ("silent at the start", "refuses later", "errors at the start", "refuses at the start", "errors later")


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [*FAST, *SLOW])
def test_a_server_that_fails_costs_one_warning_and_the_line_it_shows_sends_what_is_missing(
    trouble: str,
    full: bool,
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not full and trouble in SLOW:
        pytest.skip("one of the kinds of trouble that --slow adds")
    made = jobs(tmp_path / "s", "online", ("lstm", "gru"))

    def fail() -> None:
        if "silent" in trouble:
            server.answers.clear()
        elif trouble in ("unreachable", "dies"):
            server.stop()
        else:
            server.status = {"errors": 500, "refuses": 400}[trouble.split()[0]]

    if trouble == "unreachable" or trouble.endswith("start"):
        fail()
    else:
        logged = live.Mirror.row
        monkeypatch.setattr(live.Mirror, "row", lambda self, row: (logged(self, row), fail() if row["step"] else 0))
    started = time.monotonic()
    runs = run_all(made, workers=1, show=False)
    assert time.monotonic() - started < 60
    assert [run.status for run in runs] == ["finished"] * 4
    (warning,) = capfd.readouterr().err.strip().splitlines()
    line = warning[warning.index("wandb sync") :]
    with FakeServer() as back:
        said = sync(back, line)
        for name, run in server.runs.items():
            back.runs.setdefault(name, run)
        assert len(back.runs) == 4, said
        assert_arrived(back, made)
        before = len(back.requests)
        sync(back, line)
        assert len(back.requests) == before


@pytest.mark.slow
def test_a_sweep_without_its_server_warns_once_and_exits_0(full: bool, tmp_path: Path) -> None:
    with FakeServer() as server:
        pass
    words = ["-m", *SHORT, "variant=lstm,gru", "record.wandb.mode=online", f"study={tmp_path / 's'}"]
    words += [f"hydra.launcher.workers={2 if full else 1}"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.run", *words],
        cwd=tmp_path,
        env=os.environ | server.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: wandb") == 1, done.stderr
    assert len(wandb_runs.folders(tmp_path / "s")) == 2


def test_what_the_mirror_costs_is_measured() -> None:
    taken = mirror_cost(5)
    assert taken
    assert all(value > 0 for value in taken.values())
