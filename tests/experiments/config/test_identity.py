"""Who a run is: its data by content, the split it is evaluated on, the user's code; not what a process has set."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import records
import torch
from task_list import write_arrays

import experiments
from analysis.arms import counted_runs
from analysis.records.load import load
from experiments import api
from experiments.config.compose import compose
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.store.what_is_left import refuse_stale, standing
from experiments.sweep.run_all import run_all
from experiments.sweep.run_stack import Run
from experiments.tasks._file_contents import file_contents, named_by
from experiments.training import torch_defaults

TINY = {"train": {"steps": 2, "eval_every": 2, "batch_size": 2, "eval_size": 8}, "model": {"hidden_size": 4}}
TINY |= {"record.wandb.mode": "disabled"}


def job(*words: str, **settings: Any) -> Job:
    said = [*api.overrides({**TINY, **settings}), *words]
    return resolve(compose(said), said)


def arrays_job(path: Path | str, *words: str) -> Job:
    return job("task=arrays", "task.length=7", f"task.path='{path}'", *words)


# Data


def test_a_file_is_its_content_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_arrays(tmp_path)
    (tmp_path / "link").symlink_to(path)
    shutil.copy(path, tmp_path / "copy.npz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    name = path.name
    names = [path, name, f"./{name}", f"../{tmp_path.name}/{name}", f"~/{name}", "link", "copy.npz"]
    made = [arrays_job(one, "study=null") for one in names]
    assert len({one.run_id for one in made}) == 1
    assert len({one.arm for one in made}) == 1
    assert arrays_job("link", "study=null", "seed=1").run_id != made[0].run_id


def test_replaced_data_make_another_run_and_the_old_one_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, study = write_arrays(tmp_path), f"study={tmp_path / 's'}"
    (first,) = run_all([arrays_job(path, study)], workers=1)
    assert "other data" not in capsys.readouterr().err
    assert run_all([arrays_job(path, study)], workers=1) == []
    before = (tmp_path / "s" / first.record["run_id"] / "run.json").read_bytes()
    write_arrays(tmp_path, inputs=np.zeros((9, 7), int))
    capsys.readouterr()
    (second,) = run_all([arrays_job(path, study)], workers=1)
    assert "1 of these have a record of other data under the same name" in capsys.readouterr().err
    assert second.record["arm"] != first.record["arm"]
    assert second.record["data_digest"] != first.record["data_digest"]
    assert (tmp_path / "s" / first.record["run_id"] / "run.json").read_bytes() == before
    shown = load([tmp_path / "s"]).runs
    assert shown["task"].nunique() == 2, "they share no panel"
    run_all([arrays_job(path, study, "seed=1")], workers=1, show=False)
    assert sorted(counted_runs.scored(load([tmp_path / "s"]).runs).groupby(["task", "name"]).size()) == [1, 2]


def test_one_file_under_two_names_is_one_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, study = write_arrays(tmp_path), f"study={tmp_path / 's'}"
    monkeypatch.chdir(tmp_path)
    run_all([arrays_job(path, study), arrays_job(path.name, study, "seed=1")], workers=1, show=False)
    run_all([arrays_job(f"./{path.name}", study, "train.lr=.1")], workers=1, show=False)
    assert list(load([tmp_path / "s"]).runs["task"].unique()) == ["arrays"]


def test_data_replaced_between_planning_and_training_are_refused(tmp_path: Path) -> None:
    path = write_arrays(tmp_path)
    planned = arrays_job(path, f"study={tmp_path / 's'}")
    write_arrays(tmp_path, inputs=np.zeros((9, 7), int))
    with pytest.raises(ConfigError, match=r"task\.path have just been replaced"):
        run_all([planned], workers=1, show=False)
    assert not list((tmp_path / "s").glob("*/run.json"))


def test_folders_and_settings_of_ones_own_count_by_content_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("1")
        (tmp_path / name / "y").write_text("2")
    one, two = (file_contents(named_by({"train_path": str(tmp_path / name)})) for name in ("a", "b"))
    assert one == two
    (tmp_path / "b" / "y").write_text("3")
    assert file_contents(named_by({"train_path": str(tmp_path / "b")})) != one
    assert named_by({"layout": str(tmp_path / "a"), "path": None}) == {}


# Phase


def test_another_phase_is_refused_where_it_evaluates_on_other_data(tmp_path: Path) -> None:
    words = ["task=sequential_digits", "task.length=8", f"study={tmp_path}"]
    (made,) = run_all([job(*words, "phase=tune")], workers=1, show=False)
    path = tmp_path / made.record["run_id"] / "run.json"
    before = path.read_bytes()
    for phase in ("confirm", "null"):
        with pytest.raises(ConfigError, match=f"phase={phase}: .* made with phase=tune"):
            run_all([job(*words, f"phase={phase}")], workers=1, show=False)
    assert path.read_bytes() == before
    assert standing(job(*words, "phase=tune")) == "done"
    path.write_text(json.dumps(json.loads(before) | {"status": "interrupted"}))
    with pytest.raises(ConfigError, match="phase=confirm"):
        standing(job(*words, "phase=confirm"))


def test_phases_share_runs_where_they_evaluate_on_the_same(tmp_path: Path) -> None:
    words = ["task=adding", "task.length=10", f"study={tmp_path}"]
    run_all([job(*words, "phase=tune")], workers=1, show=False)
    assert standing(job(*words, "phase=confirm")) == "done"


# What else the process has set


@contextmanager
def switched(name: str, value: Any, before: Any) -> Iterator[None]:
    getattr(torch, name)(value)
    try:
        yield
    finally:
        getattr(torch, name)(before)


@contextmanager
def precision_of_one_backend() -> Iterator[None]:
    backend = torch.backends.mkldnn.matmul
    before, backend.fp32_precision = backend.fp32_precision, "bf16"
    try:
        yield
        assert backend.fp32_precision == "bf16", "the caller finds everything as it was"
    finally:
        backend.fp32_precision = before


AMBIENT: dict[str, AbstractContextManager[Any]] = {
    "autocast": torch.autocast("cpu"),
    "default dtype": switched("set_default_dtype", torch.float64, torch.float32),
    "default device": switched("set_default_device", "meta", None),
    "device context": torch.device("meta"),
    "no_grad": torch.no_grad(),
    "inference_mode": torch.inference_mode(),
    "deterministic": switched("use_deterministic_algorithms", True, False),
    "precision": switched("set_float32_matmul_precision", "medium", "highest"),
    "precision of one backend": precision_of_one_backend(),
    "denormal": switched("set_flush_denormal", True, False),
    "seed": switched("manual_seed", 7, 7),
    "anomaly": switched("set_anomaly_enabled", True, False),
    "errstate": np.errstate(all="raise"),
}


def small(**settings: Any) -> Run:
    return experiments.run(**{**TINY, "task": "adding", "task.length": 10, **settings})


@pytest.fixture(scope="module")
def undisturbed() -> Run:
    return small()


@pytest.mark.parametrize("name", AMBIENT)
def test_a_run_is_the_same_whatever_the_process_has_set(name: str, undisturbed: Run) -> None:
    with AMBIENT[name]:
        dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
        state = torch.get_rng_state() if name == "seed" else None
        made = small()
        assert (torch.get_default_dtype(), torch.get_num_threads()) == (dtype, threads)
        assert torch.are_deterministic_algorithms_enabled() == (name == "deterministic")
        if state is not None:
            assert torch.equal(torch.get_rng_state(), state), "a caller's random numbers are its own"
    assert made.rows == undisturbed.rows
    assert made.record["results"] == undisturbed.record["results"]
    assert made.record["data_digest"] == undisturbed.record["data_digest"]
    for key, value in (made.weights or {}).items():
        assert torch.equal(value, (undisturbed.weights or {})[key])


def test_torch_s_compiler_is_not_loaded_for_a_switch_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "use_deterministic_algorithms", None)  # two seconds the first time that it is called
    with torch_defaults.defaults():
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("context", [torch.device("meta"), torch.inference_mode(), nullcontext()])
def test_a_loaded_run_is_the_one_that_was_trained(context: AbstractContextManager[Any], tmp_path: Path) -> None:
    made = small(study=str(tmp_path))
    with switched("set_default_dtype", torch.float64, torch.float32), context:
        loaded = api.load_run(tmp_path / made.record["run_id"])
    for name, value in loaded.layer.state_dict().items():
        assert torch.equal(value, (made.weights or {})[f"layer.{name}"])
        assert not value.is_inference()


# Own code

TASK = """
from dataclasses import dataclass
from experiments.tasks.adding import Adding

