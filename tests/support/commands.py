"""Commands called in this process: a process of its own costs seconds, most of them to import torch."""

import contextlib
import importlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch


@dataclass
class Ended:
    """What a finished process would leave."""

    returncode: int
    stdout: str
    stderr: str


def called(main: Callable[[list[str]], Any], words: list[str]) -> Ended:
    """The main function of a command, called with the words of its command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), patch.object(sys, "argv", ["gates"]):
        try:
            code = main(words) or 0
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())


def command(module: str, *words: str, cwd: Path) -> Ended:
    """``python -m MODULE WORDS`` in a folder."""
    found = importlib.import_module(module)
    main = found.main if hasattr(found, "main") else importlib.import_module(f"{module}.__main__").main
    with contextlib.chdir(cwd):
        return called(main, list(words))
