"""How much what is due depends on what came so many steps earlier: |d y_due / d h|, |d y_due / d c|, |d y_due / d x|.

Norms are Frobenius norms of the Jacobian of all O outputs at one step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiments.inspection.subject import Subject
from experiments.tasks.base import Array

SEQUENCES = 16  # one due step of each
MOST_OUTPUTS = 32  # outputs whose gradients are taken, evenly among more


class LagGradients(NamedTuple):
    """Means over sequences by lag, (K,); NaN where no due step comes so late.

    Attributes:
        h, c, x: norms of the gradient in hidden state and cell of a layer and in its net's input.
        cell_path: that part of c's which goes along the cell alone: d y_due / d c_due times prod f.
    """

    h: Array
    c: Array
    x: Array
    cell_path: Array


def due_steps(subject: Subject) -> Array:
    """(B,), of each sequence the last step that is due or, if the task names none, that counts; -1 without one."""
    due = subject.events.get("due", subject.batch.counts) & subject.inside
    last = len(due) - 1 - due[::-1].argmax(axis=0)
    return np.where(due.any(axis=0), last, -1)


def lag_gradients(subject: Subject, layer: int, longest: int) -> LagGradients:
    """Of one layer, up to a lag of ``longest`` steps."""
    few = subject.first(SEQUENCES)
    due, x = due_steps(few), few.x.requires_grad_()
    seen: dict[str, list[Tensor]] = {"hidden": [], "cell": [], "forget": []}

    def keep(slot: str, value: Tensor) -> Tensor:
        if slot in seen:
            seen[slot].append(value)
        return value

    with torch.enable_grad(), few.layer.tapped(keep, layer):
        y, _ = few.layer(x, few.state)
        outputs = few.outputs(y)
    squares = {name: torch.zeros(outputs.shape[:2], dtype=torch.float64) for name in ("h", "c", "x", "cell_path")}
    sequences = torch.from_numpy(np.flatnonzero(due >= 0))
    steps = torch.from_numpy(due)[sequences]
    kept = _kept(seen["forget"], due, outputs.shape[1], few.layer.hidden_size)
    for output in np.unique(np.linspace(0, outputs.shape[2] - 1, MOST_OUTPUTS).round().astype(int)):
        chosen = outputs[steps, sequences, output].sum()
        wanted = [x, *seen["hidden"], *seen["cell"]]
        found = torch.autograd.grad(chosen, wanted, retain_graph=True, allow_unused=True, materialize_grads=True)
        h, c = torch.stack(found[1 : 1 + len(x)]), torch.stack(found[1 + len(x) :])
        for name, gradient in (("x", found[0]), ("h", h), ("c", c)):
            squares[name] += gradient.square().sum(-1)
        if kept is not None:
            at_due = torch.zeros_like(c[0])
            at_due[sequences] = c[steps, sequences]
            squares["cell_path"] += (kept * at_due).square().sum(-1)
    return LagGradients(*(_by_lag(squares[name].sqrt().numpy(), due, longest) for name in LagGradients._fields))


def _kept(forget: list[Tensor], due: Array, columns: int, units: int) -> Tensor | None:
    """(T, B, H), the product of f over the steps after each one up to the due step."""
    if not forget:
        return None
    kept = torch.zeros(len(forget), columns, units, dtype=torch.float64)
    for column, last in enumerate(due):
        if last >= 0:
            f = torch.stack([step.detach().expand(columns, units)[column] for step in forget[1 : last + 1]] or [])
            ones = torch.ones(1, units, dtype=torch.float64)
            kept[: last + 1, column] = torch.cat([f, ones]).flip(0).cumprod(0).flip(0) if last else ones
    return kept


def _by_lag(norms: Array, due: Array, longest: int) -> Array:
    """The mean (K,) over sequences of norms (T, B) so many steps before the due step."""
    rows = [norms[last::-1, column][:longest] for column, last in enumerate(due) if last >= 0]
    padded = np.full((len(rows), longest), np.nan)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    counts = (~np.isnan(padded)).sum(axis=0)
    return np.where(counts > 0, np.nansum(padded, axis=0) / np.maximum(counts, 1), np.nan)
