"""Whether the numbers of a record are those of today's code."""

from pathlib import Path

import pytest

from analysis import versions
from experiments.configs import compose, resolve
from experiments.stack import semantics


def test_what_is_not_listed_has_version_one(monkeypatch: pytest.MonkeyPatch) -> None:
    job = resolve(compose(["study=null", "variant=gru"]))
    assert semantics(job) == {"cell": 1, "task": 1, "trainer": versions.TRAINER}
    monkeypatch.setitem(versions.CELLS, "gated", 3)
    monkeypatch.setitem(versions.TASKS, "adding", 2)
    monkeypatch.setattr(versions, "TRAINER", 5)
    assert semantics(job) == {"cell": 3, "task": 2, "trainer": 5}


def test_the_version_of_a_file_of_ones_own_is_its_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("first")
    first = versions.today("gated", "mine", {"task": str(file)})
    assert (first["cell"], first["trainer"]) == (1, versions.TRAINER)
    file.write_text("second")
    assert versions.today("gated", "mine", {"task": str(file)})["task"] != first["task"]
