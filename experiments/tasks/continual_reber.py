"""Continual Reber: predict the next symbol of endless strings whose second symbol comes back as their last but one.

>>> print(ContinualReber(length=2, markers="full", reset_at=None).example())
input   BTBTXSETEBTBPTVPXTVPXVVETE
target  TBTXSETEBTBPTVPXTVPXVVETEB

That symbol is T or P; all others follow from the symbol or two before. Nothing tells where a string ends. Strings
stand end to end, the state is carried from chunk to chunk and its gradient cut there; the batch is parallel streams
(the papers: 1). ``length`` counts strings a chunk (6: the gradient's reach). A stream's chunk ends with a whole string,
shorter streams are padded at the end.

``markers``: ``full``; ``inner`` drops the outer B and E, so that the last symbol does not name the next: that step does
not count where the chunk ends; ``distinct`` writes the outer B and E as symbols of their own (b, e).
``reset_at=string_end`` is the external reset: each string is a sequence of its own from the initial state.

Denominator: all symbols. Floor 7 ln 2 / 12 nats a symbol (7 branches with .5 in 12.0 symbols); blind to the first
T or P 8 ln 2 / 12; ``inner``: 10.0 symbols. Solved at ``outer_accuracy`` > .99, chance .5.
Source: Gers, Schmidhuber & Cummins 2000; the grammar: Hochreiter & Schmidhuber 1997, experiment 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from experiments.tasks._reber import Grammar, embedded, legal_above
from experiments.tasks.base import Array, Batch, Scores, Task, counted, joined, later, within

STREAMS = 10  # of the error-free run
CAP = 10_000  # symbols at which an error-free run stops


@dataclass(frozen=True, kw_only=True)
class ContinualReber(Task):
    """Endless Reber strings.

    Attributes:
        markers: ``full``, ``inner`` or ``distinct``.
        reset_at: None or ``string_end``.
    """

    markers: str
    reset_at: str | None

    independent = True
    metric = "outer_accuracy"
    direction = "max"
    unit = "share"
    solved = 0.99
    chance = 0.5
    lag = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("markers", self.markers in ("full", "inner", "distinct"), "full, inner or distinct")
        self.require("reset_at", self.reset_at in (None, "string_end"), "null or string_end")

    @property
    def alphabet(self) -> str:
        return "BTPSXVEbe" if self.markers == "distinct" else "BTPSXVE"

    @property
    def input_size(self) -> int:
        return len(self.alphabet)

    @property
    def output_size(self) -> int:
        return len(self.alphabet)

    @property
    def carry(self) -> bool:
        return self.reset_at is None

    @property
    def chance_loss(self) -> float:
        if self.markers == "inner":  # the chunk's last step does not count
            return (8 * self.length - 1) / (10 * self.length - 1) * math.log(2)
        return 8 / 12 * math.log(2)

    @cached_property
    def grammar(self) -> Grammar:
        """The automaton as tables."""
        return Grammar(embedded(self.markers), self.alphabet)

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        return self._sample(generator, batch_size, length, legal=True)

    def training_block(self, generator: np.random.Generator, batch_size: int) -> Batch:
        return self._sample(generator, batch_size, self.length, legal=False)

    def _sample(self, generator: np.random.Generator, batch_size: int, length: int, legal: bool) -> Batch:
        streams = self.grammar.streams(generator, batch_size, length)
        ends = np.arange(batch_size), streams.lengths - 1  # where a chunk ends
        if self.reset_at:
            streams = streams.apart()
            ends = np.arange(length - 1, batch_size * length, length), streams.lengths[length - 1 :: length] - 1
        inside = within(streams.lengths, len(streams.edges))
        known = inside.copy()
        if self.markers == "inner":  # the last symbol does not name what follows
            known[ends[1], ends[0]] = False
        inputs, targets = (np.where(inside, symbols, 0) for symbols in (streams.symbols[:-1], streams.symbols[1:]))
        may_follow = self.grammar.legal_after(streams.edges) & inside[..., None] if legal else None
        return Batch(inputs, targets, known, streams.lengths, may_follow)

    def events(self, batch: Batch) -> dict[str, Array]:
        """A string's start and end, its T or P that comes back, and where that is due."""
        due, inner = self._outer(batch), self.markers == "inner"
        end = later(due, 1 if inner else 2)
        start = later(end) & batch.inside
        start[0] = True
        return {"string start": start, "T or P": start if inner else later(start), "due": due, "string end": end}

    def _outer(self, batch: Batch) -> Array:
        """(T, B), true where only the first T or P may follow."""
        assert batch.legal is not None
        t, p = self.alphabet.index("T"), self.alphabet.index("P")
        only = batch.legal.sum(axis=-1) == 1
        outer: Array = batch.counts & only & (batch.legal[..., t] | batch.legal[..., p])
        return outer

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``outer_accuracy``: where only the first T or P may follow, is its logit the larger of the two?

        A tie is 1/2.
        """
        scores = super().scores(outputs, batch)
        t, p, outer = self.alphabet.index("T"), self.alphabet.index("P"), self._outer(batch)
        lead, is_t = counted(outputs[..., t] - outputs[..., p], batch._replace(mask=outer, targets=batch.targets == t))
        right = (torch.where(is_t, lead, -lead).sign() + 1) / 2
        scores["outer_accuracy"] = (right.double().sum().item(), right.numel())
        return scores

    def probe(self, run: Callable[[Batch], Tensor], generator: np.random.Generator) -> dict[str, float]:
        """``error_free_run``: symbols before the first illegal step, mean of 10 streams, each stopped at 10,000.

        A step is legal if every legal logit is above every illegal one.
        """
        symbols, alive = np.zeros(STREAMS), np.ones(STREAMS, dtype=bool)
        while (alive & (symbols < CAP)).any():
            batch = self.sample(generator, STREAMS, self.length)
            free, steps = self._error_free(run(batch), batch)
            symbols += np.where(alive, free, 0)
            alive &= free == steps
        return {"error_free_run": float(np.minimum(symbols, CAP).mean())}

    def _error_free(self, outputs: Tensor, batch: Batch) -> tuple[Array, Array]:
        """Steps of each stream before its first illegal one, and all its steps."""
        assert batch.legal is not None
        assert batch.lengths is not None
        right, lengths = legal_above(outputs, batch.legal), batch.lengths
        if self.reset_at:
            right, lengths = joined(right.T, lengths, STREAMS), lengths.reshape(STREAMS, -1).sum(axis=1)
        right &= within(lengths, len(right))
        return np.logical_and.accumulate(right, axis=0).sum(axis=0), lengths
