"""What a task is: a pure function from a random generator to a batch, with its loss, its metrics and its chance line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


class TaskError(ValueError):
    """A task that cannot be built or read; the message names the key, the value received and what is legal."""


class Batch(NamedTuple):
    """B sequences of T steps.

    Attributes:
        inputs: symbols (T, B) as integers, shown to the model one-hot, or values (T, B, I) as float32.
        targets: symbols (T, B) as integers, or values (T, B, O) as float32.
        mask: (T, B), true where a step counts in loss and metrics; None: all steps count.
        lengths: (B,) steps of each sequence, the rest is padding; None: all are T long.
    """

    inputs: Array
    targets: Array
    mask: Array | None = None
    lengths: Array | None = None


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
    loss_kind: ClassVar[str] = "cross_entropy"  # cross_entropy | mse | bce
    metric: ClassVar[str] = "loss"  # the main metric, one of the keys of scores()
    direction: ClassVar[str] = "min"  # whether a small or a large metric is good
    unit: ClassVar[str] = "nats"
    carry: ClassVar[bool] = False  # whether one batch continues the streams of the batch before
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
    def chance(self) -> float | None:
        """The best main metric without the long-range information, where it is known."""
        raise NotImplementedError

    @property
    def solved(self) -> float | None:
        """The main metric from which on the task counts as solved, or None where scores are only reported."""
        raise NotImplementedError

    @property
    def lag(self) -> int:
        """The longest lag in steps, the T_max of chrono initialisation."""
        return self.length

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        """Draw a batch; a pure function of its arguments. ``length`` is a training or an evaluation length."""
        raise NotImplementedError

    def training_batch(self, generator: np.random.Generator, batch_size: int) -> Batch:
        """The next training batch. Real data draws from its training split."""
        return self.sample(generator, batch_size, self.length)

    def evaluation_batches(
        self, generator: np.random.Generator, batch_size: int, size: int, length: int, split: str
    ) -> list[Batch]:
        """The fixed evaluation set: about ``size`` sequences; ``split`` (validation or test) matters for real data."""
        return [self.sample(generator, batch_size, length) for _ in range(max(1, round(size / batch_size)))]

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean loss over the steps that count: nats per step (cross entropy, bce summed over outputs) or MSE.

        Args:
            outputs: (T, B, O).
        """
        return LOSSES[self.loss_kind](*counted(outputs, batch)).mean()

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Sums and counts of the metrics, ``loss`` always, ``accuracy`` for symbols."""
        chosen, targets = counted(outputs, batch)
        losses = LOSSES[self.loss_kind](chosen, targets).double()
        scores = Scores(loss=(losses.sum().item(), losses.numel()))
        if self.loss_kind == "cross_entropy":
            correct = (chosen.argmax(-1) == targets).double()
            scores["accuracy"] = (correct.sum().item(), correct.numel())
        return scores

    def example(self, generator: np.random.Generator) -> str:
        """One sample sequence with its target as aligned text."""
        batch = self.sample(generator, 1, self.length)
        rows = [("input", batch.inputs[:, 0]), ("target", batch.targets[:, 0])]
        mask = None if batch.mask is None else batch.mask[:, 0]
        return "\n".join(f"{name:>8}  {_aligned(values, mask if name == 'target' else None)}" for name, values in rows)


def _aligned(values: Array, mask: Array | None) -> str:
    cells = [_cell(v) if mask is None or mask[t] else "." for t, v in enumerate(values)]
    width = max(len(cell) for cell in cells)
    return " ".join(cell.rjust(width) for cell in cells)


def _cell(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else "/".join(f"{v:.2g}" for v in value)


def counted(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Outputs (N, O) and targets (N, ...) of the N steps that count."""
    targets = torch.from_numpy(batch.targets).to(outputs.device)
    if targets.is_floating_point():
        targets = targets.to(outputs.dtype)
    if batch.mask is None:
        return outputs.flatten(0, 1), targets.flatten(0, 1)
    mask = torch.from_numpy(batch.mask).to(outputs.device)
    return outputs[mask], targets[mask]


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean(-1)


def _bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1)


LOSSES = {"cross_entropy": _cross_entropy, "mse": _mse, "bce": _bce}
