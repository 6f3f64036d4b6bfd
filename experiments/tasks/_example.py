"""How a sample sequence is written as aligned text, and drawn into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.tasks._batch import YES_OR_NO

if TYPE_CHECKING:
    from experiments.tasks.base import Batch, Task

MOST_NAMED = 10  # rows of a map that still have room for their names


def text(task: Task, batch: Batch, columns: int | None = None) -> str:
    """The first sequence of a batch, one row an input, the target below; ``.`` where a step does not count.

    Args:
        columns: the width at which the sequence goes on in a block below; None: never.
    """
    steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[0])
    counts = batch.counts[:steps, 0]
    rows = task.input_rows(batch.inputs[:steps, 0])
    targets = _cells(batch.targets[:steps, 0], task.target_alphabet, task.loss_kind in YES_OR_NO)
    rows["target"] = [cell if counts[t] else "." for t, cell in enumerate(targets)]
    width = max(len(cell) for cells in rows.values() for cell in cells)
    name_width = max(map(len, rows))
    gap = "" if width == 1 else " "
    block = steps if columns is None else max(1, (columns - name_width - 2 + len(gap)) // (width + len(gap)))
    return "\n\n".join(
        "\n".join(
            f"{name:<{name_width}}  {gap.join(cell.rjust(width) for cell in cells[start : start + block])}"
            for name, cells in rows.items()
        )
        for start in range(0, steps, block)
    )


def input_rows(task: Task, inputs: NDArray[Any]) -> dict[str, list[str]]:
    """One row of symbols or sets, or one row for each value of a step."""
    if inputs.ndim == 1 or task.loss_kind in YES_OR_NO:
        return {"input": _cells(inputs, task.alphabet, inputs.ndim == 2)}
    names = task.input_names or [f"input {k}" for k in range(inputs.shape[1])]
    return {name: [_number(v) for v in inputs[:, k]] for k, name in enumerate(names)}


def _cells(values: NDArray[Any], alphabet: str, sets: bool) -> list[str]:
    """One cell a step: a symbol, a number, several numbers, or the set of those that are on."""
    if values.ndim == 1:
        return [_visible(alphabet[v]) if alphabet else str(v) for v in values]
    if sets:
        names = alphabet or [f"{k}," for k in range(values.shape[1])]
        return ["".join(names[k] for k in np.flatnonzero(row)).rstrip(",") or "-" for row in values]
    return ["/".join(_number(v) for v in row) for row in values]


def _visible(symbol: str) -> str:
    """A control character as its picture, such as ␊ for a line's end."""
    return (
        symbol
        if symbol.isprintable()
        else chr(0x2400 + ord(symbol))
        if ord(symbol) < 32
        else "\N{REPLACEMENT CHARACTER}"
    )


def _number(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if value % 1 else str(int(value))


def plot(task: Task, batch: Batch, path: Path) -> None:
    """The first sequence as two maps: inputs below, targets above (only where they count), time to the right."""
    from matplotlib.figure import Figure  # here, because training draws nothing

    steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[0])
    inputs = _rows(batch.inputs[:steps, 0], task.input_size)
    targets = _rows(batch.targets[:steps, 0], task.output_size)
    targets[:, ~batch.counts[:steps, 0]] = np.nan
    drawn = np.concatenate([inputs.ravel(), targets[~np.isnan(targets)]])
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots(2, sharex=True, height_ratios=[len(targets), len(inputs)])
    names = (task.target_alphabet, task.input_names or task.alphabet)
    for ax, label, rows, own in zip(axes, ("target", "input"), (targets, inputs), names, strict=True):
        image = ax.imshow(
            rows, aspect="auto", origin="lower", interpolation="nearest", vmin=drawn.min(), vmax=drawn.max()
        )
        ax.set_ylabel(label)
        named = 1 < len(rows) <= min(len(own), MOST_NAMED)
        ax.set_yticks(range(len(rows)) if named else [], own[: len(rows)] if named else [])
    axes[-1].set_xlabel("step")
    if not np.isin(drawn, (0, 1)).all():
        figure.colorbar(image, ax=axes, label="value")
    figure.savefig(path)


def _rows(values: NDArray[Any], size: int) -> NDArray[Any]:
    """(rows, T): a symbol as one-hot, values as they are."""
    return (np.eye(size)[values] if values.ndim == 1 else values.astype(float)).T
