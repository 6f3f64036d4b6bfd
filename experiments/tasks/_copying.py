"""Ten symbols given first and asked for after a signal: what copy and variable copy share."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import LOSSES, Array, Batch, Scores, Task, counted, share

ITEMS, SYMBOLS, SIGNAL = 10, 8, 9


class Copying(Task):
    """Inputs 0 (blank), 1..8 and 9 (the signal); targets 0 and 1..8."""

    independent = True
    alphabet = "0123456789"
    input_size = SYMBOLS + 2
    output_size = SYMBOLS + 1
    metric = "recall_accuracy"
    direction = "max"
    unit = "share"
    chance = 1 / SYMBOLS
    solved = 0.99

    def is_solved(self, metrics: Mapping[str, float]) -> bool:
        """Also asks for a loss below 10 % of chance."""
        assert self.chance_loss is not None
        return super().is_solved(metrics) and metrics["loss"] < 0.1 * self.chance_loss

    def events(self, batch: Batch) -> dict[str, Array]:
        """The symbols to keep, the signal, and where the symbols are due."""
        kept = (batch.inputs > 0) & (batch.inputs < SIGNAL)
        return {"symbol": kept, "signal": batch.inputs == SIGNAL, "due": batch.targets > 0}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``recall_loss`` (chance ln 8) and ``recall_accuracy``, over the ten recalled symbols."""
        scores = super().scores(outputs, batch)
        chosen, targets = counted(outputs, batch._replace(mask=batch.counts & (batch.targets > 0)))
        losses = LOSSES["cross_entropy"](chosen, targets).double()
        scores["recall_loss"] = (losses.sum().item(), losses.numel())
        scores["recall_accuracy"] = share(chosen.argmax(-1) == targets)
        return scores


def copying(generator: np.random.Generator, blanks: Array, steps: int) -> Batch:
    """Ten symbols, ``blanks`` (B,) blanks, the signal; the symbols are due right after it; ``steps`` in all."""
    columns = np.arange(len(blanks))
    symbols = generator.integers(1, SYMBOLS + 1, (ITEMS, len(blanks)))
    inputs = np.zeros((steps, len(blanks)), dtype=np.int64)
    targets = np.zeros_like(inputs)
    inputs[:ITEMS] = symbols
    inputs[ITEMS + blanks, columns] = SIGNAL
    targets[ITEMS + blanks + 1 + np.arange(ITEMS)[:, None], columns] = symbols
    return Batch(inputs, targets)


def chance_loss(steps: int) -> float:
    """Blanks known, the ten symbols not: nats a step over all steps."""
    return ITEMS * math.log(SYMBOLS) / steps
