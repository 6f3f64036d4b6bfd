"""Reading run records: what is let in, what is skipped and why, what is never averaged, what may be paired."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
import pandas as pd
import planted_inside
import pytest
import records
from omegaconf import MISSING

from analysis import runs
from analysis.arms import arms, counted_runs
from analysis.common.command_line import about, command, parse
from analysis.pages import listings, tables
from analysis.records import cache
from analysis.records.load import Records, load


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "demo"


def edit(folder: Path, **changes: object) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_is_one_row_named_by_paths_of_its_record(study):
    folder = records.write(study, "gru", "digits", 3, train__lr=0.02)
    content = json.loads((folder / "run.json").read_text())
    (row,) = load([study]).runs.to_dict("records")
    assert row["run_id"] == folder.name
    assert row["task.name"] == row["task"] == "digits"
    assert row["config.resolved.train.lr"] == 0.02
    assert row["environment.engine"] == "native"
    assert row["score"] == row["results.score"] == content["results"]["score"]
    assert row["solved"] == content["results"]["solved"]


def test_curves_are_every_number_of_metrics_csv_and_no_other(study):
    folder = records.write(study)
    curves = load([study]).curves
    assert set(curves["run_id"]) == {folder.name}
    evaluated = curves[curves["metric"] == "eval/mse"]
    assert list(evaluated["step"]) == list(records.STEPS)
    assert list(evaluated["value"]) == records.curve("lstm", "adding", 0)
    assert list(curves[curves["metric"] == "train/loss"]["step"]) == list(records.STEPS[1:])  # step 0 has no training


@pytest.mark.parametrize("tail", ["400,0.5,1.0,0.12", "400,0", "4"])
def test_a_torn_last_line_is_dropped(study, tail):
    folder = records.write(study)
    whole = load([study]).curves
    with (folder / "metrics.csv").open("a") as file:
        file.write(tail)
    assert load([study]).curves.equals(whole)


BROKEN = {
    "not JSON": ("run.json", lambda text: text[:100]),
    "lacks seed": ("run.json", lambda text: text.replace('"seed"', '"sead"')),
    "seed is '0'": ("run.json", lambda text: text.replace('"seed": 0,\n "config"', '"seed": "0",\n "config"')),
    "status is 'done'": ("run.json", lambda text: text.replace('"finished"', '"done"')),
    "NaN stands where": ("run.json", lambda text: text.replace('"solved": 0.01', '"solved": NaN')),
    "expected min or max": ("run.json", lambda text: text.replace('"min"', '"down"')),
    "schema '1'": ("run.json", lambda text: text.replace('"schema": 1', '"schema": "1"')),
    "first column": ("metrics.csv", lambda text: text.replace("step,", "time,")),
    "has 2 cells, the header 4": ("metrics.csv", lambda text: text.replace("100,0.5,1.0,", "100,")),
    "step 100 comes after step 200": ("metrics.csv", lambda text: text + text.splitlines()[2] + "\n"),
    "could not convert": ("metrics.csv", lambda text: text.replace("0.5", "zero")),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_record_is_listed_with_its_reason_and_skipped(study, reason, capsys):
    good, bad = records.write(study, seed=1), records.write(study, seed=0)
    name, damage = BROKEN[reason]
    text = (bad / name).read_text()
    (bad / name).write_text(damage(text))
    assert (bad / name).read_text() != text
    if reason.startswith("step 100"):
        (bad / name).write_text("\n".join([*text.splitlines()[:4], text.splitlines()[2], ""]))
    loaded = load([study])
    assert list(loaded.runs["run_id"]) == [good.name]
    assert set(loaded.curves["run_id"]) == {good.name}
    ((record, why),) = loaded.skipped
    assert record == f"demo/{bad.name}"
    assert reason in why
    assert runs.main([f"study={study}"]) == 0
    assert record in capsys.readouterr().out
    assert runs.main([f"study={study}", "strict=true"]) == 2
    assert record in capsys.readouterr().err


def test_a_run_directory_without_run_json_is_listed_and_other_folders_are_not(study):
    records.write(study)
    (study / "half").mkdir()
    (study / "half" / "metrics.csv").write_text("step\n")
    (study / "notes").mkdir()
    assert load([study]).skipped == [("demo/half", "it has no run.json")]


def test_no_readable_run_is_an_error(study, capsys):
    (records.write(study) / "run.json").write_text("{")
    assert runs.main([f"study={study}"]) == 2
    assert "not JSON" in capsys.readouterr().err


def test_a_newer_schema_stops_the_command(study, capsys):
    records.write(study, seed=1)
    edit(records.write(study), schema=2)
    assert runs.main([f"study={study}"]) == 2
    error = capsys.readouterr().err
    assert "schema 2" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("make", [False, True])
def test_a_missing_or_empty_folder_is_one_clear_line(tmp_path, make, capsys):
    if make:
        (tmp_path / "demo").mkdir()
    assert runs.main([f"study={tmp_path / 'demo'}"]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "demo") in error
    assert error.count("\n") == 1
    assert (tmp_path / "demo").exists() == make


def test_the_folder_above_studies_names_them(study, capsys):
    records.write(study)
    assert runs.main([f"study={study.parent}"]) == 2
    assert f"study={study}" in capsys.readouterr().err


def test_diverged_is_worse_than_any_score_and_the_unfinished_have_none(study):
    for seed, status in enumerate(("finished", "diverged", "failed", "interrupted", "running", "stale")):
        records.write(study, seed=seed, status=status)
    loaded = load([study]).runs.set_index("status")
    assert loaded.loc["diverged", "score"] == np.inf
    assert not loaded.loc["diverged", "solved"]
    assert loaded.loc[["failed", "interrupted", "running", "stale"], "score"].isna().all()
    assert set(counted_runs.scored(load([study]).runs)["status"]) == {"finished", "diverged"}
    listed = listings.unfinished(load([study]).runs)
    assert list(listed["status"]) == ["diverged", "failed", "interrupted", "running", "stale"]
    (cell,) = tables.scores(load([study]).runs).to_dict("records")
    assert (cell["n"], cell["diverged"], cell["missing"]) == (2, 1, 3)  # the stale one is neither
    assert (cell["median"], cell["largest"]) == (np.inf, np.inf)
    assert tables.cell(pd.Series(cell))[0] == "diverged"


def test_a_diverged_run_without_a_chance_level_is_worse_than_any_score(study):
    records.write(study, task__chance=None, status="diverged")
    records.write(study, "gru", "digits", task__chance=None, status="diverged")
    assert list(load([study]).runs["score"]) == [np.inf, -np.inf]


def test_a_run_in_two_studies_counts_once_and_the_finished_one_wins(tmp_path):
    records.write(tmp_path / "one", status="failed", error="killed")
    records.write(tmp_path / "two")
    loaded = load([tmp_path / "one", tmp_path / "two", tmp_path / "two"])
    assert list(loaded.runs["study"]) == ["two"]
    ((record, why),) = loaded.skipped
    assert record.startswith("one/")
    assert "the same run as two/" in why


def test_studies_whose_folders_share_a_name_are_kept_apart(tmp_path):
    records.write(tmp_path / "a" / "demo", "lstm")
    records.write(tmp_path / "b" / "demo", "gru")
    loaded = load([tmp_path / "b" / "demo", tmp_path / "a" / "demo"])
    assert sorted(loaded.runs["variant"]) == ["gru", "lstm"]
    assert loaded.curves["run_id"].nunique() == 2


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(cache, "FRESH", 5 * 10**7)


def settle(study: Path) -> None:
    """Make the records look older than the second in which a second change of them might not show."""
    for path in study.glob("*/*"):
        os.utime(path, ns=(10**18, 10**18))
    while time.time_ns() - max(path.stat().st_ctime_ns for path in study.glob("*/*")) < 1.1 * cache.FRESH:
        time.sleep(0.01)


def same(left: Records, right: Records) -> bool:
    return left.runs.equals(right.runs) and left.curves.equals(right.curves) and left.skipped == right.skipped


def test_records_from_the_cache_are_those_that_were_read(tmp_path, monkeypatch):
    study = records.write_study(tmp_path / "demo", seeds=2)
    (records.write(study, seed=7) / "run.json").write_text("{")
    records.write(study, seed=8, task__lengths=[50, 100], status="failed", notes=[])
    records.write(tmp_path / "other", "gru", seed=9, task__chance=None, phase="tune")
    settle(tmp_path / "other")
    settle(study)
    first = load([study, tmp_path / "other"])
    monkeypatch.setattr(cache, "read_run", lambda _: pytest.fail("read again"))
    again = load([study, tmp_path / "other"])
    assert same(first, again)
    assert first.runs.dtypes.equals(again.runs.dtypes)
    assert (study / cache.FILE).exists()


@pytest.mark.parametrize("name", cache.FILES)
@pytest.mark.parametrize("keep_time", [True, False])
def test_a_changed_record_is_read_again_and_only_that(study, name, keep_time, monkeypatch):
    records.write_study(study, seeds=2)
    looked_into = min(study.glob("*/run.json")).parent
    planted_inside.plant(looked_into, {"mean/forget": 0.125})
    settle(study)
    before = load([study])
    changed = looked_into / name
    text, times = changed.read_text(), changed.stat()
    number = re.findall(r"0\.\d+", text)[-1]  # the same size, another number
    other = text.replace(number, number[:-1] + str((int(number[-1]) + 1) % 10))
    assert other != text
    changed.write_text(other)
    if keep_time:
        os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    read, read_run = [], cache.read_run
    monkeypatch.setattr(cache, "read_run", lambda path: read.append(path.name) or read_run(path))
    after = load([study])
    assert read == [changed.parent.name]
    assert not same(before, after)
    (study / cache.FILE).unlink()
    assert same(after, load([study]))


def test_runs_that_come_and_go_are_noticed(study):
    records.write_study(study, seeds=2)
    settle(study)
    before = load([study])
    shutil.rmtree(study / before.runs.loc[0, "run_id"])
    folder = records.write(study, seed=5)
    after = load([study])
    assert set(before.runs["run_id"]) ^ set(after.runs["run_id"]) == {before.runs.loc[0, "run_id"], folder.name}
    (study / cache.FILE).unlink()
    assert same(after, load([study]))


def test_a_record_written_just_now_is_not_kept(study, monkeypatch):
    monkeypatch.setattr(cache, "FRESH", 10**11)
    records.write(study)
    load([study])
    assert not (study / cache.FILE).exists()


@pytest.mark.parametrize("damage", [lambda data: data[:200], lambda data: b"", lambda data: data[:-900] + b"x" * 900])
def test_a_damaged_cache_is_none(study, damage):
    records.write_study(study, ("lstm",), seeds=2)
    settle(study)
    whole = load([study])
    (study / cache.FILE).write_bytes(damage((study / cache.FILE).read_bytes()))
    assert same(whole, load([study]))


def test_the_cache_of_another_reader_is_none(study, monkeypatch):
    records.write_study(study, ("lstm",), seeds=1)
    settle(study)
    load([study])
    monkeypatch.setattr(cache, "version", lambda: "another")
    assert cache.load(study) == cache.EMPTY


def test_a_study_that_may_only_be_read_is_read(study, monkeypatch):
    records.write_study(study, ("lstm",), seeds=1)
    settle(study)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache, "save", refuse)
    assert len(load([study]).runs) == 2


def test_arms_are_axes_and_never_averaged(study):
    for lr in (0.1, 0.01):
        for seed in range(2):
            records.write(study, "lstm", seed=seed, train__lr=lr)
    records.write(study, "gru", train__lr=0.01)
    loaded = load([study]).runs
    assert set(loaded["name"]) == {"LSTM (train.lr=0.1)", "LSTM (train.lr=0.01)", "GRU (train.lr=0.01)"}
    assert (loaded.groupby("name")["arm"].nunique() == 1).all()
    assert set(tables.scores(loaded)["n"]) == {2, 1}


def test_settings_tuned_per_variant_are_no_axis(study):
    records.write(study, "lstm", train__lr=0.1)
    records.write(study, "gru", train__lr=0.01)
    assert set(load([study]).runs["name"]) == {"LSTM", "GRU"}


def test_arms_without_a_visible_difference_go_by_their_hash(study):
    records.write(study, seed=0, arm="aaaaaaaa")
    records.write(study, seed=1, arm="bbbbbbbb")
    assert set(load([study]).runs["name"]) == {"LSTM (arm=aaaaaaaa)", "LSTM (arm=bbbbbbbb)"}


def test_a_setting_that_is_null_in_some_arms_tells_them_apart(study):
    for number, clip in enumerate((None, 1.0)):
        records.write(study, train__clip=clip, run_id=f"r{number}")
    assert set(load([study]).runs["name"]) == {"LSTM", "LSTM (train.clip=1)"}


@pytest.mark.parametrize(("digest", "panels"), [("other", 2), (None, 1)])
def test_a_task_setting_that_is_null_in_some_runs_is_an_axis_where_the_data_differ(study, digest, panels):
    task = {"name": "adding", "length": 50}
    records.write(study, config__resolved__task={**task, "reset_at": None})
    changes = {} if digest is None else {"data_digest": digest}
    more = {"config__resolved__task": {**task, "reset_at": "string_end"}, "arm": "other", "run_id": "other"}
    records.write(study, "gru", **more, **changes)
    assert set(load([study]).runs["task"]) == {"adding", "adding (reset_at=string_end)"} if panels == 2 else {"adding"}


def test_variants_that_share_a_label_go_by_their_names(study):
    records.write(study, "lstm")
    records.write(study, "lstm[forget.feeds=xb]", label="LSTM")
    assert set(load([study]).runs["name"]) == {"lstm", "lstm[forget.feeds=xb]"}


def test_tasks_of_one_name_that_differ_are_panels(study):
    for length in (50, 200):
        task = {"name": "adding", "length": length}
        records.write(study, task__length=length, config__resolved__task=task, arm=f"{length:08}", run_id=f"r{length}")
    assert list(load([study]).runs["task"]) == ["adding (length=200)", "adding (length=50)"]
    assert set(load([study]).runs["name"]) == {"LSTM"}


def test_tuning_runs_are_left_out_once_there_are_confirmation_runs(study):
    for lr in (0.1, 0.01):
        records.write(study, seed=0, train__lr=lr, phase="tune")
    assert len(counted_runs.reported(load([study]).runs)) == 2
    records.write(study, seed=100, train__lr=0.1, phase="confirm")
    loaded = counted_runs.reported(load([study]).runs)
    assert list(loaded["seed"]) == [100]
    assert list(loaded["name"]) == ["LSTM"]


def test_numbers_inside_names_sort_as_numbers():
    names = ["T=200", "T=50", "lr=1e-3", "lr=0.01", "lr=0.001 b"]
    assert sorted(names, key=arms.natural) == ["T=50", "T=200", "lr=1e-3", "lr=0.001 b", "lr=0.01"]


@pytest.mark.parametrize("digests", [("aa", "bb"), ("aa", None), (None, None)])
def test_different_data_is_listed(study, digests):
    for variant, digest in zip(("lstm", "gru"), digests, strict=True):
        records.write(study, variant, data_digest=digest)
    loaded = load([study]).runs
    assert list(listings.unpaired(loaded)["seed"]) == [0]


def test_differences_in_provenance_are_listed(study):
    records.write(study, seed=0)
    records.write(study, seed=1)
    assert listings.provenance(load([study]).runs).empty
    records.write(study, seed=2, environment__commit="def", environment__engine="reference")
    found = listings.provenance(load([study]).runs)
    assert {what: list(rows["runs"]) for what, rows in found.groupby("what")} == {
        "commit": [2, 1],
        "engine": [2, 1],
    }


def test_seeds_without_a_record_are_listed(study):
    records.write(study, "lstm", seed=0)
    records.write(study, "lstm", seed=1)
    records.write(study, "gru", seed=1)
    assert listings.absent(load([study]).runs).to_numpy().tolist() == [["adding", "GRU", "0"]]


def test_the_command_prints_the_table(tmp_path, capsys):
    records.write_study(tmp_path / "demo", seeds=2)
    records.write(tmp_path / "demo", seed=7, status="failed")
    assert runs.main([f"study={tmp_path / 'demo'}"]) == 0
    out = capsys.readouterr().out
    assert "demo: 13 runs: 12 finished, 1 failed" in out
    medians = np.median([records.curve("gru", "adding", seed)[-1] for seed in range(2)])
    assert f"{medians:.3g} (" in out
    assert "1 missing" in out


def test_the_package_needs_no_torch_and_none_of_the_others():
    code = (
        "import sys, pkgutil, importlib, analysis\n"
        "for m in pkgutil.walk_packages(analysis.__path__, 'analysis.'): importlib.import_module(m.name)\n"
        "print(sorted({'torch', 'hydra', 'wandb', 'experiments', 'lstm_variants'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Size(Enum):
    small = 1
    large = 2


@dataclass
class Schema:
    """Do something."""

    names: list[str] = field(default_factory=list, metadata=about("what to do it to", positional=True))
    study: list[str] = field(default=MISSING, metadata=about("the folders", example="outputs/demo"))
    size: Size = field(default=Size.small, metadata=about("how much"))
    count: int = field(default=3, metadata=about("how often"))
    strict: bool = field(default=False, metadata=about("how strictly"))


def test_a_command_line_becomes_its_schema():
    given = parse(Schema, ["gru", "study=007,b=c", "size=large", "count=4", "lstm", "strict=true"])
    assert given == Schema(["gru", "lstm"], ["007", "b=c"], Size.large, 4, True)
    assert parse(Schema, ["study=a"]) == Schema([], ["a"])
    odd = ["${nothing}", "\\${seed}", "$x", "a\\b", "null", "{a: b}"]
    assert parse(Schema, [f"study={','.join(odd)}"]).study == odd


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study=a", "sise=large"], "sise=large: there is no sise; did you mean size?"),
        (["study=a", "--size", "large"], "--size: there is no --size; did you mean size?"),
        (["study=a", "size=larg"], "size=larg: expected one of small, large; did you mean large?"),
        (["study=a", "count=many"], "count=many: expected a whole number"),
        (["study=a", "strict=maybe"], "strict=maybe: expected true or false"),
        (["study=a", "count="], "count= lacks a value: expected a whole number"),
        (["study=a", "count"], "count has no value: write count=VALUE"),
        (["study=a,"], "study=a, lacks a value: expected text, or several separated by commas"),
        (["study=???"], "study=??? lacks a value: expected text, or several separated by commas"),
        (["study=a", "count=${nothing}"], "count=${nothing}: expected a whole number"),
        (["study=a", "study=b"], "study=b: study is given twice, first as study=a"),
        ([], "study= is missing: the folders; --help shows an example"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(words, message, capsys):
    def body(options: Schema) -> None:
        raise AssertionError("not to be run")

    if words[1:] == ["count"]:  # a word alone is one of the names
        assert parse(Schema, words).names == ["count"]
        return
    assert command("prog", Schema, body, words) == 2
    assert capsys.readouterr().err == f"prog: {message}\n"


def test_help_teaches(capsys):
    assert command("prog", Schema, print, ["--help"]) == 0
    out = capsys.readouterr().out
    for text in ("Do something.", "study=...", "the folders (required)", "(default small)", "(default 3)", "NAMES ..."):
        assert text in out
    assert out.endswith("prog study=outputs/demo\n")
