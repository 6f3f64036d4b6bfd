"""`make check` runs the tests of what changed."""

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


def test_what_has_no_tests_and_what_is_gone_runs_nothing() -> None:
    assert chosen(["LICENSE", "tests/test_that_was_removed.py"]) == []


def test_a_revision_is_compared_with_the_files_on_disk() -> None:
    new = ROOT / "tests" / "data" / "new file"
    new.touch()
    try:
        assert "tests/data/new file" in changed("HEAD")
    finally:
        new.unlink()
