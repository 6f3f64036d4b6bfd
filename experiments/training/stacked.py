"""The batches of a whole stack, laid side by side for a block of training steps at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.tasks.base import Array, Batch


class StackedStep(NamedTuple):
    """One training step's batches of M models.

    Attributes:
        inputs: symbols (M, T, B) or values (M, T, B, I); T is the longest of these models'.
        lengths: (M, B) steps of each sequence; None where nothing is padded.
        rows: (N,) the places t * B + b that count, model m's from first[m] to first[m + 1].
        first: (M + 1,).
        targets: of these places, symbols (N,) or values (N, O).
    """

    inputs: Array
    lengths: Array | None
    rows: Array
    first: Array
    targets: Array


class StackedBlock:
    """A block of training steps of several seeds.

    Args:
        number: the block's number.
        drawn: by seed, the sequences of all steps as one batch, (T, steps * B, ...), those of the first step first.
        steps: training steps of the block.
    """

    def __init__(self, number: int, drawn: Mapping[int, Batch], steps: int) -> None:
        self.number, self.seeds = number, {seed: place for place, seed in enumerate(drawn)}
        blocks = list(drawn.values())
        self._inputs = laid([block.inputs for block in blocks], steps)
        self._equal = [block.lengths is None for block in blocks]  # whether all sequences of a seed are equally long
        self._lengths = laid([_lengths(block)[None] for block in blocks], steps)[:, :, 0]
        self._longest = self._lengths.max(axis=2)
        counts = laid([block.counts for block in blocks], steps).reshape(steps * len(blocks), -1)
        places, found = np.flatnonzero(counts), np.count_nonzero(counts, axis=1)
        self._rows = places - np.repeat(np.arange(len(counts)) * counts.shape[1], found)
        self._first = np.concatenate([[0], found.cumsum()])
        targets = laid([block.targets for block in blocks], steps)
        self._targets = targets.reshape(counts.size, *targets.shape[4:])[places]

    def has(self, number: int, seeds: Sequence[int]) -> bool:
        """Whether this is the block of that number, of these seeds at least."""
        return number == self.number and self.seeds.keys() >= set(seeds)

    def step(self, seeds: Sequence[int], step: int) -> StackedStep:
        """One step of the block, of models with these seeds."""
        chosen = [self.seeds[seed] for seed in seeds]
        longest = self._longest[step, chosen]
        steps = int(longest.max())
        equal = all(self._equal[place] for place in chosen) and (longest == steps).all()
        lengths = None if equal else self._lengths[step, chosen]
        first = self._first[step * len(self.seeds) : (step + 1) * len(self.seeds) + 1]
        if chosen == list(range(len(self.seeds))):  # nothing has to be copied
            inputs, here = self._inputs[step, :, :steps], slice(first[0], first[-1])
            return StackedStep(inputs, lengths, self._rows[here], first - first[0], self._targets[here])
        inputs, counts = self._inputs[step, chosen, :steps], np.diff(first)[chosen]
        places = np.concatenate([np.arange(first[place], first[place + 1]) for place in chosen])
        bounds = np.concatenate([[0], counts.cumsum()])
        return StackedStep(inputs, lengths, self._rows[places], bounds, self._targets[places])


def _lengths(block: Batch) -> Array:
    """The steps of each sequence."""
    return np.full(block.inputs.shape[1], len(block.inputs)) if block.lengths is None else block.lengths


def laid(arrays: Sequence[Array], steps: int) -> Array:
    """S arrays (T, steps * B, ...) as one (steps, S, T, B, ...), with zeros past the end of the shorter ones."""
    longest, (_, columns, *rest) = max(map(len, arrays)), arrays[0].shape
    alike = all(len(array) == longest for array in arrays)
    shape = (steps, len(arrays), longest, columns // steps, *rest)
    whole = (np.empty if alike else np.zeros)(shape, dtype=arrays[0].dtype)
    row = np.dtype((np.void, whole[0, 0, 0].nbytes))  # one time step of a batch moves as one piece
    rows = whole.reshape(*shape[:3], -1).view(row)[..., 0]
    for place, array in enumerate(arrays):
        own = np.ascontiguousarray(array, dtype=whole.dtype).reshape(len(array), steps, -1)
        rows[:, place, : len(array)] = own.view(row)[..., 0].T
    return whole
