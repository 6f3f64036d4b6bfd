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

from experiments.tasks.base import Array, Batch, Task, joined, within

ALPHABET = string.ascii_lowercase + "</>"
CODES = np.zeros(128, dtype=np.int64)  # byte -> symbol
CODES[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
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
        texts = [_document(generator) for _ in range(batch_size * length)]
        lengths = np.array([len(text) for text in texts])
        documents = np.array(texts, dtype=np.bytes_).view(np.uint8).reshape(len(texts), -1)
        inputs = CODES[joined(documents, lengths, batch_size)]
        totals = lengths.reshape(batch_size, length).sum(axis=1)
        targets = np.roll(inputs, -1, axis=0)
        targets[totals - 1, np.arange(batch_size)] = ALPHABET.index("<")  # the next document's first character
        return Batch(inputs, targets, within(totals, len(inputs)), totals)


def _document(generator: np.random.Generator) -> str:
    closes = generator.random(ACTIONS) < 0.5
    closes[0], closes[CLOSING_FROM - 1 :] = False, True
    ends = [0, *generator.integers(2, 11, CLOSING_FROM).cumsum().tolist()]  # of the words
    letters = generator.integers(97, 123, ends[-1], dtype=np.uint8).tobytes().decode()
    parts: list[str] = []
    stack: list[str] = []
    for action, close in enumerate(closes.tolist()):
        if not close:
            stack.append(letters[ends[action] : ends[action + 1]])
            parts.append(f"<{stack[-1]}>")
        elif stack:
            parts.append(f"</{stack.pop()}>")
        else:
            break
    return "".join(parts)