@dataclass(frozen=True, kw_only=True)
class Mine(Adding):
    factor = 1
"""


def test_an_edited_task_of_ones_own_is_stale_until_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "tasks").mkdir(parents=True)
    (folder / "conf" / "task").mkdir(parents=True)
    file = folder / "tasks" / "mine_edited.py"
    file.write_text(TASK)
    settings = Path(sys.modules["experiments"].__path__[0]).parent / "conf" / "task" / "adding.yaml"
    shutil.copy(settings, folder / "conf" / "task" / "mine_edited.yaml")
    words = {**TINY, "task": "mine_edited", "task.length": 10, "extensions": str(folder), "study": str(tmp_path / "s")}
    made = experiments.run(**words)
    assert experiments.run(**words).record == made.record
    assert list(load([tmp_path / "s"]).runs["status"]) == ["finished"]
    file.write_text(TASK.replace("factor = 1", "factor = 2"))
    with pytest.raises(ConfigError, match=r"another version of task .*retry=stale"):
        experiments.run(**words)
    assert list(load([tmp_path / "s"]).runs["stale"]) == ["task"]
    again = experiments.run(**words, retry="stale")
    assert again.record["semantics"] != made.record["semantics"]
    assert list(load([tmp_path / "s"]).runs["status"]) == ["finished"]


def test_an_edited_default_makes_a_run_stale(tmp_path: Path) -> None:
    made = job("task=adding", "task.length=10", f"study={tmp_path}")
    run_all([made], workers=1, show=False)
    assert made.folder is not None
    path = made.folder / "run.json"
    content = json.loads(path.read_text())
    content["config"]["resolved"]["train"]["clip"] = 7.0  # what the default was
    content["config"]["resolved"]["task"]["eval_lengths"] = None  # another spelling of []
    for status in ("finished", "interrupted"):
        path.write_text(json.dumps(content | {"status": status}))
        assert standing(made) == "stale"
    with pytest.raises(ConfigError, match=r"another version of train\.clip made the numbers"):
        refuse_stale([made])
    assert standing(replace(made, retry="stale")) == "again"


def test_a_record_without_content_is_read_as_before(tmp_path: Path) -> None:
    records.write(tmp_path / "demo")
    records.write(tmp_path / "demo", seed=1, task__content={"path": 3})
    loaded = load([tmp_path / "demo"])
    assert len(loaded.runs) == 1
    assert "task.content" in loaded.skipped[0].reason
