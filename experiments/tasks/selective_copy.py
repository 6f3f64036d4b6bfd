"""Selective copy: repeat the few tokens strewn among blanks.

>>> print(SelectiveCopy(length=8, tokens=4, items=3).example())
input   01000014555
target  ........114

k = ``items`` tokens of 1..V at sorted distinct places in L steps, the rest blank (0), then k markers (V+1): L+k steps;
the tokens are due in order at the markers. ``length`` is L, ``tokens`` V.

Denominator: the k markers; ``exact_accuracy``: sequences with all k right. Chance ln V nats, exact V^-k; solved at
exact accuracy > .95. Source: Gu & Dao 2023, after Jing et al. 2019.
"""

from __future__ import annotations

import math
import string
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Scores, Task, whole_sequences


@dataclass(frozen=True, kw_only=True)
class SelectiveCopy(Task):
    """Tokens among blanks.

    Attributes:
        tokens: V, different tokens.
        items: k, tokens in a sequence.
    """

    tokens: int
    items: int

    independent = True
    metric = "exact_accuracy"
    direction = "max"
    unit = "share"
    solved = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("tokens", self.tokens >= 2, "2 or more")
        self.require("items", 1 <= self.items <= min((self.length, *self.eval_lengths)), "1 to length")

    @property
    def input_size(self) -> int:
        return self.tokens + 2

    @property
    def output_size(self) -> int:
        return self.tokens

    @property
    def alphabet(self) -> str:
        known = string.digits + string.ascii_letters
        return known if self.input_size <= len(known) else ""

    @property
    def target_alphabet(self) -> str:
        return self.alphabet[1:]

    @property
    def chance_loss(self) -> float:
        return math.log(self.tokens)

    @property
    def chance(self) -> float:
        return float(self.tokens) ** -self.items

    @property
    def lag(self) -> int:
        return self.length + self.items

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        tokens = generator.integers(0, self.tokens, (self.items, batch_size))
        places = np.sort(generator.random((length, batch_size)).argsort(axis=0)[: self.items], axis=0)
        inputs = np.zeros((length + self.items, batch_size), dtype=np.int64)
        inputs[places, np.arange(batch_size)] = tokens + 1
        inputs[length:] = self.tokens + 1
        targets = np.zeros_like(inputs)
        targets[length:] = tokens
        mask = np.zeros(inputs.shape, dtype=bool)
        mask[length:] = True
        return Batch(inputs, targets, mask)

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also the tokens."""
        return {"token": (batch.inputs > 0) & (batch.inputs <= self.tokens), **super().events(batch)}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``exact_accuracy``: the share of sequences with every token right."""
        scores = super().scores(outputs, batch)
        scores["exact_accuracy"] = whole_sequences(outputs, batch)
        return scores
