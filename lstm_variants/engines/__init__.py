"""Engines compute one layer over a whole sequence; all have the signature of :func:`reference.run`.

May import: lstm_variants.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch

from lstm_variants.cell import Cell, State
from lstm_variants.engines import native, reference
from lstm_variants.engines.native_library import missing, say

Run = Callable[..., tuple[torch.Tensor, State]]
NAMES = ("auto", "reference", "native")


TOLD = "GATES_ENGINE_TOLD"  # what has been said on the terminal, by this process or the one that started it


@dataclass(frozen=True)
class Engine:
    """An engine in use: its name, the reason for the choice, and its function."""

    name: str
    reason: str
    run: Run


def choose(name: str, cell: Cell, device: torch.device, dtype: torch.dtype) -> Engine:
    """The engine for a cell.

    Args:
        name: ``auto`` takes the fastest that can run the cell; any other name takes that engine or raises.

    Raises:
        ValueError: for an unknown engine, or one that cannot run this cell here.
    """
    if name not in NAMES:
        raise ValueError(f"engine={name}: legal are {', '.join(NAMES)}")
    if name == "reference":
        return Engine("reference", "asked for", reference.run)
    unfit = native.unfit(cell, device, dtype)
    reason = unfit or missing()
    if reason is None:
        return Engine("native", "asked for" if name == "native" else "the fastest on the CPU", native.run)
    if name == "native":
        raise ValueError(f"engine=native cannot run here: {reason}")
    if unfit is None:
        _tell(reason)
    return Engine("reference", f"native cannot run here: {reason}", reference.run)


def _tell(reason: str) -> None:
    """Say once, in whatever processes, that this machine lacks the fast engine."""
    if os.environ.get(TOLD) != reason:
        os.environ[TOLD] = reason
        say(f"warning: no native engine here: {reason}; the reference engine runs instead, many times slower")
