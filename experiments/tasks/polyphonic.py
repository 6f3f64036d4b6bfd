"""Polyphonic music: from the keys that sound now, predict those of the next step.

>>> pieces = [[(60, 64, 67), (60, 64), (), (62,)]]
>>> print(Polyphonic(length=3, path=file({"train": pieces, "valid": pieces, "test": pieces})).example())
input   39,43,46    39,43        -
target     39,43        -       41

88 keys (0..87, MIDI notes 21..108), all that sound in a step on at once. ``path``: a ``.mat`` file with ``traindata``,
``validdata`` and ``testdata``, cells of (steps, 88) piano rolls; or a ``.pickle`` with ``train``, ``valid`` and
``test`` (or the names above), lists of pieces, which are lists of steps, which are tuples of MIDI notes. Training takes
excerpts of at most ``length`` steps, evaluation whole pieces.

Denominator: steps; negative log-likelihood in nats, summed over the keys. Chance: each key with its frequency in the
training pieces, measured; the loss is reported. Source: Boulanger-Lewandowski, Bengio & Vincent 2012.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from experiments.tasks._splits import SPLITS, Sequences, SplitTask, refusal, user_path
from experiments.tasks.base import Array, TaskError

LOWEST, KEYS = 21, 88
NAMES = (("traindata", "train"), ("validdata", "valid"), ("testdata", "test"))  # in the order of SPLITS
FETCH = "fetch JSB_Chorales (or Nottingham, MuseData, Piano-midi.de) as .mat or .pickle and name the file"


@dataclass(frozen=True, kw_only=True)
class Polyphonic(SplitTask):
    """Next-step piano rolls.

    Attributes:
        path: the ``.mat`` or ``.pickle`` file.
    """

    path: str | None

    loss_kind = "bce"
    input_size = KEYS
    output_size = KEYS

    def __post_init__(self) -> None:
        super().__post_init__()
        user_path(self.path, FETCH)

    def read(self) -> Mapping[str, Sequences]:
        path = user_path(self.path, FETCH)
        content = _read_pickle(path) if path.suffix in (".pickle", ".pkl") else _read_mat(path)
        splits = {}
        for split, names in zip(SPLITS, NAMES, strict=True):
            key = next((name for name in names if name in content), None)
            if key is None:
                raise refusal(path, f"it has no {names[0]} (nor {names[1]})")
            splits[split] = _sequences(path, key, content[key])
        return splits


def piano_roll(piece: Iterable[Iterable[int]]) -> Array:
    """MIDI notes of each step as (steps, 88).

    Raises:
        ValueError: for a note that no piano has.
    """
    steps = [np.array(list(notes), dtype=np.int64) - LOWEST for notes in piece]
    roll = np.zeros((len(steps), KEYS), dtype=np.uint8)
    for step, keys in enumerate(steps):
        if len(keys) and not (keys.min() >= 0 and keys.max() < KEYS):
            raise ValueError(f"a note outside {LOWEST}..{LOWEST + KEYS - 1} at step {step}")
        roll[step, keys] = 1
    return roll


def _sequences(path: Path, key: str, pieces: Any) -> Sequences:
    """Each piece without its last step as inputs, without its first as targets."""
    try:
        rolls = [np.asarray(p) if isinstance(p, np.ndarray) else piano_roll(p) for p in pieces]
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal(path, f"{key}: {error}") from error
    if not rolls:
        raise refusal(path, f"{key} has no pieces")
    for number, roll in enumerate(rolls):
        if roll.ndim != 2 or roll.shape[1] != KEYS or len(roll) < 2 or not np.isin(roll, (0, 1)).all():
            raise refusal(path, f"{key}: piece {number} is no piano roll of 2 or more steps of {KEYS} keys, 0 or 1")
    inputs, targets = (np.concatenate([roll[part] for roll in rolls]) for part in (slice(-1), slice(1, None)))
    lengths = np.array([len(roll) - 1 for roll in rolls])
    return Sequences(inputs.astype(np.uint8), targets.astype(np.uint8), lengths)


def _read_mat(path: Path) -> dict[str, Any]:
    try:
        content = scipy.io.loadmat(path)
    except Exception as error:  # the reader raises whatever a damaged file leads it to
        raise refusal(path, f"it cannot be read as a .mat file ({error or type(error).__name__})") from error
    return {key: list(value.ravel()) for key, value in content.items() if isinstance(value, np.ndarray)}


class _PlainUnpickler(pickle.Unpickler):
    """Numbers, texts, tuples, lists and dicts; never anything that a pickle could make Python run."""

    def find_class(self, module: str, name: str) -> Any:
        raise TaskError(f"it would run {module}.{name}; only lists, tuples and numbers are read")


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # the reader raises whatever a damaged file leads it to
        raise refusal(path, f"it cannot be read as a pickle: {error or type(error).__name__}") from error
    if not isinstance(content, dict):
        raise refusal(path, f"a dict with train, valid and test is needed, it holds a {type(content).__name__}")
    return content
