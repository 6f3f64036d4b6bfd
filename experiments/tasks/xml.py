"""XML: predict the next character of documents of nested tags with random names.

>>> print(Xml(length=1).example(seed=8))
input   <mja></mja><hleyhh><vnmal><nkk></nkk></vnmal></hleyhh>
target  mja></mja><hleyhh><vnmal><nkk></nkk></vnmal></hleyhh><

A document is a series of actions: with probability .5, and from the 50th on always, close the newest tag (stop if none
is open), else open ``<w>``, w a word of U{2..10} letters; the first action opens. 29 symbols. Documents stand end to
end, the state is carried from chunk to chunk and its gradient cut there; the batch is parallel streams. ``length``
counts documents a chunk (175 characters on average, half of them below 80); shorter streams are padded at the end.

Denominator: characters. Chance: who sees only the last character, measured (2.70 nats); loss and accuracy are reported.
Source: Jozefowicz, Zaremba & Sutskever 2015.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.tasks.base import Array, Batch, Task, within

ALPHABET = string.ascii_lowercase + "</>"
OPEN, SLASH, CLOSE = (ALPHABET.index(character) for character in "</>")
LETTER = len(ALPHABET)  # where one is still to be put
CLOSING_FROM = 50  # the action from which on all close
ACTIONS = 2 * CLOSING_FROM + 1  # more than any document has


@dataclass(frozen=True, kw_only=True)
class Xml(Task):
    """Endless documents."""

    independent = True
    alphabet = ALPHABET
    input_size = len(ALPHABET)
    output_size = len(ALPHABET)
    carry = True
    chance_loss = 2.70
    solved: ClassVar[None] = None
    lag = 100

    def events(self, batch: Batch) -> dict[str, Array]:
        """Where a tag begins that opens and one that closes, and where a tag ends."""
        slash = (batch.inputs == ALPHABET.index("/")) & batch.inside
        begins = (batch.inputs == ALPHABET.index("<")) & batch.inside
        closes = np.concatenate([slash[1:], np.zeros_like(slash[:1])])
        ends = (batch.inputs == ALPHABET.index(">")) & batch.inside
        return {"tag opens": begins & ~closes, "tag closes": begins & closes, "tag ends": ends}

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        text, lengths = _written(*_drawn(generator, batch_size * length))
        totals = lengths.reshape(batch_size, length).sum(axis=1)
        mask = within(totals, int(totals.max()))
        streams = np.zeros(mask.shape[::-1], dtype=np.uint8)
        streams[mask.T] = text
        inputs = streams.T.astype(np.int64, order="C")
        targets = np.concatenate([inputs[1:], inputs[:1]])
        targets[totals - 1, np.arange(batch_size)] = OPEN  # the next document's first character
        return Batch(inputs, targets, mask, totals)


def _drawn(generator: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    """What documents are made from, one document after another.

    Returns:
        Whether each action closes a tag (N, ACTIONS), the lengths of the words (N, CLOSING_FROM), and the letters of
        all words of all documents.
    """
    closes = np.empty((count, ACTIONS))
    words = np.empty((count, CLOSING_FROM), dtype=np.int64)
    letters = []
    for close, word in zip(closes, words, strict=True):
        generator.random(out=close)
        word[:] = generator.integers(2, 11, CLOSING_FROM)
        letters.append(generator.integers(0, 26, int(np.add.reduce(word)), dtype=np.uint8))
    closing = closes < 0.5
    closing[:, 0], closing[:, CLOSING_FROM - 1 :] = False, True
    return closing, words, np.concatenate(letters)


def _tags(closes: Array) -> tuple[Array, Array, Array]:
    """The tags of all documents, in order: which document, which of its actions, the place of the tag that opens it."""
    depths = (1 - 2 * closes).cumsum(axis=1)  # open tags after each action
    stops = (depths < 0).argmax(axis=1)  # nothing is left to close
    document, action = np.nonzero(np.arange(ACTIONS) < stops[:, None])
    depth = (depths + closes)[document, action]
    pairs = np.argsort(document * ACTIONS + depth, kind="stable").reshape(-1, 2)  # of equal depth, one after another
    opened = np.empty_like(document)
    opened[pairs] = pairs[:, :1]
    return document, action, opened


def _written(closes: Array, words: Array, letters: Array) -> tuple[Array, Array]:
    """The symbols of all documents, end to end, and how many each has."""
    document, action, opened = _tags(closes)
    closing = closes[document, action]
    word = document[opened] * CLOSING_FROM + action[opened]
    sizes = words.ravel()[word]
    lengths = sizes + 2 + closing
    ends = lengths.cumsum()
    starts = ends - lengths
    text = np.full(ends[-1], LETTER, dtype=np.uint8)
    text[starts], text[starts[closing] + 1], text[ends - 1] = OPEN, SLASH, CLOSE
    before = words.cumsum()[word] - sizes  # letters of all words before
    places = np.repeat(before - (sizes.cumsum() - sizes), sizes)
    text[text == LETTER] = letters.take(places + np.arange(len(places)))
    return text, np.bincount(document, lengths).astype(np.int64)
