"""Standard streams that are closed, full or no longer read end no work, and the exit status says what was lost."""

import errno
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sweeps import QUICK, ROOT

from analysis.common import terminal
from analysis.common.command_line import CommandError, command

QUIET = ["record.wandb.mode=disabled", *QUICK]


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


@pytest.mark.slow
def test_runs_are_made_whatever_becomes_of_what_is_said(tmp_path: Path) -> None:
    start = [sys.executable, "-m", "experiments.run"]
    sweep = [*start, "-m", *QUIET, "hydra.launcher.workers=2", "seed=0,1"]
    words = {"closed": sweep, "full": sweep, "help": [*start, "--help"]}
    ways = {"closed": (">&- 2>&- <&-", 0), "full": ("2>/dev/full", 0), "help": (">/dev/full", 2)}
    running = {
        name: subprocess.Popen(
            ["sh", "-c", f'exec "$@" {where}', "sh", *words[name], f"study={tmp_path / name}"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (where, _) in ways.items()
    }
    for name, (_, status) in ways.items():
        _, shown = running[name].communicate(timeout=200)
        assert running[name].returncode == status, shown
        assert len(list((tmp_path / name).glob("*/weights.pt"))) == (0 if status else 2)
    assert shown.splitlines() == ["error: standard output cannot be written (No space left on device)"]


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
