"""The data of a stack: each run's training batches, drawn in blocks of steps, and batches laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.base import Array, Batch, Task
from experiments.training.streams import generator

OURS = "experiments.tasks."
MOST_STEPS = 64  # of a block
MOST_NUMBERS = 2**18  # inputs and targets of a block, about, so that it stays small in memory


def block_steps(task: Task, batch_size: int) -> int:
    """For how many training steps data are drawn at once; more than one if the sequences of a batch are independent.

    It follows from the size of one batch, which is the same for every run of these settings.
    """
    if not (task.independent and _says_so_itself(type(task))):
        return 1
    some = task.training_batch(generator(0, "block"), batch_size)
    return max(1, min(MOST_STEPS, MOST_NUMBERS // (some.inputs.size + some.targets.size)))


def _says_so_itself(kind: type[Task]) -> bool:
    """Whether ``independent`` holds for this class: one of the user's own does not inherit it from a task of ours."""
    says = next(base for base in kind.__mro__ if "independent" in vars(base))
    return kind.__module__.startswith(OURS) == says.__module__.startswith(OURS)


class TrainingData:
    """The training batches of the runs of a stack, a pure function of task, batch size, seed and step.

    A block holds the batches of several successive steps. It is one large batch, drawn from the generator of its seed
    and its number, so that a run resumed in the middle of a block draws that block again.
    """

    def __init__(self, task: Task, batch_size: int) -> None:
        self.task, self.batch_size = task, batch_size
        self.steps = block_steps(task, batch_size)
        self._blocks: dict[int, tuple[int, list[Batch]]] = {}  # by seed: the number of its latest block, the batches

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of one step."""
        number, within_block = divmod(step, self.steps)
        known = self._blocks.get(seed)
        if known is None or known[0] != number:
            sequences = self.steps * self.batch_size
            drawn = self.task.in_order(number * sequences, sequences)
            if drawn is None:
                drawn = self.task.training_block(generator(seed, "train", number), sequences)
            known = self._blocks[seed] = number, split(drawn, self.steps)
        return known[1][within_block]

    def keep(self, seeds: Sequence[int]) -> None:
        """Let go of the data of all other seeds."""
        self._blocks = {seed: block for seed, block in self._blocks.items() if seed in seeds}


def split(batch: Batch, parts: int) -> list[Batch]:
    """A batch as so many batches of equal size, each cut off at the end of its longest sequence."""
    if parts == 1:
        return [batch]
    lengths = None if batch.lengths is None else batch.lengths.reshape(parts, -1)
    steps = [len(batch.inputs)] * parts if lengths is None else lengths.max(axis=1).tolist()
    pieces = {
        name: _columns(array, parts)
        for name, array in batch._asdict().items()
        if array is not None and name != "lengths"
    }
    own = [{name: piece[part, : steps[part]] for name, piece in pieces.items()} for part in range(parts)]
    return [Batch(**part, lengths=None if lengths is None else lengths[n]) for n, part in enumerate(own)]


def _columns(array: Array, parts: int) -> Array:
    """(T, parts * B, ...) as (parts, T, B, ...)."""
    return np.ascontiguousarray(array.reshape(len(array), parts, -1, *array.shape[2:]).swapaxes(0, 1))


def side_by_side(arrays: Sequence[Array]) -> Array:
    """M arrays (T, ...) as one (M, T, ...), with zeros past the end of the shorter ones."""
    steps = max(map(len, arrays))
    if all(len(array) == steps for array in arrays):
        return np.stack(arrays)
    whole = np.zeros((len(arrays), steps, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return whole


class Counted(NamedTuple):
    """The places of M batches that count.

    Attributes:
        rows: (N,) places t * B + b, model m's from first[m] to first[m + 1].
        first: (M + 1,).
        targets: (N,) symbols or (N, O) values.
    """

    rows: Tensor
    first: Tensor
    targets: Tensor


def counted_places(batches: Sequence[Batch]) -> Counted:
    """Where M batches count, and their targets there."""
    counts = side_by_side([batch.counts for batch in batches])
    targets = side_by_side([batch.targets for batch in batches])
    a_model = counts[0].size
    places = np.flatnonzero(counts)
    first = np.searchsorted(places, np.arange(len(batches) + 1) * a_model)
    chosen = targets.reshape(counts.size, *targets.shape[3:])[places]
    return Counted(*(torch.from_numpy(array) for array in (places % a_model, first, chosen)))


class Scored(NamedTuple):
    """Successive evaluation batches of one run, scored as one.

    Attributes:
        batches: as the network reads them.
        steps: those at which any of their sequences counts.
        whole: their sequences side by side, at these steps.
    """

    batches: list[Batch]
    steps: Array
    whole: Batch


def scored_as_one(batches: list[Batch]) -> Scored:
    """Some batches with all their sequences side by side."""
    counts = _joined([batch.counts for batch in batches])
    legal = None if batches[0].legal is None else _joined([b.legal for b in batches if b.legal is not None])
    whole = Batch(np.zeros(counts.shape, dtype=np.int64), _joined([b.targets for b in batches]), counts, legal=legal)
    steps = np.flatnonzero(counts.any(1))
    return Scored(batches, steps, whole.at(steps))


def _joined(arrays: Sequence[Array]) -> Array:
    """Arrays (T, B, ...) as one (T, all their B, ...), with zeros past the end of the shorter ones."""
    steps = max(map(len, arrays))
    padded = [np.pad(a, [(0, steps - len(a)), *[(0, 0)] * (a.ndim - 1)]) for a in arrays]
    return np.concatenate(padded, axis=1)
