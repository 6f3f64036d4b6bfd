"""Whether the numbers of a record are those of today's code, and what becomes of those that are not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import records
from task_list import build, defaults

import experiments
from analysis import report, runs, workspace
from analysis.arms import counted_runs
from analysis.records import code_versions, wandb_source
from analysis.records.load import load
from analysis.statistics import arm_curves
from experiments import api, push, status, study
from experiments.config.compose import compose
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.store.versions_and_sources import semantics
from experiments.store.what_is_left import done, standing
from experiments.studies.standing import look
from experiments.sweep.plan import make_plan
from experiments.sweep.run_all import run_all

TINY = {"train": {"steps": 4, "eval_every": 2, "batch_size": 4, "eval_size": 8}, "model": {"hidden_size": 4}}
TINY |= {"task": "adding", "task.length": 10, "record.wandb.mode": "disabled"}
LINE = "left out: 2 stale (another version of trainer made the numbers; retry=stale makes them again)"


def aged(folder: Path, **changes: Any) -> None:
    """Make a record one of other versions."""
    path = folder / "run.json"
    content = json.loads(path.read_text())
    content["semantics"] |= changes
    path.write_text(json.dumps(content))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Four runs of one arm, two of them with numbers of an older trainer."""
    folder = tmp_path / "demo"
    for seed in range(4):
        path = records.write(folder, seed=seed, results__score=100.0 if seed > 1 else 0.5)
        if seed > 1:
            aged(path, trainer=0)
    return folder


def test_what_is_not_listed_has_version_one(monkeypatch: pytest.MonkeyPatch) -> None:
    job = resolve(compose(["study=null", "variant=gru"]))
    assert semantics(job) == {"cell": 1, "task": code_versions.TASKS.get("adding", 1), "trainer": code_versions.TRAINER}
    monkeypatch.setitem(code_versions.CELLS, "gated", 3)
    monkeypatch.setitem(code_versions.TASKS, "adding", 7)
    monkeypatch.setattr(code_versions, "TRAINER", 5)
    assert semantics(job) == {"cell": 3, "task": 7, "trainer": 5}


def test_a_setting_beside_a_task_makes_only_its_runs_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_versions, "TASKS", {"adding layout=1997": 2})
    for seed, layout in enumerate(("2016", "1997")):
        words = ["study=null", "task=adding", f"task.layout={layout}"]
        assert semantics(resolve(compose(words)))["task"] == seed + 1
        records.write(tmp_path / "demo", seed=seed, config__resolved__task__layout=layout)
    records.write(tmp_path / "demo", seed=2)  # a record that does not say
    found = load([tmp_path / "demo"]).runs.sort_values("seed")
    assert list(found["stale"]) == ["", "task", ""]


def test_every_listed_version_is_of_a_task_and_a_setting_that_exist(tmp_path: Path) -> None:
    for words, version in code_versions.TASKS.items():
        name, *said = words.split()
        settings = dict(word.split("=") for word in said)
        build(name, settings, tmp_path)
        assert code_versions.of_task(name, defaults(name) | settings) == version


