"""Gate ablations under a name that nobody else has: ``gates.run``, ``sweep``, ``load_run``, ``load``, ``GatedRNN``.

Importing it makes our packages come before those of somebody's project that have the same names. What it offers is
imported when it is asked for. May import: lstm_variants, analysis.common, experiments.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gates.import_path import ours_first

if TYPE_CHECKING:
    from experiments.api import load_run, run, sweep
    from lstm_variants import GatedRNN, load

__all__ = ["GatedRNN", "load", "load_run", "run", "sweep"]

ours_first()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module gates has no {name}; it has {', '.join(__all__)}")
    ours_first()
    home = "lstm_variants" if name in ("load", "GatedRNN") else "experiments.api"
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
