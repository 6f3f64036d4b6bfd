"""Noisy lag: say at the end whether the sequence began with x or y.

>>> print(NoisyLag(length=4, layout="2a", distractors=None).example())
input   xacd
target  acdx
>>> print(NoisyLag(length=4, layout="2c", distractors=3).example())
input   bxccaadcae
target  .........x

``2a``: p = T steps, inputs (y, a1..a_{p-1}), targets (a1..a_{p-1}, y), or both with x: the next symbol at every step.
``2b``: the same with random a's, so that nothing tells where the end is. ``2c``: b, x or y, q+k distractors, e with
q = T, k geometric (one more with probability .9); x or y is due at e. Symbols: ``2a`` and ``2b``: x, y, then the p-1
a's; ``2c``: b, e, x, y, then the distractors (``distractors`` of them, as many as T if null).

Denominator: steps in ``2a`` and ``2b``, sequences in ``2c``; ``end_loss`` and ``end_accuracy`` take x and y only.
Chance at the end: ln 2 nats, accuracy 1/2, and before it in ``2b`` ln(p-1), by who counts the steps and has forgotten
the first symbol (``2b``: who does not count loses ln p + ln 2/p a step, ln 2p at the end, and never says x or y).
Solved at end accuracy > .99; the paper's strict rule is ``end_strict``: the probability of x or y is .75 (``2c``: .8)
or more where it is due.
Source: Hochreiter & Schmidhuber 1997, experiments 2a to 2c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import LOSSES, Array, Batch, Scores, Task, counted, share, within

B, E = 0, 1  # in 2c only


@dataclass(frozen=True, kw_only=True)
class NoisyLag(Task):
    """x or y across a long lag.

    Attributes:
        layout: ``2a``, ``2b`` or ``2c``.
        distractors: 2c only, their number; None for as many as ``length``.
    """

    layout: str
    distractors: int | None

    min_length: ClassVar[int] = 2
    independent = True
    metric = "end_accuracy"
    direction = "max"
    unit = "share"
    chance = 0.5
    solved = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("layout", self.layout in ("2a", "2b", "2c"), "2a, 2b or 2c")
        own = self.layout == "2c" and (self.distractors or 0) >= 1
        self.require("distractors", own or self.distractors is None, "null, or 1 or more with layout=2c")
        fixed = self.layout == "2c" or not self.eval_lengths
        self.require("eval_lengths", fixed, "[] (the length is the number of symbols) or layout=2c")

    @property
    def x(self) -> int:
        """The symbol x; y is the next, and then come the a's or distractors."""
        return 2 if self.layout == "2c" else 0

    @property
    def input_size(self) -> int:
        return self.x + 2 + (self.distractors or self.length if self.layout == "2c" else self.length - 1)

    @property
    def output_size(self) -> int:
        return self.input_size

    @property
    def alphabet(self) -> str:
        names = "be"[: self.x] + "xyacdfghijklmnopqrstuvwz"
        return names if self.input_size <= len(names) else ""

    @property
    def chance_loss(self) -> float:
        between = (self.length - 1) * math.log(self.length - 1) if self.layout == "2b" else 0.0
        return (between + math.log(2)) / (1 if self.layout == "2c" else self.length)

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        key = self.x + generator.integers(0, 2, batch_size)
        if self.layout == "2c":
            return self._signalled(generator, key, length)
        between = np.broadcast_to(self.x + 2 + np.arange(length - 1)[:, None], (length - 1, batch_size))
        if self.layout == "2b":
            between = generator.integers(self.x + 2, self.input_size, (length - 1, batch_size))
        return Batch(np.concatenate([key[None], between]), np.concatenate([between, key[None]]))

    def _signalled(self, generator: np.random.Generator, key: Array, length: int) -> Batch:
        lengths = length + generator.geometric(0.1, len(key)) + 2  # b, x or y, q + k distractors, e
        steps = int(lengths.max())
        inputs = generator.integers(self.x + 2, self.input_size, (steps, len(key)))
        last = np.arange(steps)[:, None] == lengths - 1
        inputs[0], inputs[1], inputs[last] = B, key, E
        return Batch(np.where(within(lengths, steps), inputs, 0), np.where(last, key, 0), last, lengths)

    def events(self, batch: Batch) -> dict[str, Array]:
        """The x or y that is to be kept, and where it is due."""
        kept = (batch.inputs == self.x) | (batch.inputs == self.x + 1)
        asked = batch.counts & ((batch.targets == self.x) | (batch.targets == self.x + 1))
        return {"x or y": kept & batch.inside, "due": asked}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``end_loss``, ``end_accuracy`` and ``end_strict``, where x or y is due."""
        scores = super().scores(outputs, batch)
        due = batch.counts & ((batch.targets == self.x) | (batch.targets == self.x + 1))
        chosen, targets = counted(outputs, batch._replace(mask=due))
        losses = LOSSES["cross_entropy"](chosen, targets).double()
        scores["end_loss"] = (losses.sum().item(), losses.numel())
        scores["end_accuracy"] = share(chosen.argmax(-1) == targets)
        scores["end_strict"] = share(losses <= -math.log(0.8 if self.layout == "2c" else 0.75))
        return scores
