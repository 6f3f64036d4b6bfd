"""All tasks as one list, for every test: built from their YAML, the user's files replaced by tiny ones."""

import gzip
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import yaml

from experiments.tasks import load_task
from experiments.tasks.base import Batch, Task
from experiments.tasks.sequential_mnist import NAMES as MNIST_NAMES

CONF = Path(__file__).parents[2] / "conf" / "task"
TASKS = sorted(path.stem for path in CONF.glob("*.yaml"))
REAL = ["arrays", "char_lm", "polyphonic", "sequential_mnist"]
SYNTHETIC = [name for name in TASKS if name not in [*REAL, "mnist1d", "sequential_digits"]]
CARRIED = ["continual_adding", "continual_reber", "continual_temporal_order", "xml"]
SUZGUN = {"letters": 3, "start": False, "alpha": 0.25, "beta": 0.25, "strings": 50, "squared": True, "score": "e1"}
OPTIONS = {  # every named option besides the default, by task
    "adding": [{"layout": "1997"}, {"values": "-1..1"}],
    "associative_recall": [{"fill": "blank"}],
    "continual_adding": [{"flag": False}],
    "continual_reber": [{"markers": "inner"}, {"markers": "distinct"}, {"reset_at": "string_end"}],
    "counting": [{"letters": 3}, SUZGUN],
    "mnist1d": [{"shuffled": True}],
    "noisy_lag": [{"layout": "2b"}, {"layout": "2c"}, {"layout": "2c", "distractors": 4}],
    "parity": [{"target": "last"}],
    "sequential_digits": [{"length": 8}, {"permuted": True}],
    "temporal_order": [{"symbols": 3}],
}
CASES = [(name, {}) for name in TASKS] + [(name, change) for name in OPTIONS for change in OPTIONS[name]]
IDS = ["-".join([name, *(f"{key}={value}" for key, value in change.items())]) for name, change in CASES]


def defaults(name: str) -> dict[str, Any]:
    """The content of a task's YAML."""
    content = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert isinstance(content, dict)
    return content


def build(name: str, changes: Mapping[str, Any], folder: Path) -> Task:
    """A task of the list; ``folder`` takes the tiny files of real data."""
    settings = defaults(name) | dict(changes)
    if name in REAL:
        settings["path"] = str(WRITERS[name](folder))
    return load_task(name, settings)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def equal(one: Batch, other: Batch) -> bool:
    """Whether two batches have equal bits."""
    return all(
        (a is None and b is None) or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))
        for a, b in zip(one, other, strict=True)
    )


# ---- tiny files of real data ------------------------------------------------------------------------------------


def write_arrays(folder: Path, **changes: Any) -> Path:
    """Symbols in, one symbol a step out; ``None`` leaves an array out."""
    own = generator()
    content = {
        "inputs": own.integers(0, 5, (9, 7)),
        "targets": own.integers(0, 3, (9, 7)),
        "split": np.array(["train", "validation", "test"] * 3),
        "lengths": own.integers(3, 8, 9),
    } | changes
    path = folder / "own.npz"
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def write_text(folder: Path, text: str = "the quick brown fox jumps over the lazy dog; " * 20) -> Path:
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return path


def pieces() -> dict[str, list[list[tuple[int, ...]]]]:
    """Three splits of pieces of MIDI notes."""
    own = generator()
    steps = [[tuple(own.integers(21, 109, 3).tolist()) for _ in range(length)] for length in (5, 9, 2, 30, 4, 6)]
    return {"train": steps[:3], "valid": steps[3:5], "test": steps[5:]}


def write_pickle(folder: Path, content: Any = None) -> Path:
    path = folder / "music.pickle"
    path.write_bytes(pickle.dumps(pieces() if content is None else content, protocol=2))
    return path


def idx(values: np.ndarray[Any, Any]) -> bytes:
    """An IDX file of bytes."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write_mnist(folder: Path, train: int = 12, test: int = 4) -> Path:
    own = generator()
    for names, count in ((MNIST_NAMES[:2], train), (MNIST_NAMES[2:], test)):
        images = own.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        (folder / names[0]).write_bytes(idx(images))
        (folder / f"{names[1]}.gz").write_bytes(gzip.compress(idx((np.arange(count) % 10).astype(np.uint8))))
    return folder


WRITERS = {"arrays": write_arrays, "char_lm": write_text, "polyphonic": write_pickle, "sequential_mnist": write_mnist}


def rolls(split: str) -> list[np.ndarray[Any, Any]]:
    """The pieces as piano rolls, key by key."""
    return [np.array([[float(key + 21 in step) for key in range(88)] for step in piece]) for piece in pieces()[split]]


def write_mat(folder: Path, **changes: Any) -> Path:
    cells = {}
    for split in ("train", "valid", "test"):
        cells[f"{split}data"] = np.empty((1, len(rolls(split))), dtype=object)
        for k, roll in enumerate(rolls(split)):
            cells[f"{split}data"][0, k] = roll
    path = folder / "music.mat"
    scipy.io.savemat(path, cells | changes)
    return path
