"""Standard streams that are closed, full or no longer read end no work, and the exit status says what was lost."""

import contextlib
import errno
import importlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from sweeps import QUICK, ROOT

from analysis.common import terminal
from analysis.common.command_line import CommandError, command


@dataclass
class Options:
    """A command without options."""


class Broken(io.StringIO):
    """A stream on which one thing goes wrong."""

    def __init__(self, number: int, at_flush: bool = False) -> None:
        super().__init__()
        self.error, self.at_flush = OSError(number, os.strerror(number)), at_flush

    def write(self, text: str) -> int:
        if not self.at_flush:
            raise self.error
        return len(text)

    def flush(self) -> None:
        raise self.error

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize("at_flush", [False, True])
@pytest.mark.parametrize(("number", "status"), [(errno.EPIPE, 0), (errno.ENOSPC, 2)])
def test_a_reader_who_has_left_is_no_error_and_a_full_disk_is(
    number: int, status: int, at_flush: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(number, at_flush))
    assert command("prog", Options, lambda options: print("much"), []) == status
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (1 if status else 0)
    assert all(line.startswith("prog: ") and "No space left" in line for line in said)


def test_what_cannot_be_said_is_no_error(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    for stderr in (None, Broken(errno.ENOSPC), Broken(errno.EIO)):
        monkeypatch.setattr(sys, "stderr", stderr)
        terminal.say("something")
        assert command("prog", Options, lambda options: print("much"), ["no such word"]) == 2
        print("something", file=sys.stderr)
        sys.stderr.close()
    assert capfd.readouterr().out == ""


SWEEP = ["-m", "record.wandb.mode=disabled", *QUICK, "seed=0,1"]


@pytest.mark.slow
def test_runs_are_made_though_every_stream_is_closed(tmp_path: Path) -> None:
    process = started(">&- 2>&- <&-", "experiments.run", *SWEEP, "hydra.launcher.workers=2", f"study={tmp_path}")
    process.communicate(timeout=200)
    assert process.returncode == 0
    assert len(list(tmp_path.glob("*/weights.pt"))) == 2


def test_runs_are_made_though_nothing_can_be_said(tmp_path: Path) -> None:
    words = [*SWEEP, "hydra.launcher.workers=1", f"study={tmp_path}"]
    assert run_here(words, io.StringIO(), Broken(errno.ENOSPC)) == 0
    assert len(list(tmp_path.glob("*/weights.pt"))) == 2


def test_words_that_a_full_disk_swallows_are_an_error() -> None:
    process = started(">/dev/full", "analysis.runs", "--help")
    (line,) = process.communicate(timeout=200)[1].splitlines()
    assert line.startswith("python -m analysis.runs: ")
    assert "No space left on device" in line
    assert process.returncode == 2


def test_so_they_are_of_a_run() -> None:
    stderr = io.StringIO()
    assert run_here(["--help"], Broken(errno.ENOSPC), stderr) == 2
    assert stderr.getvalue() == "error: standard output cannot be written (No space left on device)\n"


def run_here(words: list[str], stdout: io.StringIO, stderr: io.StringIO) -> object:
    """The exit status of ``python -m experiments.run WORDS`` in this process, with these streams."""
    main = importlib.import_module("experiments.run").main
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), patch.object(sys, "argv", ["gates"]):
        try:
            main(words)
        except SystemExit as end:
            return end.code
    return 0


def started(where: str, *words: str) -> "subprocess.Popen[str]":
    """``python -m WORDS`` with its streams redirected as a shell says it."""
    line = ["sh", "-c", f'exec "$@" {where}', "sh", sys.executable, "-m", *words]
    return subprocess.Popen(line, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)


def test_commands_are_named_as_their_reader_types_them(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def body(options: Options) -> None:
        raise CommandError("ask python -m analysis.runs study=DIR, or python -m experiments.status study=DIR")

    assert command("python -m experiments.plan", Options, body, []) == 2
    assert capsys.readouterr().err.startswith("python -m experiments.plan: ask python -m analysis.runs study=DIR, or ")
    monkeypatch.setenv(terminal.GATES, "plan")
    assert command("python -m experiments.plan", Options, body, []) == 2
    assert capsys.readouterr().err == "gates plan: ask gates runs study=DIR, or gates status study=DIR\n"
    assert command("python -m experiments.plan", Options, body, ["--help"]) == 0
    assert capsys.readouterr().out.startswith("gates plan KEY=VALUE ...")
