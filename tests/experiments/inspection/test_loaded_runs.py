"""A run read back: its own numbers exactly, also under a clamp; its measures as frames; `record.inside=true`."""

import json
from pathlib import Path
from typing import Any

import pytest

import experiments
from analysis.records.inside import read
from experiments.config.schema import ConfigError

QUICK = {"train.steps": 3, "train.eval_every": 3, "train.batch_size": 4, "model.hidden_size": 3}
QUICK |= {"record.wandb.mode": "disabled"}
CASES: list[dict[str, Any]] = [
    {"task": "continual_reber", "task.length": 2, "train.eval_size": 12},
    {"task": "adding", "task.length": 9, "task.eval_lengths": [12], "train.eval_size": 200},
    {"task": "counting", "task.length": 3, "train.eval_size": 6, "variant": "forget_gumbel"},
    {"task": "xml", "task.length": 1, "train.eval_size": 8, "model.layers": 2, "variant": "full_gate_recurrence"},
    {"task": "sequential_digits", "task.length": 8, "engine": "reference", "variant": "slstm", "phase": "tune"},
]


def made(folder: Path, **changes: Any) -> Path:
    run = experiments.run(study=str(folder), **{**QUICK, **changes})
    return folder / run.record["run_id"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["task"])
def test_a_run_gives_its_own_numbers_again(case: dict[str, Any], tmp_path: Path) -> None:
    run = experiments.load_run(made(tmp_path / "study", seed=4, **case))
    recorded = {name: value for name, value in run.record["results"]["final"].items() if name.startswith("eval")}
    assert run.evaluate() == recorded
    with run.layer.clamp("candidate", 0.25):
        assert run.evaluate() != recorded
    assert run.evaluate() == recorded


def test_a_run_that_is_older_than_a_setting_has_its_default(tmp_path: Path) -> None:
    folder = made(tmp_path / "study", task="counting", **{"task.length": 3, "train.eval_size": 6})
    wanted = experiments.load_run(folder).evaluate()
    record = json.loads((folder / "run.json").read_text())
    for setting in ("strings", "squared", "score"):
        del record["config"]["resolved"]["task"][setting]
    (folder / "run.json").write_text(json.dumps(record))
    older = experiments.load_run(folder)
    assert older.evaluate() == wanted
    assert older.config["task"]["score"] == "largest_n"


def test_the_measures_come_as_frames_and_never_of_a_clamped_net(tmp_path: Path) -> None:
    run = experiments.load_run(made(tmp_path / "study", **CASES[1]))
    found = run.inspect(sequences=5)
    assert found.numbers["surgery/forget=1/cost"] == pytest.approx(
        found.numbers["surgery/forget=1"] - found.numbers["untouched"]  # type: ignore[operator]
    )
    assert set(found.traces().columns) == {"layer", "measure", "slot", "sequence", "step", "unit", "value"}
    assert found.events()["event"].nunique() == 3
    with run.layer.clamp("forget", 1.0), pytest.raises(ConfigError, match="a gate of the layer is clamped"):
        run.inspect()
    for wrong in (0, 1.5, "8", True):
        with pytest.raises(ConfigError, match=f"sequences={wrong}"):
            run.inspect(sequences=wrong)  # type: ignore[arg-type]


def test_a_carried_state_that_was_not_kept_is_said(tmp_path: Path) -> None:
    run = experiments.load_run(made(tmp_path / "study", **CASES[0]))
    run.carried = None
    with pytest.raises(ConfigError, match="did not keep the state"):
        run.evaluate()
    assert any("carried state" in lack for lack in run.inspect(sequences=4).lacks)


def test_runs_look_inside_at_their_end_if_told_to(tmp_path: Path) -> None:
    plain, looked = (
        made(tmp_path / name, **CASES[0], **{"record.inside": inside}) for name, inside in (("a", False), ("b", True))
    )
    assert plain.name == looked.name  # it is the same run
    assert not list(plain.glob("inside*"))
    record = json.loads((looked / "run.json").read_text())
    found = read(looked, record)
    assert found is not None
    again = experiments.load_run(looked).inspect()
    assert found.numbers == again.numbers
    assert (plain / "weights.pt").read_bytes() == (looked / "weights.pt").read_bytes()
    assert record["results"] == json.loads((plain / "run.json").read_text())["results"]


def test_a_net_that_cannot_be_looked_at_is_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.inspection import files

    def broken(*_: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(files, "measure", broken)
    folder = made(tmp_path / "study", **CASES[0], **{"record.inside": True})
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["notes"] == ["inside: MemoryError: too large"]


def test_a_run_made_again_forgets_what_was_found(tmp_path: Path) -> None:
    settings = {**CASES[0], "record.inside": True}
    folder = made(tmp_path / "study", **settings)
    record = json.loads((folder / "run.json").read_text())
    record["semantics"]["trainer"] = 0
    (folder / "run.json").write_text(json.dumps(record))
    assert made(tmp_path / "study", **{**settings, "record.inside": False, "retry": "stale"}) == folder
    assert not list(folder.glob("inside*"))
