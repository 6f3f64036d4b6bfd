"""Arithmetic: add or subtract two numbers among stray letters, and write the result.

>>> print(Arithmetic(length=2).example(seed=8))
input   -ig5v3-22=-75
target  .........-75.

``A op B``: U{1..D} digits each, no leading zero, A negative half the time, op + or -; after each character a geometric
number of letters (each one more with probability .48). Then ``=``, the answer, ``.``. The next character is predicted;
inputs are 40 symbols one-hot (digits, letters, + - = .) and a flag "this target counts". ``length`` is D.

Denominator: the characters of the answer and its ``.``. Chance: who sees only the current character, measured (2.00
nats and an accuracy of .397 for D=3, 2.28 and .215 for D=8; there is no closed form). Accuracy is reported.
Source: Jozefowicz, Zaremba & Sutskever 2015.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from experiments.tasks.base import Array, Batch, Task, within

ALPHABET = string.digits + string.ascii_lowercase + "+-=."
CODES = np.zeros(128, dtype=np.int64)  # byte -> symbol
CODES[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
ANOTHER_LETTER = 0.48
POWERS = 10 ** np.arange(18)
LOWEST = np.where(POWERS > 10, POWERS // 10, 0)  # by the number of its digits; 0 has one
MEASURED = 20_000  # problems in whose answers the pairs of characters are counted


@dataclass(frozen=True, kw_only=True)
class Arithmetic(Task):
    """Sums and differences."""

    independent = True
    target_alphabet = ALPHABET
    input_size = len(ALPHABET) + 1
    output_size = len(ALPHABET)
    metric = "accuracy"
    direction = "max"
    unit = "share"
    solved: ClassVar[None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("length", self.length <= 17, "at most 17 digits")
        self.require("eval_lengths", all(n <= 17 for n in self.eval_lengths), "at most 17 digits")

    @property
    def lag(self) -> int:
        return 4 * self.length + 4

    @cached_property
    def frequencies(self) -> Array:
        """How often each symbol (column) comes next where each (row) is seen, in an answer with the ``=`` before it."""
        problems = _problems(np.random.Generator(np.random.Philox(0)), MEASURED, self.length)
        answers = "".join(problem[problem.index("=") :] for problem in problems)
        symbols = CODES[np.frombuffer(answers.encode(), dtype=np.uint8)]
        inside = symbols[:-1] != ALPHABET.index(".")
        counts = np.zeros((len(ALPHABET), len(ALPHABET)))
        np.add.at(counts, (symbols[:-1][inside], symbols[1:][inside]), 1)
        return np.asarray(counts / counts.sum())

    @property
    def chance_loss(self) -> float:
        shares = self.frequencies / np.maximum(self.frequencies.sum(axis=1, keepdims=True), 1e-300)
        seen = shares > 0
        return float(-(self.frequencies[seen] * np.log(shares[seen])).sum())

    @property
    def chance(self) -> float:
        return float(self.frequencies.max(axis=1).sum())

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        symbols, totals, answers = _with_letters(generator, _problems(generator, batch_size, length))
        lengths = totals - 1
        steps = len(symbols) - 1
        inside = within(lengths, steps)
        mask = inside & ~within(lengths - answers, steps)  # from the step on that reads "="
        inputs = np.zeros((*mask.shape, self.input_size), dtype=np.float32)
        places = np.flatnonzero(inside)
        inputs.put(places * self.input_size + symbols[:-1].take(places), 1)
        inputs[..., -1] = mask
        return Batch(inputs, symbols[1:], mask, lengths)

    def events(self, batch: Batch) -> dict[str, Array]:
        """Also the stray letters and the equals sign."""
        symbols = np.where(batch.inside, batch.inputs[..., :-1].argmax(axis=-1), -1)
        letters = (symbols >= 10) & (symbols < 36)
        return {"stray letter": letters, "equals sign": symbols == ALPHABET.index("="), **super().events(batch)}

    def input_rows(self, inputs: Array) -> dict[str, list[str]]:
        """The character of each step."""
        return {"input": [ALPHABET[symbol] for symbol in inputs[:, :-1].argmax(axis=1)]}


def _problems(generator: np.random.Generator, count: int, digits: int) -> list[str]:
    """Such as ``-44-38=-82.``."""
    a, b = (_numbers(generator, count, digits) for _ in "AB")
    a = np.where(generator.integers(0, 2, count), -a, a)
    minus = generator.integers(0, 2, count).astype(bool)
    numbers = (a, minus, b, np.where(minus, a - b, a + b))
    return [f"{x}{'-' if m else '+'}{y}={z}." for x, m, y, z in zip(*(n.tolist() for n in numbers), strict=True)]


def _numbers(generator: np.random.Generator, count: int, digits: int) -> Array:
    own = generator.integers(1, digits + 1, count)
    return generator.integers(LOWEST.take(own), POWERS.take(own))


def _with_letters(generator: np.random.Generator, problems: list[str]) -> tuple[Array, Array, Array]:
    """The whole sequences (T, B), each character of a question followed by its letters, their lengths, and how many
    characters are the answer's."""
    characters = np.array(problems, dtype=np.bytes_).view(np.uint8).reshape(len(problems), -1)
    places, there = np.arange(characters.shape[1]), characters > 0
    asked = (characters == ord("=")).argmax(axis=1)
    letters = generator.geometric(1 - ANOTHER_LETTER, characters.shape) - 1
    letters *= places < asked[:, None]
    pieces = generator.integers(10, 36, (*characters.shape, 1 + int(letters.max())))
    pieces[..., 0] = CODES.take(characters)
    pieces_there = (1 + letters) * there
    flat = pieces[np.arange(pieces.shape[-1]) < pieces_there[..., None]]
    lengths = pieces_there.sum(axis=1)
    whole = np.zeros((len(problems), int(lengths.max())), dtype=np.int64)
    whole[within(lengths, whole.shape[1]).T] = flat
    return np.ascontiguousarray(whole.T), lengths, there.sum(axis=1) - asked - 1
