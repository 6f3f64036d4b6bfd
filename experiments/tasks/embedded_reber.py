"""Embedded Reber: predict each next symbol of a string whose second symbol comes back as its last but one.

>>> print(EmbeddedReber(length=9).example())
input   BTBTSSXXTVVET
target  TBTSSXXTVVETE

A string is B, o, B, inner string, o, E with o in {T, P}; all branches have .5. Symbols 2..L are predicted. Mean length
12.0, minimum 9. ``length`` is the shortest string drawn: 9 draws them all, a larger one only those at least as long.

Denominator: the L-1 predictions of each string; ``legal_strings``: strings. Floor 7 ln 2 / 11 nats a symbol (7 branches
with .5), blind to o 8 ln 2 / 11; other lengths have no closed form. Solved when every legal logit stands above every
illegal one in all strings of the evaluation (256 in the usual criterion).
Source: Hochreiter & Schmidhuber 1997, experiment 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.tasks._reber import Grammar, embedded, legal_above
from experiments.tasks.base import Array, Batch, Scores, Task, share, within

LONGEST = 30  # one string in 600 is as long
GRAMMAR = Grammar(embedded(), "BTPSXVE")


@dataclass(frozen=True, kw_only=True)
class EmbeddedReber(Task):
    """Single Reber strings."""

    min_length: ClassVar[int] = 9
    independent = True
    alphabet = "BTPSXVE"
    input_size = 7
    output_size = 7
    metric = "legal_strings"
    direction = "max"
    unit = "share"
    chance = 0.5
    solved = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("length", self.length <= LONGEST, f"at most {LONGEST}")
        self.require("eval_lengths", all(n <= LONGEST for n in self.eval_lengths), f"at most {LONGEST}")

    @property
    def chance_loss(self) -> float | None:
        return 8 / 11 * math.log(2) if self.length == self.min_length else None

    @property
    def lag(self) -> int:
        return self.length + 3

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        strings = GRAMMAR.strings(generator, batch_size, length)
        lengths = strings.lengths - 1
        steps = int(lengths.max())
        inputs, targets = strings.symbols[:steps], strings.symbols[1 : steps + 1]
        return Batch(inputs, targets, within(lengths, steps), lengths, strings.legal[:steps])

    def events(self, batch: Batch) -> dict[str, Array]:
        """The T or P that comes back, and where it is due: two steps before a string's last prediction."""
        assert batch.lengths is not None
        steps = np.arange(len(batch.inputs))[:, None]
        return {"T or P": np.broadcast_to(steps == 1, batch.inputs.shape), "due": steps == batch.lengths - 2}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``legal_strings``: the share of strings with every legal logit above every illegal one at every step."""
        assert batch.legal is not None
        scores = super().scores(outputs, batch)
        right = legal_above(outputs, batch.legal) | ~batch.counts
        scores["legal_strings"] = share(torch.from_numpy(right.all(axis=0)))
        return scores
