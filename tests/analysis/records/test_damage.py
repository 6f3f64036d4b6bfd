"""One damaged file costs that file and nothing else, and copies and links of a run count once: everywhere alike."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import records
from hypothesis import example, given
from hypothesis import strategies as st
from planted_studies import made

import experiments
from analysis import figures, report, runs
from analysis.records.load import load
from experiments import push, status
from experiments.config.schema import ConfigError
from experiments.studies.standing import look
from experiments.tracking import from_records

TINY = {"task": "adding", "task.length": 10, "model.hidden_size": 4, "record.wandb.mode": "disabled"}
TINY |= {"train": {"steps": 2, "eval_every": 2, "batch_size": 2, "eval_size": 8}}

HUGE = "1" * 4000
RAW = ["NaN", "-Infinity", "1e999", HUGE, "99999999999999999999", "-1", "0", "true", "null", '"x"', '"\\u0000/.."']
RAW += ["[]", "[[1]]", "{}", '{"a": {"b": 1}}', "[" * 100_000, '"\\ud800"', "1e308", "0.5"]


def leaves(content: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The path of everything in a record."""
    below = list(content.items()) if isinstance(content, dict) else []
    return [*([path] if path else []), *(leaf for key, value in below for leaf in leaves(value, (*path, key)))]


PATHS = leaves(records.record())


def damaged(path: tuple[object, ...], raw: str) -> str:
    """A run.json with this text at a path."""
    content = place = records.record(seed=1, study="s")
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "%HERE%"
    return json.dumps(content).replace('"%HERE%"', raw)


@pytest.fixture
def fast(monkeypatch):
    """Figures compute their numbers and are not drawn."""

    def draw(folder, loaded, width, name, *_):
        figures.discover()[name].numbers(loaded.runs, loaded.curves)
        return {}

    monkeypatch.setattr("analysis.pages.figure_files.draw", draw)


@pytest.mark.slow
def test_a_damaged_number_costs_its_record_and_no_other(tmp_path_factory, fast, examples):
    @examples(4)
    @given(path=st.sampled_from(PATHS), raw=st.sampled_from(RAW))
    @example(path=("results", "steps"), raw='"x"')
    @example(path=("timing", "seconds"), raw="[]")
    @example(path=("results", "score"), raw="1e999")
    @example(path=("seed",), raw=HUGE)
    @example(path=("run_id",), raw='"\\u0000"')
    @example(path=("config", "resolved", "task", "length"), raw="[]")
    @example(path=("arm",), raw='"\\ud800"')
    @example(path=("notes",), raw="[" * 100_000)
    @example(path=("config", "resolved", "train", "lr"), raw='"x"')
    @example(path=("label",), raw='"\\ud800"')
    @example(path=("task", "name"), raw='""')
    def holds(path, raw):
        costs_its_record_and_no_other(tmp_path_factory.mktemp("damage") / "s", path, raw)

    holds()


def costs_its_record_and_no_other(study, path, raw):
    good = records.write(study, seed=0)
    records.write(study, "gru", seed=0)
    bad = records.write(study, seed=1)
    alone = load([study]).runs.set_index("run_id").loc[good.name]
    (bad / "run.json").write_text(damaged(path, raw))
    assert report.main([f"study={study}", f"out={study.parent / 'out'}"]) == 0
    loaded = load([study])
    assert good.name in set(loaded.runs["run_id"])
    assert loaded.runs.set_index("run_id").loc[good.name, "score"] == alone["score"]
    assert len(loaded.runs) + len(loaded.skipped) == 3
    assert status.main([f"study={study}", "watch=false"]) == 0
    table = pd.read_csv(study.parent / "out" / "tables" / "scores.csv")
    assert (
        table["n"].sum() + table["missing"].sum() + len(loaded.skipped) + (loaded.runs["status"] == "stale").sum() == 3
    )