def test_stale_runs_are_in_no_number_and_said(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.figures.discover", dict)  # drawing takes seconds and is not the point
    loaded = load([mixed])
    assert list(loaded.runs.sort_values("seed")["status"]) == ["finished", "finished", "stale", "stale"]
    assert set(counted_runs.scored(loaded.runs)["score"]) == {0.5}
    assert counted_runs.stale(loaded.runs) == LINE
    (arm,) = arm_curves.of_arms(loaded)
    assert arm.summary["runs"] == 2
    assert runs.main([f"study={mixed}"]) == 0
    assert LINE in capsys.readouterr().out
    assert report.main([f"study={mixed}", f"out={tmp_path / 'report'}"]) == 0
    shown = capsys.readouterr().out
    assert "n=2" in shown
    assert LINE in shown
    assert LINE in (tmp_path / "report" / "report.md").read_text()
    assert workspace.main([f"study={mixed}", "dry_run=true"]) == 0
    assert LINE in capsys.readouterr().out


def test_records_kept_in_the_cache_are_judged_by_the_versions_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write(tmp_path / "demo", seed=0)
    monkeypatch.setattr("analysis.records.cache.FRESH", -(10**12))  # keep what was written just now
    for _ in range(2):
        assert list(load([tmp_path / "demo"]).runs["status"]) == ["finished"]
    assert (tmp_path / "demo" / ".records.npz").is_file()
    monkeypatch.setitem(code_versions.CELLS, "gated", 2)
    assert list(load([tmp_path / "demo"]).runs["stale"]) == ["cell"]
    monkeypatch.setitem(code_versions.CELLS, "gated", 1)
    monkeypatch.setitem(code_versions.TASKS, "adding", 2)
    assert list(load([tmp_path / "demo"]).runs["stale"]) == ["task"]


def test_a_study_of_stale_runs_alone_says_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        aged(records.write(tmp_path / "demo", seed=seed), trainer=0)
    assert report.main([f"study={tmp_path}/demo", f"out={tmp_path}/report"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert LINE in line
    assert runs.main([f"study={tmp_path}/demo"]) == 0
    assert LINE in capsys.readouterr().out


def test_a_current_copy_counts_where_another_is_stale(tmp_path: Path) -> None:
    made = records.write(tmp_path / "a")
    shutil.copytree(made, tmp_path / "b" / made.name)
    aged(made, trainer=0)
    loaded = load([tmp_path / "a", tmp_path / "b"])
    assert list(loaded.runs["record"]) == [f"b/{loaded.runs['run_id'].iloc[0]}"]


def test_a_file_of_ones_own_makes_its_runs_stale_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("first")
    made = {"semantics__task": code_versions.content(file), "sources": {"task": str(file)}}
    records.write(tmp_path / "demo", **made)

    def stale() -> str:
        return str(load([tmp_path / "demo"]).runs["stale"].iloc[0])

    assert stale() == ""
    file.write_text("second")
    assert stale() == "task"
    file.unlink()
    assert stale() == "", "what it was cannot be known any more"


def test_a_record_whose_versions_are_none_is_named(tmp_path: Path) -> None:
    records.write(tmp_path / "demo", seed=0)
    records.write(tmp_path / "demo", seed=1, semantics={"cell": [1]})
    records.write(tmp_path / "demo", seed=2, sources={"cell": 3})
    records.write(tmp_path / "demo", seed=3, config__resolved__task__layout=[1])
    loaded = load([tmp_path / "demo"])
    assert list(loaded.runs["status"]) == ["finished", "finished"]
    assert sorted(reason.partition(" is ")[0] for _, reason in loaded.skipped) == [
        "run.json: semantics.cell",
        "run.json: sources.cell",
    ]


def test_status_counts_them_and_shows_names_as_they_are(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records.write(mixed, "lstm[forget.feeds=xb]")
    assert status.main([f"study={mixed}", "watch=false"]) == 0
    shown = capsys.readouterr().out
    assert "lstm[forget.feeds=xb]" in shown
    assert look(mixed).total == {"finished": 3, "stale": 2}
    assert "retry=stale" in shown


def test_a_title_in_brackets_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records.write(tmp_path / "[red]demo")
    assert status.main([f"study={tmp_path}/[red]demo", "watch=false"]) == 0
    assert "[red]demo" in capsys.readouterr().out


def test_only_current_runs_are_mirrored(
    mixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert push.main([f"study={mixed}", "mode=offline"]) == 0
    shown = capsys.readouterr().out
    assert LINE in shown
    assert "3 wandb runs, 3 of them made now" in shown  # two runs and their arm
    assert workspace.main([f"study={mixed}", "dry_run=true"]) == 0
    assert LINE in capsys.readouterr().err
    assert set(load([f"wandb-offline:{mixed}"]).runs["status"]) == {"finished"}
    monkeypatch.setattr(code_versions, "TRAINER", 9)
    assert wandb_source.read(f"wandb-offline:{mixed}").reasons == [None, None]
    assert set(load([f"wandb-offline:{mixed}"]).runs["status"]) == {"stale"}


def test_a_stale_run_is_never_handed_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**TINY, "study": str(tmp_path / "s")}
    first = experiments.run(**settings)
    folder = tmp_path / "s" / first.record["run_id"]
    aged(folder, trainer=0)
    before = (folder / "run.json").read_bytes()
    words = r"is stale \(another version of trainer made the numbers\): retry=stale makes them again"
    for call in (
        lambda: experiments.run(**settings),
        lambda: experiments.sweep({"seed": [0, 1]}, **settings),
    ):
        with pytest.raises(ConfigError, match=words):
            call()
    with pytest.raises(ConfigError, match="retry=stale"):
        api.load_run(folder)
    assert [path.parent for path in (tmp_path / "s").glob("*/run.json")] == [folder], "nothing was trained"
    assert (folder / "run.json").read_bytes() == before
    job = resolve(compose([f"{key}={value}" for key, value in api_words(settings)]))
    assert standing(job) == "stale"
    assert done(job) is None
    assert str(make_plan([job], 1)).startswith("1 stale (retry=stale); to run: 0")
    again = experiments.run(**settings, retry="stale")
    assert again.record["results"] == first.record["results"]
    assert experiments.run(**settings).record["results"] == first.record["results"]


def api_words(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    return [tuple(word.split("=", 1)) for word in api.overrides(settings)]  # type: ignore[misc]


STUDY = """\
# @package _global_
study: outputs/mine
protocol:
  arms: {lstm: [], gru: [variant=gru]}
  tasks: {short: [task=adding, task.length=6]}
  grid: {train.lr: [.003, .01]}
  tuning_seeds: 5
  confirmation_seeds: 6
  claims:
    - {sentence: A GRU has a lower loss., source: a test, expect: lower, baseline: lstm, arms: [gru]}
"""


def test_a_study_neither_chooses_nor_judges_by_stale_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "conf" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(STUDY)
    folder = tmp_path / "outputs"
    words = ["experiment=mine", f"extensions={tmp_path}", f"study={folder}", "workers=1", f"out={tmp_path / 'report'}"]
    words += [f"{key}={value}" for key, value in api_words(TINY) if not key.startswith("task")]

    def says(phase: str, *more: str) -> str:
        assert study.main([*words, f"phase={phase}", *more]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "stale" in line]
        return line

    assert study.main([*words, "phase=tune"]) == 0
    aged(next(path.parent for path in sorted(folder.glob("*/run.json"))), trainer=0)
    assert "stale (another version of trainer" in says("tune")
    assert "4 of 5 tuning runs: phase=tune retry=stale (stale: 1)" in says("confirm")
    assert not (folder / "study.json").exists()
    assert study.main([*words, "phase=tune", "retry=stale"]) == 0
    assert study.main([*words, "phase=confirm"]) == 0
    confirmed = load([folder]).runs.query("phase == 'confirm'")["run_id"]
    aged(folder / confirmed.iloc[0], cell=0)
    assert "stale (another version of cell" in says("confirm")
    assert study.main([*words, "phase=confirm", "retry=stale"]) == 0


def test_a_checkpoint_of_other_versions_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [f"{key}={value}" for key, value in api_words({**TINY, "study": str(tmp_path / "s")})]
    job = resolve(compose([*said, "retry=stale"]))
    (whole,) = run_all([job], workers=1, show=False)
    assert job.folder is not None
    content = json.loads((job.folder / "run.json").read_text())
    from experiments.store.lookup import CHECKPOINT
    from experiments.training.loop import Training

    training = Training([job])
    training.on_checkpoint = lambda model, checkpoint: _keep(job, checkpoint)
    training.step(0)
    training.checkpoint()
    (job.folder / "run.json").write_text(json.dumps(content | {"status": "interrupted"}))
    monkeypatch.setattr(code_versions, "TRAINER", 9)
    assert (job.folder / CHECKPOINT).is_file()
    (again,) = run_all([job], workers=1, show=False)
    assert again.record["results"] == whole.record["results"]
    assert again.record["semantics"]["trainer"] == 9
    assert len(again.rows) == len(whole.rows)


def _keep(job: Any, checkpoint: Any) -> None:
    from experiments.store.files import write_tensors
    from experiments.store.lookup import CHECKPOINT

    whose = {"run_id": job.run_id, "semantics": {"cell": 1, "task": 1, "trainer": 0}}
    write_tensors(job.folder / CHECKPOINT, {**checkpoint, **whose})
