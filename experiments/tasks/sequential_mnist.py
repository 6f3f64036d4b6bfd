"""Sequential MNIST: read a 28x28 image pixel by pixel or row by row, then name the digit.

>>> SequentialMnist(length=784, permuted=False, path=None)
Traceback (most recent call last):
experiments.tasks.base.TaskError: task.path=null: no folder; fetch the four IDX files of MNIST \
(train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; plain or .gz) into \
one folder and name it

``length=784``: a pixel a step, values 0..1; ``length=28``: a row of 28 pixels a step. ``permuted``: the pixels of every
image in one fixed random order. The last sixth of the training images is the validation split (10,000 of 60,000).

Denominator: images (loss and accuracy at the last step). Chance ln 10 nats, accuracy 1/10; test accuracy is reported.
Source: Le, Jaitly & Hinton 2015; LeCun et al. 1998 (the images).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from experiments.tasks._pixels import PixelTask
from experiments.tasks._splits import Sequences, refusal, user_path
from experiments.tasks.base import Array

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FETCH = f"fetch the four IDX files of MNIST ({', '.join(NAMES)}; plain or .gz) into one folder and name it"


@dataclass(frozen=True, kw_only=True)
class SequentialMnist(PixelTask):
    """28x28 digits, one pixel or row a step.

    Attributes:
        path: the folder of the four files.
    """

    path: str | None

    side: ClassVar[int] = 28

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in NAMES:
            _find(self.folder, name)

    @property
    def folder(self) -> Path:
        """Where the four files are."""
        return user_path(self.path, FETCH, "folder")

    @property
    def files(self) -> Mapping[str, Sequence[Path]]:
        return {"path": [_find(self.folder, name) for name in NAMES]}

    def read(self) -> Mapping[str, Sequences]:
        train, test = (_labelled_images(self.folder, *names) for names in (NAMES[:2], NAMES[2:]))
        cut = len(train[0]) - len(train[0]) // 6
        parts = {
            "train": (train[0][:cut], train[1][:cut]),
            "validation": (train[0][cut:], train[1][cut:]),
            "test": test,
        }
        return {split: self.sequences(images / 255, labels) for split, (images, labels) in parts.items()}


def _find(folder: Path, name: str) -> Path:
    """One of the four files, plain or packed."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise refusal(folder / name, f"there is no such file, plain or .gz; {FETCH}")
    return path


def _labelled_images(folder: Path, image_name: str, label_name: str) -> tuple[Array, Array]:
    """Images (N, 784) and labels (N,)."""
    images, labels = _read_idx(folder, image_name, axes=3), _read_idx(folder, label_name, axes=1)
    if images.shape[1:] != (28, 28):
        raise refusal(folder / image_name, f"images of 28x28 are needed, these are {images.shape[1]}x{images.shape[2]}")
    if len(images) != len(labels) or not len(labels):
        raise refusal(folder / label_name, f"{len(labels)} labels for {len(images)} images")
    if labels.max() > 9:
        raise refusal(folder / label_name, f"labels are 0 to 9, there is a {labels.max()}")
    return images.reshape(len(images), -1), labels


def _read_idx(folder: Path, name: str, axes: int) -> Array:
    """An IDX file of bytes: 0, 0, 8, the number of axes, their sizes as big-endian 32-bit integers, the data."""
    path = _find(folder, name)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise refusal(path, f"it cannot be unpacked ({error})") from error
    if data[:4] != bytes([0, 0, 8, axes]) or len(data) < 4 + 4 * axes:
        raise refusal(path, f"it does not begin as an IDX file of bytes with {axes} axes does")
    shape = tuple(np.frombuffer(data, dtype=">u4", count=axes, offset=4).tolist())
    if len(data) != 4 + 4 * axes + int(np.prod(shape)):
        raise refusal(path, f"{len(data)} bytes do not hold the {shape} that its header announces")
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