METRICS = [b"", b"\xff\xfe", b"step,a\n0,\x00\n", b"step,a,a\n0,1,2\n", b"step,a\n-5,1\n", b"step,a\n1e999,1\n"]
METRICS += [b"step,a\n" + HUGE.encode() + b",1\n", b'step,a\n0,"' + b"x" * 200_000 + b'"\n', b"step,a\n0,true\n"]


@pytest.mark.parametrize("content", METRICS)
def test_a_damaged_curve_costs_its_record_and_no_other(tmp_path, fast, content):
    records.write(tmp_path / "s", seed=0)
    (records.write(tmp_path / "s", seed=1) / "metrics.csv").write_bytes(content)
    assert report.main([f"study={tmp_path / 's'}", f"out={tmp_path / 'out'}"]) == 0
    loaded = load([tmp_path / "s"])
    assert (len(loaded.runs), len(loaded.skipped)) == (1, 1)


@pytest.mark.parametrize("name", ["run.json", "metrics.csv"])
@pytest.mark.parametrize("instead", ["nothing", "folder", "loop", "bytes"])
def test_a_file_that_is_none_costs_its_record_and_no_other(tmp_path, fast, name, instead):
    records.write(tmp_path / "s", seed=0)
    file = records.write(tmp_path / "s", seed=1) / name
    file.unlink()
    if instead == "folder":
        file.mkdir()
    elif instead == "loop":
        file.symlink_to(file)
    elif instead == "bytes":
        file.write_bytes(b"\xff\x00{")
    assert report.main([f"study={tmp_path / 's'}", f"out={tmp_path / 'out'}"]) == 0
    loaded = load([tmp_path / "s"])
    assert (len(loaded.runs), len(loaded.skipped)) == (1, 1)


