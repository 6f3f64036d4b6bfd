"""The command: what it writes, leaves, refuses and resumes."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import experiments
from analysis.explorer.nets import nets
from analysis.records import code_versions
from analysis.records.inside import read
from analysis.records.load import load
from experiments import inspect
from experiments.inspection import files

QUICK = {"train.steps": 4, "train.batch_size": 4, "train.eval_size": 8, "model.hidden_size": 3, "train.eval_every": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three runs."""
    study = tmp_path_factory.mktemp("made") / "study"
    experiments.sweep(
        {"variant": ["lstm", "gru"], "seed": [0, 1]},
        task="continual_reber",
        study=str(study),
        **{"record.wandb.mode": "disabled"},
        **QUICK,
        **{"task.length": 1},
    )
    return study


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(inspect.resources, "cores", lambda: 1)  # in this process
    return Path(shutil.copytree(made, tmp_path / "study"))


def run(study: Path, *words: str) -> int:
    return inspect.main([f"study={study}", "sequences=8", *words])


def written(study: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(study.glob("*/inside.*"))}


def folder(study: Path, part: str) -> Path:
    (found,) = study.glob(f"*-{part}-*")
    return found


def test_every_run_is_looked_at_once_and_gives_the_same_bytes(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.read_bytes() for p in study.glob("*/*")}
    assert run(study) == 0
    assert "looked inside 4 runs, 0 had been before, 0 left out" in capsys.readouterr().out
    assert all(path.read_bytes() == content for path, content in before.items())
    first, times = written(study), {p: os.stat(p).st_mtime_ns for p in written(study)}
    assert len(first) == 8
    assert run(study) == 0
    assert "looked inside 0 runs, 4 had been before" in capsys.readouterr().out
    assert times == {p: os.stat(p).st_mtime_ns for p in times}
    for path in first:
        os.unlink(path)
    assert run(study) == 0
    assert written(study) == first


