"""What a task is: a pure function from a random generator to a batch, with its loss, metrics and chance line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from experiments.tasks import _example

Array = NDArray[Any]


class TaskError(ValueError):
    """A task that cannot be built or read; the message names the key, the value received and what is legal."""


class Batch(NamedTuple):
    """B sequences of T steps.

    Attributes:
        inputs: symbols (T, B) as integers, shown to the model one-hot, or values (T, B, I) as float32.
        targets: symbols (T, B) as integers, or values (T, B, O) as float32.
        mask: (T, B), true where a step counts in loss and metrics, which no padding does; None: all but padding.
        lengths: (B,) steps of each sequence, the rest is padding; None: all are T long.
        legal: (T, B, O), true for the outputs that are possible there, on tasks that score legality.
    """

    inputs: Array
    targets: Array
    mask: Array | None = None
    lengths: Array | None = None
    legal: Array | None = None

    @property
    def counts(self) -> Array:
        """(T, B), true where a step counts."""
        if self.mask is not None:
            return self.mask
        steps, batch_size = self.targets.shape[:2]
        return within(np.full(batch_size, steps) if self.lengths is None else self.lengths, steps)

    def at(self, steps: Array) -> Batch:
        """What loss and scores read (targets, mask, legal) at these steps only, for outputs at these steps only."""
        legal = None if self.legal is None else self.legal[steps]
        return self._replace(targets=self.targets[steps], mask=self.counts[steps], legal=legal)


class Scores(dict[str, tuple[float, float]]):
    """Metrics of one batch as (sum, count), so that batches add up exactly."""

    def add(self, other: Mapping[str, tuple[float, float]]) -> None:
        """Add the sums and counts of another batch."""
        for key, (total, count) in other.items():
            own_total, own_count = self.get(key, (0.0, 0.0))
            self[key] = (own_total + total, own_count + count)

    def means(self) -> dict[str, float]:
        """Sum / count of every metric."""
        return {key: total / count for key, (total, count) in self.items()}


@dataclass(frozen=True, kw_only=True)
class Task:
    """The contract of all tasks. A task is one file ``NAME.py`` with a class derived from this, and its YAML.

    The dataclass fields are the keys of ``conf/task/NAME.yaml``, which holds all defaults.

    Attributes:
        length: T, the training length in steps (the task's file says of what).
        eval_lengths: lengths evaluated besides ``length``.
    """

    length: int
    eval_lengths: tuple[int, ...] = ()

    version: ClassVar[int] = 1  # raised by a change that alters results
    min_length: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "eval_lengths", tuple(self.eval_lengths or ()))
        for key, length in (("length", self.length), *(("eval_lengths", n) for n in self.eval_lengths)):
            self.require(key, isinstance(length, int) and length >= self.min_length, f"{self.min_length} or more")

    def require(self, key: str, holds: bool, legal: str) -> None:
        """Refuse a setting by name unless ``holds``.

        Raises:
            TaskError: naming the key, the value received and what is legal.
        """
        if not holds:
            raise TaskError(f"task.{key}={getattr(self, key)}: {legal} is needed")

    @property
    def input_size(self) -> int:
        """I: symbols or values a step."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """O: symbols or values predicted a step."""
        raise NotImplementedError

    @property
    def loss_kind(self) -> str:
        """``cross_entropy`` of symbols, ``mse`` of values, or ``bce`` of several yes-or-no outputs."""
        return "cross_entropy"

    @property
    def input_names(self) -> tuple[str, ...]:
        """How an example names the values of a step."""
        return ()

    @property
    def alphabet(self) -> str:
        """How an example writes the input symbols, a character each; empty for plain numbers."""
        return ""

    @property
    def target_alphabet(self) -> str:
        """How an example writes the target symbols."""
        return self.alphabet

    @property
    def metric(self) -> str:
        """The main metric, a key of :meth:`scores` or of :meth:`probe`."""
        return "loss"

    @property
    def direction(self) -> str:
        """``min`` or ``max``: whether a small or a large main metric is good."""
        return "min"

    @property
    def unit(self) -> str:
        """What the main metric counts."""
        return "nats"

    @property
    def carry(self) -> bool:
        """Whether one batch continues the streams of the batch before: the state is carried, its gradient is cut."""
        return False

    @property
    def chance_loss(self) -> float | None:
        """The best loss without the long-range information, where it is known."""
        raise NotImplementedError

    @property
    def chance(self) -> float | None:
        """The best main metric without the long-range information, where it is known."""
        return self.chance_loss

    @property
    def solved(self) -> float | None:
        """The main metric from which on the task counts as solved, or None where scores are only reported."""
        raise NotImplementedError

    @property
    def lag(self) -> int:
        """The longest lag in steps, the T_max of chrono initialisation."""
        return self.length

    def is_solved(self, metrics: Mapping[str, float]) -> bool:
        """Whether these metrics reach the threshold."""
        if self.solved is None:
            return False
        value = metrics[self.metric]
        return value <= self.solved if self.direction == "min" else value >= self.solved

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        """Draw a batch; a pure function of its arguments. ``length`` is a training or an evaluation length."""
        raise NotImplementedError

    def training_batch(self, generator: np.random.Generator, batch_size: int) -> Batch:
        """The next training batch. Real data draws from its training split."""
        return self.sample(generator, batch_size, self.length)

    def evaluation_batches(
        self, generator: np.random.Generator, batch_size: int, size: int, length: int, split: str
    ) -> list[Batch]:
        """The fixed evaluation set: about ``size`` sequences; ``split`` (validation or test) matters for real data.

        With ``carry`` the batches are consecutive chunks of ``batch_size`` streams, the number of training streams.
        """
        return [self.sample(generator, batch_size, length) for _ in range(max(1, round(size / batch_size)))]

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean loss over the steps that count: nats per step (cross entropy, bce summed over outputs) or MSE.

        Args:
            outputs: (T, B, O).
        """
        return LOSSES[self.loss_kind](*counted(outputs, batch)).mean()

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Sums and counts of the metrics, ``loss`` always, ``accuracy`` for symbols.

        Like :meth:`loss` it reads targets, mask and legal only: see :meth:`Batch.at`.
        """
        chosen, targets = counted(outputs, batch)
        losses = LOSSES[self.loss_kind](chosen, targets).double()
        scores = Scores(loss=(losses.sum().item(), losses.numel()))
        if self.loss_kind == "cross_entropy":
            scores["accuracy"] = share(chosen.argmax(-1) == targets)
        return scores

    def probe(self, run: Callable[[Batch], Tensor], generator: np.random.Generator) -> dict[str, float]:
        """Metrics of a whole evaluation run, which are no sums over steps; none unless a task has some.

        Asked for with the last evaluation, and with every one if the main metric is not among the scores.

        Args:
            run: gives the outputs (T, B, O) for a batch of any size, without gradient. Without ``carry`` each call
                starts from the initial state. With it each call goes on where the call before stopped, and the first
                one starts stream j from the state of training stream j modulo their number.
            generator: draws what the probe needs.
        """
        return {}

    def example(self, seed: int = 0) -> str:
        """One sample sequence with its target as aligned text; ``.`` where a step does not count."""
        return _example.text(self, self._drawn(seed))

    def input_rows(self, inputs: Array) -> dict[str, list[str]]:
        """How an example writes the inputs (T, ...) of one sequence: rows of one cell a step."""
        return _example.input_rows(self, inputs)

    def plot(self, path: Path, seed: int = 0) -> None:
        """Draw the sequence of :meth:`example` into a file: inputs below, targets above, time to the right."""
        _example.plot(self, self._drawn(seed), path)

    def _drawn(self, seed: int) -> Batch:
        return self.sample(np.random.Generator(np.random.Philox(seed)), 1, self.length)


def within(lengths: Array, steps: int) -> Array:
    """(T, B), true before each sequence's end."""
    return np.arange(steps)[:, None] < lengths


def share(holds: Tensor) -> tuple[float, float]:
    """How often something holds, as (sum, count)."""
    return holds.double().sum().item(), holds.numel()


def whole_sequences(outputs: Tensor, batch: Batch) -> tuple[float, float]:
    """How many sequences have the right symbol at every step that counts, as (sum, count)."""
    wrong = outputs.argmax(-1) != torch.from_numpy(batch.targets).to(outputs.device)
    return share(~(wrong & torch.from_numpy(batch.counts).to(outputs.device)).any(0))


def counted(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Outputs (N, O) and targets (N, ...) of the N steps that count."""
    targets = torch.from_numpy(batch.targets).to(outputs.device)
    if targets.is_floating_point():
        targets = targets.to(outputs.dtype)
    if batch.mask is None and batch.lengths is None:
        return outputs.flatten(0, 1), targets.flatten(0, 1)
    counts = torch.from_numpy(batch.counts).to(outputs.device)
    return outputs[counts], targets[counts]


def joined(pieces: Array, lengths: Array, streams: int) -> Array:
    """Lay pieces of unequal length end to end.

    Args:
        pieces: (N, L, ...), the first N / streams of them are the first stream's, and so on.
        lengths: (N,) steps of each piece.
        streams: B.

    Returns:
        (T, B, ...), zero past a stream's end.
    """
    totals = lengths.reshape(streams, -1).sum(axis=1)
    steps = int(totals.max())
    whole = np.zeros((streams, steps, *pieces.shape[2:]), dtype=pieces.dtype)
    whole[within(totals, steps).T] = pieces[within(lengths, pieces.shape[1]).T]
    return np.ascontiguousarray(whole.swapaxes(0, 1))


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean(-1)


def _bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1)


LOSSES = {"cross_entropy": _cross_entropy, "mse": _mse, "bce": _bce}