@pytest.mark.parametrize("damage", ["", "{", '{"alpha": NaN}', '{"a": 1e999}', "[" * 100_000, "\udcff", None])
def test_a_damaged_study_file_costs_the_claims_and_not_the_report(tmp_path, fast, capsys, damage):
    made(tmp_path / "s", {"lstm": [0.01] * 8, "gru": [0.02] * 8})
    file = tmp_path / "s" / "study.json"
    file.unlink(missing_ok=True)
    if damage is None:
        file.mkdir()
    else:
        file.write_bytes(damage.encode("utf-8", "surrogateescape"))
    asked = [f"study={tmp_path / 's'}", f"out={tmp_path / 'out'}"]
    assert report.main(asked) == 0
    assert "s/study.json" in (tmp_path / "out" / "index.html").read_text()
    assert not (tmp_path / "out" / "tables" / "claims.csv").exists()
    capsys.readouterr()
    assert report.main([*asked, "strict=true"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert status.main([f"study={tmp_path / 's'}", "watch=false"]) == 0


@pytest.fixture
def copied(tmp_path) -> Path:
    """A study of two runs, each copied or linked in every way that people do."""
    study = tmp_path / "demo"
    first, second = records.write(study, seed=0), records.write(study, "gru", seed=0)
    shutil.copytree(first, study / f"{first.name}.bak")
    shutil.copytree(first, study / f".{first.name}.old")
    shutil.copytree(second, study / "a copy")
    (study / "latest").symlink_to(second.name)
    (study / "self").symlink_to(".")
    shutil.copytree(study, study / "nested", symlinks=True)
    shutil.copytree(study, tmp_path / "backup" / "demo", symlinks=True)
    (tmp_path / "link").symlink_to("demo")
    return study


def ways(study: Path) -> list[str]:
    """The study, said in every way."""
    relative = os.path.relpath(study)
    return [str(study), f"{study}/", relative, f"./{relative}", str(study.parent / "link"), f"{study}/self"]


def test_copies_and_links_count_once_in_every_command(copied, fast, capsys):
    originals = {path.name for path in copied.glob("adding-*-s0-????????")}
    for asked in (ways(copied), [*ways(copied), str(copied.parent / "backup" / "demo")], [str(copied)]):
        loaded = load(asked)
        assert set(loaded.runs["record"]) == {f"demo/{name}" for name in originals}
        assert all("the same run as demo/adding-" in reason for _, reason in loaded.skipped)
    joined = ",".join([*ways(copied), str(copied.parent / "backup" / "demo")])
    assert report.main([f"study={joined}", f"out={copied.parent / 'out'}"]) == 0
    assert list(pd.read_csv(copied.parent / "out" / "tables" / "scores.csv")["n"]) == [1, 1]
    capsys.readouterr()
    assert look(copied).total["finished"] == 2
    assert runs.main([f"study={joined}"]) == 0
    assert "demo: 2 runs: 2 finished" in capsys.readouterr().out


def test_a_study_said_twice_is_pushed_once(copied, capsys, monkeypatch):
    monkeypatch.setattr(from_records, "replayed", lambda *_: True)
    monkeypatch.setattr(push, "aggregated", lambda *_: True)
    assert push.main([f"study={','.join(ways(copied))}", "mode=offline"]) == 0
    out = capsys.readouterr().out
    assert out.count("4 wandb runs, 4 of them made now") == 1  # two runs and their two arms


def test_the_copy_that_finished_is_used(tmp_path):
    folder = records.write(tmp_path / "s")
    shutil.copytree(folder, tmp_path / "s" / "copy")
    content = json.loads((folder / "run.json").read_text()) | {"status": "failed", "error": "killed", "results": {}}
    (folder / "run.json").write_text(json.dumps(content))
    assert list(load([tmp_path / "s"]).runs["record"]) == ["s/copy"]
    assert look(tmp_path / "s").total["finished"] == 1


def test_links_that_lead_nowhere_are_listed(tmp_path, fast):
    study = tmp_path / "s"
    records.write(study)
    (study / "gone").symlink_to("/nowhere/at/all")
    (study / "loop").symlink_to("loop")
    (study / ".#editor").symlink_to("user@host.1")
    loaded = load([study])
    assert [record for record, _ in loaded.skipped] == ["s/gone", "s/loop"]
    assert "leads nowhere" in loaded.skipped[0].reason
    assert report.main([f"study={study}", f"out={tmp_path / 'out'}"]) == 0
    assert look(study).total["finished"] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_run_that_may_not_be_read_is_listed(tmp_path):
    records.write(tmp_path / "s", seed=0)
    hidden = records.write(tmp_path / "s", seed=1)
    hidden.chmod(0)
    try:
        assert [record for record, _ in load([tmp_path / "s"]).skipped] == [f"s/{hidden.name}"]
    finally:
        hidden.chmod(0o755)


def test_a_record_of_another_run_is_not_handed_back(tmp_path):
    first, second = (experiments.run(seed=seed, study=str(tmp_path), **TINY) for seed in (0, 1))
    folder = tmp_path / second.record["run_id"]
    shutil.copy(tmp_path / first.record["run_id"] / "run.json", folder)
    with pytest.raises(ConfigError, match=f"holds the record of another run, {first.record['run_id']}"):
        experiments.run(seed=1, study=str(tmp_path), **TINY)
    with pytest.raises(ConfigError, match="move it away"):
        experiments.sweep({"seed": [0, 1]}, study=str(tmp_path), **TINY)


def test_a_run_whose_folder_was_renamed_is_found(tmp_path):
    made = experiments.run(study=str(tmp_path), **TINY)
    folder = tmp_path / made.record["run_id"]
    folder.rename(tmp_path / f"kept-{folder.name}")
    again = experiments.run(study=str(tmp_path), **TINY)
    assert again.record == made.record
    assert again.metrics.equals(made.metrics.astype(again.metrics.dtypes))


@pytest.mark.parametrize(("key", "value"), [("status", '"Finished"'), ("seed", "1e999"), ("results", "[]")])
def test_a_damaged_record_is_not_trained_over(tmp_path, key, value):
    made = experiments.run(study=str(tmp_path), **TINY)
    path = tmp_path / made.record["run_id"] / "run.json"
    path.write_text(json.dumps(made.record | {key: "%HERE%"}).replace('"%HERE%"', value))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"cannot be read as a run record .*move it away"):
        experiments.run(study=str(tmp_path), **TINY)
    assert path.read_bytes() == before