def test_what_was_cut_off_or_damaged_or_asked_otherwise_is_made_again(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(study)
    first = written(study)
    (folder(study, "lstm-s0") / "inside.json").unlink()  # killed between the two files
    (folder(study, "lstm-s1") / "inside.npz").write_bytes(b"torn")
    (folder(study, "gru-s0") / "inside.json").write_text("{")
    capsys.readouterr()
    assert run(study) == 0
    assert "looked inside 3 runs, 1 had been before" in capsys.readouterr().out
    assert written(study) == first
    assert inspect.main([f"study={study}", "sequences=4", "variant=lstm"]) == 0
    assert "looked inside 2 runs" in capsys.readouterr().out


def test_only_what_is_asked_for(study: Path) -> None:
    assert run(study, "variant=gru", "seed=1") == 0
    assert [Path(path).parent for path in written(study)] == [folder(study, "gru-s1")] * 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["variant=lstn"], "variant=lstn: no run has it; did you mean lstm?"),
        (["seed=7"], "seed=7: no run has it"),
        (["seed=x"], "seed=x: expected a whole number"),
        (["what=1"], "there is no what"),
    ],
)
def test_bad_words_are_refused_in_one_line(
    words: list[str], told: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(study, *words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not written(study)


def test_no_sequences_are_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([f"study={study}", "sequences=0"]) == 2
    assert "sequences=0: a whole number, 1 or more, is needed" in capsys.readouterr().err


def change(path: Path, **changes: object) -> None:
    (path / "run.json").write_text(json.dumps({**json.loads((path / "run.json").read_text()), **changes}))


def test_runs_that_cannot_be_looked_at_are_left_out_with_their_reason(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder(study, "lstm-s0") / "weights.pt").unlink()
    change(
        folder(study, "lstm-s1"), semantics={"cell": 1, "task": code_versions.TASKS["continual_reber"], "trainer": 0}
    )
    change(folder(study, "gru-s0"), status="diverged")
    assert run(study) == 0
    out = capsys.readouterr().out
    assert "its weights were not kept (record.weights=false)" in out
    assert "stale, another version of trainer made it" in out
    assert "it is diverged, and only a finished run has a trained net" in out
    assert "looked inside 1 runs, 0 had been before, 3 left out" in out
    (folder(study, "gru-s1") / "weights.pt").write_bytes(b"damaged")
    assert run(study) == 2
    assert "no run could be looked at" in capsys.readouterr().err


def test_a_run_made_again_has_nothing_found_in_the_old_one(study: Path) -> None:
    run(study)
    path = folder(study, "lstm-s0")
    record = json.loads((path / "run.json").read_text())
    assert read(path, record) is not None
    assert read(path, {**record, "semantics": {"cell": 2, "task": 1, "trainer": 1}}) is None
    assert read(path, {**record, "data_digest": "another"}) is None


def test_readers_need_no_torch_and_find_frames(study: Path) -> None:
    run(study)
    path = folder(study, "lstm-s0")
    found = read(path, json.loads((path / "run.json").read_text()))
    assert found is not None
    assert found.layers == 1
    traces, units, events, lags = found.traces(), found.units(), found.events(), found.lags()
    one = traces[(traces["slot"] == "forget") & (traces["sequence"] == 1) & (traces["unit"] == 2)]
    assert one["value"].tolist() == found.arrays["layer0/trace/forget"][: len(one), 1, 2].tolist()
    assert len(one) == found.arrays["inside"][:, 1].sum()
    assert {"surgery/forget=1/loss_cost", "half_lag", "saturation/forget/open"} <= set(units["measure"])
    assert sorted(events["offset"].unique()) == list(range(-10, 11))
    assert set(lags["measure"]) == {"weight_by_lag", *(f"gradient/{name}" for name in ("h", "c", "x", "cell_path"))}
    with np.load(path / "inside.npz", allow_pickle=False) as arrays:
        weights = torch.load(path / "weights.pt", weights_only=True)
        assert {name for name in arrays.files if name.startswith("weights/")} == {f"weights/{name}" for name in weights}


def test_the_score_of_the_untouched_net_is_the_records(study: Path) -> None:
    run(study)
    for path in study.glob("*-s*"):
        record = json.loads((path / "run.json").read_text())
        found = read(path, record)
        assert found is not None
        assert found.numbers["untouched/loss"] == pytest.approx(record["results"]["final"]["eval/loss"], rel=1e-5)


def test_a_weight_that_changes_is_looked_at_anew() -> None:
    one = {"a": torch.zeros(2), "b": torch.ones(3)}
    assert files.weights_digest(one) == files.weights_digest(dict(reversed(one.items())))
    assert files.weights_digest(one) != files.weights_digest({**one, "a": torch.full((2,), 1e-30)})


def changed(**parts: object) -> Callable[[bytes], bytes]:
    """inside.json with something else in some places; %...% stands for text that is no JSON of ours."""
    return lambda content: json.dumps({**json.loads(content), **parts}).replace('"%', "").replace('%"', "").encode()


DAMAGED_JSON: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "torn": lambda content: content[:-9],
    "no text": lambda content: b"\xff" + content,
    "too deep": lambda content: b"[" * 100_000,
    "a list": lambda content: b"[]",
    "without numbers": changed(numbers=[]),
    "a number too large": changed(numbers={"untouched": "%" + "1" * 400 + "%"}),
    "a number that is none": changed(numbers={"untouched": "%NaN%"}),
    "a number out of range": changed(numbers={"untouched": "%1e999%"}),
    "a truth value": changed(numbers={"untouched": True}),
    "a text": changed(numbers={"untouched": "1"}),
    "no list of what is lacking": changed(lacks=3),
    "no findings": changed(findings={}),
    "no facts of the net": changed(net=3),
}


def test_a_damaged_file_is_as_if_nobody_had_looked(study: Path) -> None:
    path = folder(study, "lstm-s0")
    assert run(study, "variant=lstm", "seed=0") == 0
    record = json.loads((path / "run.json").read_text())
    kept = {name: (path / name).read_bytes() for name in ("inside.json", "inside.npz")}
    damages = [(name, "inside.json", damage(kept["inside.json"])) for name, damage in DAMAGED_JSON.items()]
    damages += [("torn", "inside.npz", kept["inside.npz"][:-9]), ("none", "inside.npz", b"")]
    for damage, name, content in damages:
        (path / name).write_bytes(content)
        records = load([study])
        assert len(records.runs) == 4, damage
        assert read(path, record) is None, damage
        assert nets(records, 10**7)[0]["nets"] == [], damage
        (path / name).write_bytes(kept[name])
    assert len(nets(load([study]), 10**7)[0]["nets"]) == 1


def test_arrays_of_another_look_are_not_shown_beside_the_numbers(study: Path) -> None:
    path = folder(study, "lstm-s0")
    assert run(study, "variant=lstm", "seed=0") == 0
    numbers, record = (path / "inside.json").read_bytes(), json.loads((path / "run.json").read_text())
    assert inspect.main([f"study={study}", "sequences=4", "variant=lstm", "seed=0"]) == 0
    (path / "inside.json").write_bytes(numbers)  # as a kill between the two files leaves them
    assert read(path, record) is None
    assert set(nets(load([study]), 10**7)[1].values()) >= {
        "its inside.npz is damaged or missing: python -m experiments.inspect study=DIR makes it again"
    }


def test_a_run_whose_rule_of_starting_is_gone_is_left_out(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copytree(Path(__file__).parents[3] / "docs" / "extension", tmp_path / "own"))
    settings: dict[str, Any] = {**QUICK, "task.length": 9, "record.wandb.mode": "disabled"}
    experiments.run(init="spread", task="adding", study=str(study), extensions=str(own), **settings)
    shutil.rmtree(own)
    assert run(study) == 0
    out = capsys.readouterr().out
    assert "looked inside 4 runs, 0 had been before, 1 left out" in out
    assert "spread" in next(line for line in out.splitlines() if line.startswith("left out: adding-lstm"))


def test_a_killed_worker_is_told_in_one_line(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed:
        def map(self, function: object, folders: list[Path]) -> Iterator[str]:
            yield "done"
            raise BrokenProcessPool

    monkeypatch.setattr(inspect.resources, "cores", lambda: 2)
    monkeypatch.setattr(inspect, "ProcessPoolExecutor", lambda *_: contextlib.nullcontext(Killed()))
    assert run(study) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("python -m experiments.inspect: a worker process was killed (out of memory?)")
    assert not any("Traceback" in line for line in error)
