"""Reading and checking the ``.npz`` file of the task ``arrays``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from experiments.tasks._splits import SPLITS, refusal
from experiments.tasks.base import Array

LAYOUT = {
    "inputs": "(N, T) or (N, T, I)",
    "targets": "(N, T), (N, T, O), (N,) or (N, O)",
    "split": "(N,) of train, validation, test",
    "lengths": "(N,) steps of each sequence; may be left out",
}
FETCH = f"name an .npz file with {', '.join(LAYOUT)}"
LOSS_KINDS = {"i": "cross_entropy", "u": "cross_entropy", "f": "mse", "b": "bce"}  # by numpy's kind of the targets


def load(path: Path) -> dict[str, Array]:
    """The arrays of LAYOUT: values as (N, T, I), ``lengths`` always there.

    Raises:
        TaskError: naming the file and what is wrong.
    """
    content = _read(path)
    inputs = content["inputs"]
    content.setdefault("lengths", np.full(len(inputs), inputs.shape[1] if inputs.ndim > 1 else 0))
    fault = _fault(content)
    if fault:
        raise refusal(path, fault)
    if inputs.dtype.kind not in "iu" or inputs.ndim == 3:
        content["inputs"] = inputs.reshape(*inputs.shape[:2], -1).astype(np.float32)
    return content


def _read(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            content = {key: arrays[key] for key in LAYOUT if key in arrays.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise refusal(path, f"it cannot be read as an .npz file of plain arrays ({error})") from error
    missing = [key for key in LAYOUT if key not in content and key != "lengths"]
    if missing:
        raise refusal(path, f"it has no {missing[0]}; {FETCH}")
    return content


def _fault(content: dict[str, Array]) -> str:
    """What is wrong with the arrays, or nothing."""
    inputs, targets, split, lengths = (content[key] for key in ("inputs", "targets", "split", "lengths"))
    axes = (1, 2) if targets.dtype.kind in "iu" else (2, 3)
    if inputs.ndim not in (2, 3) or inputs.dtype.kind not in "iufb":
        return f"inputs {inputs.shape} of {inputs.dtype}: {LAYOUT['inputs']} numbers are needed"
    if targets.dtype.kind not in LOSS_KINDS or targets.ndim not in axes:
        return f"targets {targets.shape} of {targets.dtype}: {LAYOUT['targets']} are needed"
    if targets.ndim == axes[1] and targets.shape[1] != inputs.shape[1]:
        return f"targets have {targets.shape[1]} steps, inputs {inputs.shape[1]}"
    if {len(targets), split.size, lengths.size} != {len(inputs)}:
        return f"inputs have {len(inputs)} rows, targets {len(targets)}, split {split.size}, lengths {lengths.size}"
    for key, values in (("inputs", inputs), ("targets", targets)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{key} hold values that are not finite"
        if values.dtype.kind == "i" and values.ndim <= 2 and values.min(initial=0) < 0:
            return f"{key} are symbols, numbered from 0: there is a {values.min()}"
    if lengths.dtype.kind not in "iu" or not ((lengths >= 1) & (lengths <= inputs.shape[1])).all():
        return f"lengths must be whole numbers from 1 to {inputs.shape[1]}"
    if set(np.unique(split).tolist()) != set(SPLITS):
        return f"split must hold {', '.join(SPLITS)}, each at least once; it holds {np.unique(split).tolist()[:5]}"
    return ""
