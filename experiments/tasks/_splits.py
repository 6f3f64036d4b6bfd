"""Real data: sequences of fixed train, validation and test splits, and the checks of what is read from a file."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from experiments.tasks.base import Array, Batch, Task

SPLITS = ("train", "validation", "test")


class Sequences(NamedTuple):
    """N sequences of one split, as a :class:`Batch` with the sequences on the first axis.

    Attributes:
        inputs: symbols (N, T) or values (N, T, I).
        targets: symbols (N, T) or values (N, T, O); with one step a label of the last step: (N, 1) or (N, 1, O).
        lengths: (N,), None if all are T long.
    """

    inputs: Array
    targets: Array
    lengths: Array | None = None

    def batch(self, chosen: Array) -> Batch:
        """The chosen sequences, no longer than the longest of them; labels stand at the last step."""
        inputs, targets = self.inputs[chosen].swapaxes(0, 1), self.targets[chosen].swapaxes(0, 1)
        lengths = None if self.lengths is None else self.lengths[chosen]
        steps = len(inputs) if lengths is None else int(lengths.max())
        inputs, mask = np.ascontiguousarray(inputs[:steps]), None
        if len(targets) == 1:
            mask = np.arange(steps)[:, None] == (np.full(len(chosen), steps) if lengths is None else lengths) - 1
            targets = np.broadcast_to(targets, (steps, *targets.shape[1:]))
        return Batch(inputs, np.ascontiguousarray(targets[:steps]), mask, lengths)


@dataclass(frozen=True, kw_only=True)
class SplitTask(Task):
    """Sequences in memory, in fixed splits: training draws from one, evaluation reads another whole and in order."""

    solved: ClassVar[None] = None

    @abstractmethod
    def read(self) -> Mapping[str, Sequences]:
        """The sequences of every split."""

    @cached_property
    def splits(self) -> Mapping[str, Sequences]:
        """What :meth:`read` gave."""
        return self.read()

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        train = self.splits["train"]
        return train.batch(generator.integers(0, len(train.inputs), batch_size))

    def evaluation_batches(
        self, generator: np.random.Generator, batch_size: int, size: int, length: int, split: str
    ) -> list[Batch]:
        chosen = self.splits[split]
        starts = range(0, len(chosen.inputs), batch_size)
        return [chosen.batch(np.arange(s, min(s + batch_size, len(chosen.inputs)))) for s in starts]


def shuffled(count: int, salt: str) -> Array:
    """A fixed order of ``count`` items, the same with every version of every library."""
    keys = [hashlib.blake2b(f"{salt}/{item}".encode(), digest_size=8).digest() for item in range(count)]
    return np.array(sorted(range(count), key=keys.__getitem__))
