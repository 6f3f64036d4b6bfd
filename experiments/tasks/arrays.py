"""Arrays: any sequences of your own, from one ``.npz`` file.

>>> rows = {"inputs": [[3, 1, 4, 1]] * 3, "targets": [[3, 4, 8, 9]] * 3, "split": ["train", "validation", "test"]}
>>> print(Arrays(length=4, path=file(**rows, lengths=[4, 4, 4])).example())
input   3141
target  3489
>>> for key, shape in LAYOUT.items():
...     print(f"{key:<8} {shape}")
inputs   (N, T) or (N, T, I)
targets  (N, T), (N, T, O), (N,) or (N, O)
split    (N,) of train, validation, test
lengths  (N,) steps of each sequence; may be left out
events   (N, T) numbers or texts, 0 or empty for nothing; may be left out

Any numeric type, byte order and memory order. ``inputs``: whole numbers (N, T) are symbols; floats and truth values
(N, T), and whatever is (N, T, I), are values. ``targets`` of every step: whole numbers (N, T) are symbols (cross
entropy), floats (N, T) or (N, T, O) values (MSE), truth values (N, T) or (N, T, O) yes-or-no outputs (binary cross
entropy, summed). One target a sequence, at its last step: whole numbers (N,), truth values or floats without fractions
among them, are classes (cross entropy); other floats (N,) a value; (N, O) with O other than T as above, values or
yes-or-no outputs. A last axis of 1 may be left out or added. What stands past ``lengths`` never matters. Of sequences
longer than ``length`` training takes excerpts, if every step has a target.

Denominator: targets. Chance: the best constant, measured on the training targets. Solved: ``solved``, if given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.tasks._npz import FETCH, LAYOUT, Content, load
from experiments.tasks._splits import SPLITS, Sequences, SplitTask, user_path
from experiments.tasks.base import Array, Batch

__all__ = ["LAYOUT", "Arrays"]


@dataclass(frozen=True, kw_only=True)
class Arrays(SplitTask):
    """Sequences of the user's.

    Attributes:
        path: the ``.npz`` file.
        solved: the value of the main metric from which on the task counts as solved; None: scores are only reported.
    """

    path: str | None
    solved: float | None = None  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = int(self.content.lengths.max())
        fits = not self.labelled or steps <= self.length
        self.require("length", fits, f"{steps} or more (one target a sequence: no excerpts)")

    @cached_property
    def content(self) -> Content:
        """The checked arrays of the file."""
        return load(user_path(self.path, FETCH))

    @property
    def labelled(self) -> bool:
        """Whether there is one target a sequence."""
        return self.content.labelled

    @property
    def loss_kind(self) -> str:
        return self.content.loss_kind

    @property
    def metric(self) -> str:
        return "accuracy" if self.loss_kind == "cross_entropy" else "loss"

    @property
    def direction(self) -> str:
        return "max" if self.loss_kind == "cross_entropy" else "min"

    @property
    def unit(self) -> str:
        return {"cross_entropy": "share", "mse": "MSE", "bce": "nats"}[self.loss_kind]

    @property
    def input_size(self) -> int:
        return _size(self.content.inputs)

    @property
    def output_size(self) -> int:
        return _size(self.content.targets)

    @property
    def chance(self) -> float:
        if self.loss_kind != "cross_entropy":
            return self.chance_loss
        targets = self.splits["train"].targets
        return float(np.bincount(targets).max() / len(targets))

    def events(self, batch: Batch) -> dict[str, Array]:
        """Those that the file's ``events`` name, for looking inside a net."""
        happens = np.zeros_like(batch.inside, dtype=np.int64) if batch.events is None else batch.events
        named = {name: happens == code for code, name in enumerate(self.content.event_names, start=1)}
        return named | super().events(batch)

    def read(self) -> Mapping[str, Sequences]:
        content, splits = self.content, {}
        for split in SPLITS:
            rows = content.split == split
            inputs, targets, lengths = (part[rows] for part in (content.inputs, content.targets, content.lengths))
            inside = np.arange(inputs.shape[1]) < lengths[:, None]
            own = targets if self.labelled else targets[inside]
            events = None if content.events is None else content.events[rows][inside]
            splits[split] = Sequences(inputs[inside], own, lengths, self.labelled, events)
        return splits


def _size(values: Array) -> int:
    """How many symbols or values there are."""
    return int(values.max()) + 1 if values.dtype == np.int64 else values.shape[-1]
