"""What a task is: a pure function from a random generator to a batch, with its loss, metrics and chance line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.tasks import _example, _file_contents
from experiments.tasks._batch import (
    LOSSES,
    YES_OR_NO,
    Array,
    Batch,
    Reference,
    Scores,
    counted,
    joined,
    later,
    ordinal,
    share,
    whole_sequences,
    within,
)
from experiments.tasks._sharing import shared

__all__ = [
    "LOSSES",
    "YES_OR_NO",
    "Array",
    "Batch",
    "Reference",
    "Scores",
    "Task",
    "TaskError",
    "counted",
    "joined",
    "later",
    "ordinal",
    "share",
    "whole_sequences",
    "within",
]


class TaskError(ValueError):
    """A task that cannot be built or read; the message names the key, the value received and what is legal."""


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

    min_length: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "eval_lengths", tuple(self.eval_lengths or ()))
        for key, length in (("length", self.length), *(("eval_lengths", n) for n in self.eval_lengths)):
            self.require(key, isinstance(length, int) and length >= self.min_length, f"{self.min_length} or more")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its settings: what it has read stays in this process, the other one reads it for all its runs."""
        return shared, (type(self), {field.name: getattr(self, field.name) for field in fields(self)})

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
        """``cross_entropy`` of symbols, ``mse`` of values, ``bce`` or ``sigmoid_mse`` of several yes-or-no outputs."""
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
    def independent(self) -> bool:
        """Whether the sequences of a batch share nothing, so that many batches may be drawn as one and then parted."""
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
    def references(self) -> Mapping[str, Reference]:
        """What named shortcuts reach, such as knowing a part of what is asked for: figures draw them beside chance."""
        return {}

    @property
    def solved(self) -> float | None:
        """The main metric from which on the task counts as solved, or None where scores are only reported."""
        raise NotImplementedError

    @property
    def lag(self) -> int:
        """The longest lag in steps, the T_max of chrono initialisation."""
        return self.length

    @property
    def files(self) -> Mapping[str, Sequence[Path]]:
        """The user's files behind each setting that names some. Their content is part of a run, their place is not.

        Unless a task says otherwise: what the settings ``path`` and ``..._path`` name, of a folder every file in it.
        """
        return _file_contents.named_by(vars(self))

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

    def training_block(self, generator: np.random.Generator, batch_size: int) -> Batch:
        """The sequences of several batches as one :meth:`training_batch`; what only scores read may be left out."""
        return self.training_batch(generator, batch_size)

    def in_order(self, first: int, count: int) -> Batch | None:
        """The training sequences number ``first``, counted from 0, and on, ``count`` of them, of a task that trains on
        a fixed list over and over; None: they are drawn, by :meth:`training_batch`."""
        return None

    def evaluation_batches(
        self, generator: np.random.Generator, batch_size: int, size: int, length: int, split: str
    ) -> list[Batch]:
        """The fixed evaluation set: about ``size`` sequences; ``split`` (validation or test) matters for real data.

        With ``carry`` the batches are consecutive chunks of ``batch_size`` streams, the number of training streams.
        """
        return [self.sample(generator, batch_size, length) for _ in range(max(1, round(size / batch_size)))]

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean loss over the steps that count: nats per step (cross entropy, bce summed over outputs) or MSE,
        that of the sigmoids with ``sigmoid_mse``.

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

    def events(self, batch: Batch) -> dict[str, Array]:
        """Steps at which something happens, for looking inside a net: name -> (T, B), true there, never on padding.

        Unless a task says more: ``due``, the steps that count, where not all of them do.
        """
        inside = batch.inside
        return {} if (batch.counts == inside).all() else {"due": batch.counts & inside}

    def example(self, seed: int = 0, columns: int | None = None) -> str:
        """One sample sequence with its target as aligned text, in blocks at most so many columns wide.

        ``.`` stands where a step does not count.
        """
        return _example.text(self, self._drawn(seed), columns)

    def input_rows(self, inputs: Array) -> dict[str, list[str]]:
        """How an example writes the inputs (T, ...) of one sequence: rows of one cell a step."""
        return _example.input_rows(self, inputs)

    def plot(self, path: Path, seed: int = 0) -> None:
        """Draw the sequence of :meth:`example` into a file: inputs below, targets above, time to the right."""
        _example.plot(self, self._drawn(seed), path)

    def _drawn(self, seed: int) -> Batch:
        return self.sample(np.random.Generator(np.random.Philox(seed)), 1, self.length)
