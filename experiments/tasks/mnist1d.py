"""MNIST-1D: read a line that was drawn as one of ten digits, a value a step, then name the digit.

>>> print(Mnist1d(length=40, shuffled=False).example(columns=92))
input 0   2.18  1.97  1.64  1.39   .90   .47   .24   .03   .47   .81  1.10   .99   .41  1.97
target       .     .     .     .     .     .     .     .     .     .     .     .     .     .
<BLANKLINE>
input 0   2.68  2.93  3.01  2.69  1.82   .33   .12   .65   .74   .26   .19  -.29 -1.10 -1.89
target       .     .     .     .     .     .     .     .     .     .     .     .     .     .
<BLANKLINE>
input 0  -2.09 -1.43  -.30   .29   .55   .95   .04  -.18  -.49  -.90 -1.20 -1.73
target       .     .     .     .     .     .     .     .     .     .     .     0

The 5,000 lines of Greydanus & Kobak, made anew by their package ``mnist1d`` from its own seed and never downloaded:
templates of the ten digits, padded, stretched, moved, sheared and noisy; mean 0 and standard deviation 1 over all.
``shuffled``: the steps of every line in one fixed random order, the package's. Of the package's 4,000 training lines
the last 500 are the validation split; its 1,000 test lines are the test split. ``length`` is 40.

Denominator: lines (loss and accuracy at the last step). Chance ln 10 nats, accuracy 1/10; test accuracy is reported.
Source: Greydanus & Kobak 2024 (arXiv 2011.14439, 2020).
"""

from __future__ import annotations

import functools
import importlib.util
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from experiments.tasks._pixels import TenClasses
from experiments.tasks._splits import Sequences
from experiments.tasks.base import Array, TaskError

STEPS = 40
VALIDATION = 500  # of the training lines


@dataclass(frozen=True, kw_only=True)
class Mnist1d(TenClasses):
    """Digits as lines of 40 values.

    Attributes:
        shuffled: whether the steps of every line stand in one fixed random order.
    """

    shuffled: bool

    input_size = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("length", self.length == STEPS, str(STEPS))
        if importlib.util.find_spec("mnist1d") is None:
            raise TaskError("task=mnist1d: the extra mnist1d is missing: pip install mnist1d")

    def read(self) -> Mapping[str, Sequences]:
        made = _made(self.shuffled)
        parts = {
            "train": (made["x"][:-VALIDATION], made["y"][:-VALIDATION]),
            "validation": (made["x"][-VALIDATION:], made["y"][-VALIDATION:]),
            "test": (made["x_test"], made["y_test"]),
        }
        return {split: _sequences(*lines) for split, lines in parts.items()}


def _sequences(lines: Array, digits: Array) -> Sequences:
    """Lines (N, 40) and their digits (N,) as one split."""
    values = lines.reshape(-1, 1).astype(np.float32)
    return Sequences(values, digits.astype(np.int64), np.full(len(lines), STEPS), labelled=True)


@functools.cache
def _made(shuffled: bool) -> dict[str, Array]:
    """What the package makes: x and x_test (N, 40), y and y_test (N,)."""
    from mnist1d.data import get_dataset_args, make_dataset  # an extra, and slow to import

    settings = get_dataset_args()
    settings.shuffle_seq = shuffled
    with _generators_left_alone():
        made: dict[str, Array] = make_dataset(settings)
    return made


@contextmanager
def _generators_left_alone() -> Iterator[None]:
    """Inside this context code may seed the global generators, as the package does; afterwards they are as before."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002
