"""Real data: sequences of fixed train, validation and test splits, and the files that they come from."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from experiments.tasks.base import Array, Batch, Task, TaskError, within

SPLITS = ("train", "validation", "test")


class Sequences(NamedTuple):
    """N sequences of one split, laid end to end.

    Attributes:
        inputs: symbols (all steps,) or values (all steps, I).
        targets: symbols (all steps,) or values (all steps, O); with ``labelled`` of the last steps only: (N, ...).
        lengths: (N,) steps of each sequence.
        labelled: whether there is one target a sequence.
        events: (all steps,), see :class:`Batch`.
    """

    inputs: Array
    targets: Array
    lengths: Array
    labelled: bool = False
    events: Array | None = None

    def batch(self, chosen: Array, shifts: Array | int = 0, longest: int | None = None) -> Batch:
        """The chosen sequences from step ``shifts`` on, at most ``longest`` steps of each."""
        starts = (self.lengths.cumsum() - self.lengths)[chosen] + shifts
        lengths = np.minimum(self.lengths[chosen] - shifts, longest or self.lengths.max())
        steps = int(lengths.max())
        inside = within(lengths, steps)
        places = np.where(inside, starts + np.arange(steps)[:, None], 0)
        mask = np.arange(steps)[:, None] == lengths - 1 if self.labelled else inside
        targets = _picked(self.targets, np.broadcast_to(chosen, mask.shape) if self.labelled else places, mask)
        events = None if self.events is None else _picked(self.events, places, inside)
        return Batch(_picked(self.inputs, places, inside), targets, mask, lengths, events=events)


def _picked(values: Array, places: Array, holds: Array) -> Array:
    """Symbols (T, B) as int64 or values (T, B, ...) as float32 from these places, zero where it does not hold."""
    picked: Array = values.take(places, axis=0).astype(np.int64 if values.ndim == 1 else np.float32, copy=False)
    if not holds.all():
        picked[~holds] = 0
    return picked


@dataclass(frozen=True, kw_only=True)
class SplitTask(Task):
    """Sequences in memory, in fixed splits: training draws from one, evaluation reads another whole and in order.

    Of a sequence longer than ``length`` with a target at every step, training takes a random excerpt.
    """

    solved: ClassVar[float | None] = None

    independent = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("eval_lengths", not self.eval_lengths, "[] (the data are evaluated as they are)")

    @abstractmethod
    def read(self) -> Mapping[str, Sequences]:
        """The sequences of every split."""

    @cached_property
    def splits(self) -> Mapping[str, Sequences]:
        """What :meth:`read` gave."""
        return self.read()

    @property
    def chance_loss(self) -> float:
        """The best constant prediction, measured on the training targets."""
        return constant_loss(self.loss_kind, self.splits["train"].targets)

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        train = self.splits["train"]
        chosen = generator.integers(0, len(train.lengths), batch_size)
        shifts = generator.integers(0, np.maximum(train.lengths[chosen] - length, 0) + 1)
        return train.batch(chosen, shifts, length)

    def evaluation_batches(
        self, generator: np.random.Generator, batch_size: int, size: int, length: int, split: str
    ) -> list[Batch]:
        if (batch_size, split) not in self._evaluated:  # made once: every seed evaluates the same sequences
            chosen = self.splits[split]
            count = len(chosen.lengths)
            batches = [chosen.batch(np.arange(s, min(s + batch_size, count))) for s in range(0, count, batch_size)]
            self._evaluated[batch_size, split] = batches
        return self._evaluated[batch_size, split]

    @cached_property
    def _evaluated(self) -> dict[tuple[int, str], list[Batch]]:
        return {}


def constant_loss(kind: str, targets: Array) -> float:
    """The loss of the best constant prediction of these targets."""
    if kind in ("mse", "sigmoid_mse"):
        return float(targets.var(axis=0, dtype=np.float64).mean())
    if kind == "cross_entropy":
        shares = np.bincount(targets.ravel()) / targets.size
    else:
        on = targets.reshape(-1, targets.shape[-1]).mean(axis=0)
        shares = np.stack([on, 1 - on])
    seen = shares[shares > 0]
    return float(-(seen * np.log(seen)).sum())


def shuffled(count: int, salt: str) -> Array:
    """A fixed order of ``count`` items, the same with every version of every library."""
    keys = [hashlib.blake2b(f"{salt}/{item}".encode(), digest_size=8).digest() for item in range(count)]
    return np.array(sorted(range(count), key=keys.__getitem__))


def user_path(path: str | None, fetch: str, kind: str = "file") -> Path:
    """The user's ``file`` or ``folder``.

    Raises:
        TaskError: if there is none, saying what to fetch.
    """
    found = Path(path or "").expanduser()
    if not path or not (found.is_dir() if kind == "folder" else found.is_file()):
        raise TaskError(f"task.path={path or 'null'}: {'there is no such' if path else 'no'} {kind}; {fetch}")
    return found


def refusal(path: Path, fault: str) -> TaskError:
    """The error for a file that cannot be used."""
    return TaskError(f"{path}: {' '.join(fault.split())}")
