"""The embedded Reber grammar as one automaton, for the tasks that read its strings.

::

    outer   B o (inner) o E        o in {T, P}, both with .5: the last o must be the first
    inner   B, then from state 0   0: T>1 P>2   1: S>1 X>3   2: T>2 V>4   3: X>2 S>5   4: P>3 V>5   5: E, both with .5
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array

INNER = (("T1", "P2"), ("S1", "X3"), ("T2", "V4"), ("X2", "S5"), ("P3", "V5"), ("E6",))
TOGETHER = 8  # steps of a walk whose branches are drawn at once
Edges = dict[str, list[tuple[str, str]]]


def embedded(markers: str = "full") -> Edges:
    """The automaton as state -> [(symbol, next state)], from ``start`` to ``end``.

    Args:
        markers: ``full``; ``inner`` without the outer B and E; ``distinct`` with b and e for the outer B and E.
    """
    first, last = ("b", "e") if markers == "distinct" else ("B", "E")
    edges: Edges = {"start": [(first, "outer")], "outer": [("T", "T-"), ("P", "P-")]}
    for o in "TP":
        edges[f"{o}-"] = [("B", f"{o}0")]
        for state, branches in enumerate(INNER):
            edges[f"{o}{state}"] = [(branch[0], o + branch[1]) for branch in branches]
        edges[f"{o}6"] = [(o, "close")]
    edges["close"] = [(last, "end")]
    if markers == "inner":
        edges["start"] = edges.pop("outer")
        del edges["close"]
        edges |= {f"{o}6": [(o, "end")] for o in "TP"}
    return edges


@dataclass(frozen=True)
class Strings:
    """N random strings.

    Attributes:
        symbols: (L, N), zero past a string's end.
        legal: (L, N, V), true for the symbols that may follow; after the last one, those that may start a string.
        lengths: (N,).
    """

    symbols: Array
    legal: Array
    lengths: Array


@dataclass(frozen=True)
class Streams:
    """N streams of random strings.

    Attributes:
        symbols: (T + 1, N), T steps of the longest stream and the symbol after it; past its own end a stream goes on.
        edges: (T, N), the edges of the automaton that the T symbols stand for.
        last: (N, strings), the step at which each string ends.
    """

    symbols: Array
    edges: Array
    last: Array

    @property
    def lengths(self) -> Array:
        """(N,) steps of each stream."""
        return 1 + self.last[:, -1]

    def apart(self) -> Streams:
        """Every string as a stream of its own."""
        count, strings = self.last.shape
        first = np.concatenate([np.zeros((count, 1), dtype=np.int64), 1 + self.last[:, :-1]], axis=1).ravel()
        last = self.last.ravel() - first
        steps = np.minimum(first + np.arange(last.max() + 2)[:, None], len(self.edges))
        columns = np.repeat(np.arange(count), strings)
        edges = self.edges[np.minimum(steps[:-1], len(self.edges) - 1), columns]
        return Streams(self.symbols[steps, columns], edges, last[:, None])


class Grammar:
    """An automaton whose branches are taken with equal probability, as tables over (state, branch)."""

    def __init__(self, edges: Edges, alphabet: str) -> None:
        numbers = {state: number for number, state in enumerate(sorted(edges, key=lambda state: state != "start"))}
        self.end = numbers["end"] = len(edges)
        self._emit = np.zeros((len(edges) + 1, 2), dtype=np.int64)
        self._next = np.full_like(self._emit, self.end)
        self._legal = np.zeros((len(edges) + 1, len(alphabet)), dtype=bool)
        for state, branches in edges.items():
            for branch in (0, 1):
                symbol, following = branches[branch % len(branches)]
                self._emit[numbers[state], branch] = alphabet.index(symbol)
                self._next[numbers[state], branch] = numbers[following]
                self._legal[numbers[state], alphabet.index(symbol)] = True
        self._legal[self.end] = self._legal[0]
        padded = np.pad(self._legal, [(0, 0), (0, -len(alphabet) % 8)])
        self._legal_rows = padded.view(np.int64)  # by state, to be copied in pieces of 8 bytes
        self._leads_to = self._next.ravel()  # by edge
        self._ends, self._legal_after = self._leads_to == self.end, self._legal[self._leads_to]
        self._goes_to = np.where(self._ends, 0, 2 * self._leads_to)  # the next string begins where one ends

    def strings(self, generator: np.random.Generator, count: int, shortest: int = 0) -> Strings:
        """Draw strings of at least ``shortest`` symbols, many in step."""
        pool = count
        while True:
            drawn = self._walk(generator, pool)
            kept = np.flatnonzero(drawn.lengths >= shortest)[:count]
            if len(kept) == pool:
                return drawn
            if len(kept) == count:
                return Strings(drawn.symbols[:, kept], drawn.legal[:, kept], drawn.lengths[kept])
            pool *= 2

    def streams(self, generator: np.random.Generator, count: int, strings: int) -> Streams:
        """Draw streams of several strings each, end to end, all streams in step."""
        edges = np.zeros((0, count), dtype=np.int64)  # 2 * state + branch
        at = np.zeros(count, dtype=np.int64)
        ended = np.zeros(count, dtype=np.int64)  # strings of each stream, the symbol after the last one drawn as well
        while (ended < strings).any():
            drawn = generator.integers(0, 2, (16 * strings + 32, count), dtype=np.uint8).astype(np.int64)
            at = _follow(drawn, at, self._goes_to)
            edges = np.concatenate([edges, drawn]) if len(edges) else drawn
            ends = self._ends.take(edges[:-1])
            ended = ends.sum(axis=0)
        places = np.flatnonzero(ends.T)  # stream after stream
        first = (ended.cumsum() - ended)[:, None]
        last = places[first + np.arange(strings)] - np.arange(count)[:, None] * len(ends)
        longest = 1 + int(last.max())
        return Streams(self._emit.ravel().take(edges[: longest + 1]), edges[:longest], last)

    def legal_after(self, edges: Array) -> Array:
        """(..., V), true for the symbols that may follow an edge; where a string ends, those that may start one."""
        return self._legal_after[edges]

    def _walk(self, generator: np.random.Generator, count: int) -> Strings:
        edges = []
        at, goes_to, last = np.zeros(count, dtype=np.int64), 2 * self._leads_to, 2 * self.end
        while (at != last).any():
            before = generator.bit_generator.state
            drawn = generator.integers(0, 2, (TOGETHER, count))
            at = _follow(drawn, at, goes_to)
            edges.append(drawn)
        walked = np.concatenate(edges)
        after = self._leads_to.take(walked)
        lengths = 1 + (after != self.end).sum(axis=0)
        longest = int(lengths.max())
        generator.bit_generator.state = before  # steps that no string needs are not drawn
        generator.integers(0, 2, (longest - len(walked) + TOGETHER, count))
        legal = self._legal_rows.take(after[:longest], axis=0).view(bool)[..., : self._legal.shape[1]]
        return Strings(self._emit.ravel().take(walked[:longest]), legal, lengths)


def _follow(branches: Array, at: Array, goes_to: Array) -> Array:
    """Turn branches (T, N) into edges in place.

    Args:
        at: (N,) the first edge from the state where each begins.
        goes_to: by edge, the first edge from the state that it leads to.

    Returns:
        (N,) the first edge from the state where each ends.
    """
    for step in branches:
        step += at
        at = goes_to.take(step)
    return at


def legal_above(outputs: Tensor, legal: Array) -> Array:
    """(T, B), true where every legal logit is above every illegal one."""
    own = torch.from_numpy(legal).to(outputs.device)
    lowest = outputs.masked_fill(~own, math.inf).amin(dim=-1)
    highest = outputs.masked_fill(own, -math.inf).amax(dim=-1)
    result: Array = (lowest > highest).cpu().numpy()
    return result
