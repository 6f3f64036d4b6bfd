"""`make check` runs the tests of what changed."""

import conftest
import pytest
from changed import ROOT, changed, chosen


@pytest.mark.parametrize(
    ("name", "test"),
    {
        "experiments/sweep/workers.py": "tests/experiments/sweep/test_workers.py",
        "analysis/claims/verdicts.py": "tests/analysis/claims/test_claims.py",
        "experiments/run.py": "tests/experiments/sweep/test_sweep.py",  # as a command
        "analysis/pages/templates/new.html": "tests/analysis/pages",
        "experiments/training/nobody_imports_this.py": "tests/experiments/training",
        "experiments/nobody_imports_this.py": "tests/experiments",
        "lstm_variants/engines/native.cpp": "tests/lstm_variants",
        "tests/support/sweeps.py": "tests/experiments/sweep/test_faults.py",
        "tests/support/oracle.py": "tests/lstm_variants/test_family.py",  # through family.py, too
        "tests/test_wheel.py": "tests/test_wheel.py",
        "conf/task/adding.yaml": "tests/experiments/tasks",
        "conf/config.yaml": "tests/experiments/config",
        "docs/tasks.md": "tests/test_docs.py",
    }.items(),
)
def test_a_file_has_its_tests(name: str, test: str) -> None:
    found = chosen([name])
    assert test in found
    assert all((ROOT / place).exists() for place in found)


def test_the_folder_that_mirrors_a_change_comes_first() -> None:
    found = chosen(["analysis/arms/arms.py", "tests/test_wheel.py"])
    near = [test for test in found if test.startswith("tests/analysis/arms/") or test == "tests/test_wheel.py"]
    assert found[: len(near)] == near != found


def test_what_there_is_no_time_for_is_skipped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request.config.option, "seconds", -1.0)
    with pytest.raises(pytest.skip.Exception, match="make test runs everything"):
        conftest.pytest_runtest_setup(request.node)
    monkeypatch.setattr(request.config.option, "seconds", 1e9)
    conftest.pytest_runtest_setup(request.node)


def test_what_has_no_tests_and_what_is_gone_runs_nothing() -> None:
    assert chosen(["LICENSE", "tests/test_that_was_removed.py"]) == []


def test_a_revision_is_compared_with_the_files_on_disk() -> None:
    new = ROOT / "tests" / "data" / "new file"
    new.touch()
    try:
        assert "tests/data/new file" in changed("HEAD")
    finally:
        new.unlink()
