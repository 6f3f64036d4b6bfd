"""study.json is what was written, or every command that reads it says in one line what is not, and does nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import records
from planted_studies import made

from analysis import report, workspace
from analysis.claims.frozen_study_file import FILE, FrozenStudy
from analysis.common.command_line import CommandError
from experiments import push, status


@pytest.fixture
def study(tmp_path: Path) -> Path:
    _, frozen = made(tmp_path / "s", {"lstm": [0.01] * 8, "gru": [0.02] * 8})
    records.write_frozen(tmp_path / "s", frozen)
    return tmp_path / "s"


EDITS: dict[str, Any] = {
    "claims": lambda content: content["claims"][0].update(margin=1e-9),
    "tasks": lambda content: content["tasks"].update(copy=[]),
    "arms": lambda content: content["arms"].update(lstm=["train.lr=1"]),
    "grid": lambda content: content["grid"].update({"train.lr": [1]}),
    "factors": lambda content: content.pop("factors"),
    "seeds": lambda content: content["seeds"].pop(),
    "extension": lambda content: content["extension"].append(8),
    "cells": lambda content: content["cells"][1].update(content["cells"][0]),
    "study": lambda content: content.update(study="other"),
    "more": lambda content: content.update(more=1),
    "hash": lambda content: content.update(hash="0" * 16),
    "hashes": lambda content: content.pop("hashes"),
}


def edited(study: Path, key: str) -> bytes:
    content = json.loads((study / FILE).read_text())
    EDITS[key](content)
    (study / FILE).write_text(json.dumps(content))
    return (study / FILE).read_bytes()


@pytest.mark.parametrize("key", EDITS)
def test_whatever_was_changed_is_named(study: Path, key: str) -> None:
    assert FrozenStudy.read(study) is not None
    edited(study, key)
    with pytest.raises(CommandError, match=rf"s/study\.json was changed after it was frozen.*\b{key}\b"):
        FrozenStudy.read(study)


READERS: dict[str, Any] = {
    "report": lambda study, out: report.main([f"study={study}", f"out={out}"]),
    "why": lambda study, out: report.main([f"study={study}", "why=claims:1/verdict"]),
    "why a score": lambda study, out: report.main([f"study={study}", "why=scores:LSTM/adding"]),
    "status": lambda study, out: status.main([f"study={study}"]),
    "push": lambda study, out: push.main([f"study={study}", "mode=offline"]),
    "workspace": lambda study, out: workspace.main([f"study={study}", "dry_run=true"]),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_a_changed_study(study: Path, reader: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = edited(study, "claims")
    there = sorted(study.iterdir())
    assert READERS[reader](study, study.with_name("report")) == 2
    shown = capsys.readouterr()
    assert "claims is not what was written" in shown.err
    assert str(study / FILE) in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not shown.out
    assert not study.with_name("report").exists()
    assert (study / FILE).read_bytes() == before
    assert sorted(study.iterdir()) == there


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("\xff", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "another schema"),
        ('{"schema": 1, "experiment": "mine"}', "experiment=mine study=.*refreeze=true"),
        ('{"schema": 2}', "hash is missing"),
    ],
)
def test_a_damaged_or_older_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert FrozenStudy.read(tmp_path) is None
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    with pytest.raises(CommandError, match=said):
        FrozenStudy.read(tmp_path)


def test_a_file_that_lacks_a_key_with_a_hash_of_its_own_is_refused(study: Path) -> None:
    content = json.loads((study / FILE).read_text())
    del content["claims"], content["hash"], content["hashes"]
    from analysis.claims.frozen_study_file import digest

    content["hashes"] = {key: digest(value) for key, value in content.items()}
    content["hash"] = digest(content)
    (study / FILE).write_text(json.dumps(content))
    with pytest.raises(CommandError, match=r"study\.json: claims: Field required"):
        FrozenStudy.read(study)
