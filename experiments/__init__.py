"""Sweeps of gate ablations: ``experiments.run(...)``, ``experiments.sweep({...})``, ``experiments.load_run(dir)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from experiments.api import LoadedRun
    from experiments.config.extensions import Folders
    from experiments.sweep.execute import Run


def run(**settings: Any) -> Run:
    """Train one run: ``run(variant="gru", task="adding", seed=3, train={"steps": 200})``."""
    from experiments import api

    return api.run(**settings)


def sweep(axes: Mapping[str, Any | Sequence[Any]], **settings: Any) -> pd.DataFrame:
    """Train every combination: ``sweep({"variant": ["lstm", "gru"], "seed": range(3)}, task="adding")``."""
    from experiments import api

    return api.sweep(axes, **settings)


def load_run(folder: str | Path, extensions: Folders | None = None) -> LoadedRun:
    """A run's trained layer, task and configuration, from its directory.

    ``extensions`` says where the folders of your own are that it needs, if no longer where its record says.
    """
    from experiments import api

    return api.load_run(folder, extensions)
