"""Character language model: predict the next character of a text.

>>> print(CharLm(length=24, path=file("to be or not to be, " * 9)).example(seed=3))
input   ot to be, to be or not t
target  t to be, to be or not to
>>> for split, part in parts("a text of twenty one").items():
...     print(f"{split:<10} {part!r}")
train      'a text of twenty o'
validation 'n'
test       'e'

``path``: any UTF-8 file. Its first 90 % are for training, then 5 % for validation, 5 % for test; the alphabet is the
characters of the whole file. Training draws windows of ``length`` characters, evaluation takes its split in windows of
``length``, in order; each starts from the initial state.

Denominator: characters; ``bits_per_character`` is the loss / ln 2. Chance: every character of the alphabet alike; the
score is reported. Source: Graves 2013; Karpathy, Johnson & Fei-Fei 2015.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from experiments.tasks._splits import Sequences, SplitTask, refusal, user_path
from experiments.tasks.base import Array, Batch, Scores

FETCH = "name any text file in UTF-8"


@dataclass(frozen=True, kw_only=True)
class CharLm(SplitTask):
    """The next character.

    Attributes:
        path: the text file.
    """

    path: str | None

    metric = "bits_per_character"
    unit = "bits"

    def __post_init__(self) -> None:
        super().__post_init__()
        user_path(self.path, FETCH)

    @cached_property
    def text(self) -> str:
        """The whole file."""
        path = user_path(self.path, FETCH)
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise refusal(path, f"it is not UTF-8: byte {error.start} ({error.reason})") from error
        if min(map(len, parts(text).values())) < 2:
            raise refusal(path, f"{len(text)} characters are too few to split into 90 %, 5 % and 5 %")
        return text

    @cached_property
    def alphabet(self) -> str:
        return "".join(sorted(set(self.text)))

    @property
    def input_size(self) -> int:
        return len(self.alphabet)

    @property
    def output_size(self) -> int:
        return len(self.alphabet)

    @property
    def chance_loss(self) -> float:
        return math.log(len(self.alphabet))

    @property
    def chance(self) -> float:
        return math.log2(len(self.alphabet))

    def read(self) -> Mapping[str, Sequences]:
        codes = {character: code for code, character in enumerate(self.alphabet)}
        splits = {}
        for split, text in parts(self.text).items():
            symbols = np.array([codes[character] for character in text])
            count = len(symbols) - 1
            windows = [count] if split == "train" else np.diff([*range(0, count, self.length), count])
            splits[split] = Sequences(symbols[:-1], symbols[1:], np.array(windows))
        return splits

    def events(self, batch: Batch) -> dict[str, Array]:
        """Spaces and ends of lines, where the text has some."""
        named = {"space": " ", "line end": "\n"}
        known = {name: self.alphabet.index(symbol) for name, symbol in named.items() if symbol in self.alphabet}
        return {name: (batch.inputs == symbol) & batch.inside for name, symbol in known.items()}

    @torch.no_grad()
    def scores(self, outputs: Tensor, batch: Batch) -> Scores:
        """Also ``bits_per_character``."""
        scores = super().scores(outputs, batch)
        total, count = scores["loss"]
        scores["bits_per_character"] = (total / math.log(2), count)
        return scores


def parts(text: str) -> dict[str, str]:
    """The three splits, one after the other."""
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return {"train": text[:first], "validation": text[first:second], "test": text[second:]}
