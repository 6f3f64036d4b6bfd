"""How a sample sequence is written as aligned text, and drawn into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from experiments.tasks.base import Batch, Task


def text(task: Task, batch: Batch) -> str:
    """The first sequence of a batch, one row an input, the target below; ``.`` where a step does not count."""
    steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[0])
    counts = batch.counts[:steps, 0]
    rows = task.input_rows(batch.inputs[:steps, 0])
    targets = _cells(batch.targets[:steps, 0], task.target_alphabet, task.loss_kind == "bce")
    rows["target"] = [cell if counts[t] else "." for t, cell in enumerate(targets)]
    width = max(len(cell) for cells in rows.values() for cell in cells)
    name_width = max(map(len, rows))
    gap = "" if width == 1 else " "
    return "\n".join(f"{name:<{name_width}}  {gap.join(c.rjust(width) for c in cells)}" for name, cells in rows.items())


def input_rows(task: Task, inputs: NDArray[Any]) -> dict[str, list[str]]:
    """One row of symbols or sets, or one row for each value of a step."""
    if inputs.ndim == 1 or task.loss_kind == "bce":
        return {"input": _cells(inputs, task.alphabet, inputs.ndim == 2)}
    names = task.input_names or [f"input {k}" for k in range(inputs.shape[1])]
    return {name: [_number(v) for v in inputs[:, k]] for k, name in enumerate(names)}


def _cells(values: NDArray[Any], alphabet: str, sets: bool) -> list[str]:
    """One cell a step: a symbol, a number, several numbers, or the set of those that are on."""
    if values.ndim == 1:
        return [alphabet[v] if alphabet else str(v) for v in values]
    if sets:
        names = alphabet or [f"{k}," for k in range(values.shape[1])]
        return ["".join(names[k] for k in np.flatnonzero(row)).rstrip(",") or "-" for row in values]
    return ["/".join(_number(v) for v in row) for row in values]


def _number(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if value % 1 else str(int(value))


def plot(task: Task, batch: Batch, path: Path) -> None:
    """The first sequence as a map: inputs below, targets above (only where they count), time to the right."""
    from matplotlib.figure import Figure  # here, because training draws nothing

    steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[0])
    inputs = _rows(batch.inputs[:steps, 0], task.input_size)
    targets = _rows(batch.targets[:steps, 0], task.output_size)
    targets[:, ~batch.counts[:steps, 0]] = np.nan
    gap = np.full((1, steps), np.nan)
    figure = Figure(figsize=(7, 3), layout="constrained")
    ax = figure.subplots()
    ax.imshow(np.concatenate([inputs, gap, targets]), aspect="auto", origin="lower", interpolation="nearest")
    ax.set_xlabel("step")
    ax.set_yticks([(len(inputs) - 1) / 2, len(inputs) + 1 + (len(targets) - 1) / 2], ["input", "target"])
    figure.savefig(path)


def _rows(values: NDArray[Any], size: int) -> NDArray[Any]:
    """(rows, T): a symbol as one-hot, values as they are."""
    return (np.eye(size)[values] if values.ndim == 1 else values.astype(float)).T
