"""run.json is written, read, checked and documented from one definition; what was written before is still read."""

import json
import shutil
from pathlib import Path

import pytest
import records
from pydantic import BaseModel

import experiments
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.common import pydantic_in_words
from analysis.records import schema
from analysis.records.load import load
from analysis.records.read import UnreadableError, read_content

ROOT = Path(__file__).parents[3]
OLD = ROOT / "tests/data/old_study/adding-lstm-forget.feeds-xb-s3-f25a2a8a"  # before there was the definition
WRITE = """python -c '
from analysis.common.pydantic_in_words import table
from analysis.records.schema import RunJson; print(table(RunJson))'"""
TINY = {"task": "adding", "task.length": 10, "model.hidden_size": 4, "record.wandb.mode": "disabled"}
TINY |= {"train": {"steps": 2, "eval_every": 2, "batch_size": 2, "eval_size": 8}}


def test_a_record_from_before_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.records.code_versions.TRAINER", 1)  # that made it
    content = read_content(OLD)
    written = json.loads((OLD / "run.json").read_text())
    for gate in written["config"]["resolved"]["variant"].values():
        if isinstance(gate, dict) and "shared" in gate:
            assert gate.pop("shared") is False
            gate["block"] = 1  # what it is called since
    assert content == written
    assert json.dumps(schema.written(content)) == json.dumps(content)  # in the same order
    shutil.copytree(OLD, tmp_path / OLD.name)
    (run,) = load([tmp_path]).runs.to_dict("records")
    assert run["run_id"] == OLD.name
    assert run["score"] == 1.0565980837054667
    assert run["config.resolved.train.lr"] == 0.005
    assert run["name"] == "lstm[forget.feeds=xb]"


def test_a_record_of_today_has_the_keys_that_the_definition_has(tmp_path: Path) -> None:
    written = experiments.run(study=str(tmp_path), **TINY).record
    assert list(written) == [field.alias or name for name, field in schema.RunJson.model_fields.items()]
    for name, part in written.items():
        model = schema.RunJson.model_fields.get(name)
        if model and isinstance(model.annotation, type) and issubclass(model.annotation, schema.Part):
            assert list(part) == list(model.annotation.model_fields), name


@pytest.mark.parametrize("model", [schema.RunJson, FrozenStudy])
def test_the_documentation_has_the_table_of_the_definition(model: type[BaseModel]) -> None:
    text = (ROOT / "docs" / "record.md").read_text()
    assert pydantic_in_words.table(model) in text, f"paste what this prints, likewise of FrozenStudy: {WRITE}"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("seed", True, "seed is True, expected whole number"),
        ("seed", "3", "seed is '3', expected whole number"),
        ("task.solved", "x", "task.solved is 'x', expected number or null"),
        ("task.direction", "up", "task.direction is 'up', expected min or max"),
        ("task.lengths", [1, "x"], "task.lengths is [1, 'x'], expected list (whole number) or null"),
        ("task.references", {"a": {"score": "x"}}, "task.references.a.score is 'x', expected number or null"),
        ("semantics.cell", [], "semantics.cell is [], expected whole number or text"),
        ("results", [], "results is [], expected mapping"),
        ("results.final", {"a": [1]}, "results.final.a is [1], expected number or null"),
        ("config.resolved.train.lr", {}, "config.resolved.train.lr is {}, expected number or null"),
        ("config.said", "words", "config.said is 'words', expected list (text) or null"),
        ("run_id", "a/b", "run_id is 'a/b', expected the name of a folder"),
        ("sources", {"cell": 3}, "sources.cell is 3, expected text"),
        ("status", "Finished", "status is 'Finished', expected one of finished, diverged, failed,"),
        ("results.score", None, "the run is finished but results.score is None"),
    ],
)
def test_a_fault_names_the_key_what_came_and_what_is_legal(tmp_path: Path, path: str, value: object, says: str) -> None:
    folder = records.write(tmp_path)
    content = place = json.loads((folder / "run.json").read_text())
    *parents, key = path.split(".")
    for parent in parents:
        place = place[parent]
    place[key] = value
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(UnreadableError) as caught:
        read_content(folder)
    assert str(caught.value).startswith(f"run.json: {says}")
    with pytest.raises(ValueError, match=r"\w") as refused:
        schema.written(content)
    assert str(refused.value).startswith(says)


def test_a_missing_key_is_named_and_an_unknown_one_is_kept(tmp_path: Path) -> None:
    content = records.record() | {"later": {"a": 1}}
    assert schema.written(content)["later"] == {"a": 1}
    del content["task"]["unit"]
    with pytest.raises(ValueError, match=r"^lacks task\.unit$"):
        schema.written(content)


def test_text_that_is_not_utf8_is_text() -> None:
    content = records.record() | {"label": "\udce9"}
    content["config"]["said"] = ["study=\udce9"]
    schema.check(content)
