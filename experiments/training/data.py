"""The data of a stack: each run's training batches, drawn in blocks of steps, and what an evaluation scores as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.tasks.base import Array, Batch, Task
from experiments.training.stacked import StackedBlock, StackedStep
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


def _draw(task: Task, random: np.random.Generator, sequences: int) -> Batch:
    """A block's sequences: from ``training_block``, unless the task derives from the one whose it is and has changed
    what that stands for."""

    def defined(name: str) -> int:
        return next(at for at, base in enumerate(type(task).__mro__) if name in vars(base))

    changed = defined("training_block") > min(defined("sample"), defined("training_batch"))
    return task.training_batch(random, sequences) if changed else task.training_block(random, sequences)


class TrainingData:
    """The training batches of the runs of a stack, a pure function of task, batch size, seed and step.

    A block holds the batches of several successive steps. It is one large batch, drawn from the generator of its seed
    and its number, so that a run resumed in the middle of a block draws that block again.
    """

    def __init__(self, task: Task, batch_size: int) -> None:
        self.task, self.batch_size = task, batch_size
        self.steps = block_steps(task, batch_size)
        self._drawn: dict[int, tuple[int, Batch]] = {}  # by seed: the number of its latest block, the block
        self._stacked: StackedBlock | None = None

    def batch(self, seed: int, step: int) -> Batch:
        """One run's batch of one step."""
        number, within_block = divmod(step, self.steps)
        return part(self._block(seed, number), within_block, self.steps)

    def stacked(self, seeds: Sequence[int], step: int) -> StackedStep:
        """The batches of runs with these seeds at one step, side by side."""
        number, within_block = divmod(step, self.steps)
        if self._stacked is None or not self._stacked.has(number, seeds):
            self._stacked = None  # its memory first
            self._stacked = StackedBlock(number, {seed: self._block(seed, number) for seed in seeds}, self.steps)
            self._drawn.clear()  # laid side by side, they are not asked for again
        return self._stacked.step(seeds, within_block)

    def _block(self, seed: int, number: int) -> Batch:
        known = self._drawn.get(seed)
        if known is None or known[0] != number:
            sequences = self.steps * self.batch_size
            drawn = self.task.in_order(number * sequences, sequences)
            if drawn is None:
                drawn = _draw(self.task, generator(seed, "train", number), sequences)
            known = self._drawn[seed] = number, drawn
        return known[1]

    def keep(self, seeds: Sequence[int]) -> None:
        """Let go of the data of all other seeds."""
        self._drawn = {seed: block for seed, block in self._drawn.items() if seed in seeds}
        self._stacked = self._stacked if seeds else None


class StepData(NamedTuple):
    """Where the batches of a stack at one training step come from."""

    data: TrainingData
    seeds: Sequence[int]
    step: int

    @property
    def batches(self) -> list[Batch]:
        """Each model's batch."""
        return [self.data.batch(seed, self.step) for seed in self.seeds]

    @property
    def stacked(self) -> StackedStep:
        """The batches side by side."""
        return self.data.stacked(self.seeds, self.step)


def part(batch: Batch, number: int, parts: int) -> Batch:
    """One of the batches of equal size that a large one consists of, cut off at the end of its longest sequence."""
    if parts == 1:
        return batch
    size = batch.inputs.shape[1] // parts
    columns = slice(number * size, (number + 1) * size)
    lengths = None if batch.lengths is None else batch.lengths[columns]
    steps = len(batch.inputs) if lengths is None else int(lengths.max())
    cut = {
        name: np.ascontiguousarray(array[:steps, columns])
        for name, array in batch._asdict().items()
        if array is not None and name != "lengths"
    }
    return Batch(**cut, lengths=lengths)


def side_by_side(arrays: Sequence[Array]) -> Array:
    """M arrays (T, ...) as one (M, T, ...), with zeros past the end of the shorter ones."""
    steps = max(map(len, arrays))
    if all(len(array) == steps for array in arrays):
        return np.stack(arrays)
    whole = np.zeros((len(arrays), steps, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return whole


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
