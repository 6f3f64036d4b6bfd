"""What looking inside a net leaves in a run directory, with numbers and arrays of the test's own."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from analysis.records.inside import Array, Inside
from experiments.inspection import files


def plant(run: Path, numbers: Mapping[str, float | None], arrays: Mapping[str, Array] | None = None) -> None:
    """Both files, whole and of this run, as a real look writes them."""
    record = json.loads((run / "run.json").read_text())
    files.write(run, record, {"readout_bias": torch.zeros(1)}, Inside(dict(numbers), dict(arrays or {})), 4)
