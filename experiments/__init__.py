"""Sweeps of gate ablations: ``experiments.run(...)``, ``experiments.sweep({...})``, ``experiments.load_run(dir)``.

May import: lstm_variants, analysis.common to publishing, experiments.tasks to studies, experiments.benchmark.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from experiments.api import LoadedRun
    from experiments.sweep.run_stack import Run
    from lstm_variants.extensions.user_folders import Folders


class CallableModule(types.ModuleType):
    """``experiments.run`` and ``experiments.sweep`` stay functions once the modules so called are imported."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return _from_api(self.__name__.rpartition(".")[2], *arguments, **settings)


def _from_api(name: str, *arguments: Any, **settings: Any) -> Any:
    """Call a function of experiments.api, which is imported only then: it brings torch, pandas and Hydra."""
    return getattr(importlib.import_module("experiments.api"), name)(*arguments, **settings)


def run(**settings: Any) -> Run:
    """Train one run: ``run(variant="gru", task="adding", seed=3, train={"steps": 200})``."""
    made: Run = _from_api("run", **settings)
    return made


def sweep(axes: Mapping[str, Any | Sequence[Any]], **settings: Any) -> pd.DataFrame:
    """Train every combination: ``sweep({"variant": ["lstm", "gru"], "seed": range(3)}, task="adding")``."""
    frame: pd.DataFrame = _from_api("sweep", axes, **settings)
    return frame


def load_run(folder: str | Path, extensions: Folders | None = None) -> LoadedRun:
    """A run's trained layer, task and configuration, from its directory.

    ``extensions`` says where the folders of your own are that it needs, if no longer where its record says.
    """
    loaded: LoadedRun = _from_api("load_run", folder, extensions)
    return loaded
