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

from experiments.tasks.base import Array, Batch, Task, joined, within

ALPHABET = string.digits + string.ascii_lowercase + "+-=."
CODES = np.zeros(128, dtype=np.int64)  # byte -> symbol
CODES[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
ANOTHER_LETTER = 0.48
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
        _, answers = _problems(np.random.Generator(np.random.Philox(0)), MEASURED, self.length)
        symbols = CODES[np.frombuffer("=".join(["", *answers]).encode(), dtype=np.uint8)]
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
        questions, answers = _problems(generator, batch_size, length)
        symbols, totals = _with_letters(generator, questions, answers)
        lengths = totals - 1
        steps = len(symbols) - 1
        asked = lengths - [len(answer) for answer in answers]  # steps before the one that reads "="
        inside = within(lengths, steps)
        mask = inside & ~within(asked, steps)
        inputs = np.zeros((*mask.shape, self.input_size), dtype=np.float32)
        np.put_along_axis(inputs, symbols[:-1, :, None], inside[..., None], axis=-1)
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


def _problems(generator: np.random.Generator, count: int, digits: int) -> tuple[list[str], list[str]]:
    """Questions such as ``-44-38`` and answers such as ``-82.``."""
    a, b = (_numbers(generator, count, digits) for _ in "AB")
    a = np.where(generator.integers(0, 2, count), -a, a)
    minus = generator.integers(0, 2, count).astype(bool)
    results = np.where(minus, a - b, a + b)
    questions = [f"{x}{'-' if m else '+'}{y}" for x, m, y in zip(a.tolist(), minus, b.tolist(), strict=True)]
    return questions, [f"{result}." for result in results.tolist()]


def _numbers(generator: np.random.Generator, count: int, digits: int) -> Array:
    own = generator.integers(1, digits + 1, count)
    return generator.integers(np.where(own > 1, 10 ** (own - 1), 0), 10**own)


def _with_letters(generator: np.random.Generator, questions: list[str], answers: list[str]) -> tuple[Array, Array]:
    """The whole sequences (T, B), each character of a question followed by its letters, and their lengths."""
    texts = np.array([f"{q}={a}" for q, a in zip(questions, answers, strict=True)], dtype=np.bytes_)
    characters = texts.view(np.uint8).reshape(len(texts), -1)
    letters = generator.geometric(1 - ANOTHER_LETTER, characters.shape) - 1
    letters[np.arange(characters.shape[1]) >= np.array([[len(question)] for question in questions])] = 0
    pieces = generator.integers(10, 36, (*characters.shape, 1 + int(letters.max())))
    pieces[..., 0] = CODES[characters]
    lengths = np.where(characters > 0, 1 + letters, 0)
    flat = pieces.reshape(-1, pieces.shape[-1])
    return joined(flat, lengths.ravel(), len(texts)), lengths.sum(axis=1)
