"""What the fuzzing tests share: how often, and what a clear end is."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import called
from hypothesis import HealthCheck, settings

SMALL = ["train.steps=2", "train.eval_every=1", "train.batch_size=2", "train.eval_size=2", "model.hidden_size=2"]
SMALL += ["task.length=9", "threads=1", "record.wandb.mode=disabled"]


@pytest.fixture
def examples(full: bool) -> Callable[[int], settings]:
    """Settings for a count of examples; twenty-five times as many in the long form, and others every time."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return lambda count: settings(
        max_examples=25 * count if full else count,
        deadline=None,  # of a busy machine; pytest has a limit for the whole test
        derandomize=not full,
        database=None,
        suppress_health_check=checks,
        print_blob=True,
    )


def ends(main: Callable[[list[str]], Any], words: list[str]) -> int:
    """A command's exit status: its error is one line, the last on stderr."""
    ended = called(main, words)
    code, said = ended.returncode, ended.stderr
    assert "Traceback" not in said
    if code:
        assert code in (1, 2), said
        errors = [line for line in said.splitlines() if line.startswith(("error: ", "python -m "))]
        assert len(errors) == 1, said
        assert said.rstrip("\n").endswith(errors[0]), said
        assert len(errors[0].partition(": ")[2]) > 3, said
    return code


@contextlib.contextmanager
def refusals(kind: type[Exception], name: str) -> Iterator[None]:
    """Success, or an error of this kind that names something in one line."""
    error = None
    try:
        yield
    except kind as refusal:
        error = str(refusal)
    if error is not None:
        assert name in error
        assert "\n" not in error


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
