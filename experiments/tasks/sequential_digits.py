"""Sequential digits: read an 8x8 image pixel by pixel, then name the digit.

>>> print(SequentialDigits(length=8, permuted=False).example())
input 0    0   0   0   0   0   0   0   0
input 1  .12 .31 .31   0   0   0 .19 .12
input 2  .94   1 .81   0 .06 .62   1 .94
input 3    1 .94 .62 .75   1 .94 .62   1
input 4  .38 .88 .88 .75 .44 .12 .50   1
input 5    0   0   0   0   0   0 .38   1
input 6    0   0   0   0   0   0 .06 .44
input 7    0   0   0   0   0   0   0   0
target     .   .   .   .   .   .   .   2

scikit-learn's 1,797 images, values 0..1. ``length=64``: a pixel a step; ``length=8``: a row of 8 pixels a step.
``permuted``: the pixels of every image in one fixed random order. Fixed splits of 1,204 / 297 / 296 images: of each
digit four sixths, one and one.

Denominator: images (loss and accuracy at the last step). Chance ln 10 nats, accuracy 1/10; test accuracy is reported.
Source: Le, Jaitly & Hinton 2015 (on MNIST); Alpaydin & Kaynak 1998 (the images).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.datasets import load_digits

from experiments.tasks._pixels import PixelTask
from experiments.tasks._splits import Sequences, shuffled


@dataclass(frozen=True, kw_only=True)
class SequentialDigits(PixelTask):
    """8x8 digits, one pixel or row a step."""

    side: ClassVar[int] = 8

    def read(self) -> Mapping[str, Sequences]:
        images, labels = load_digits(return_X_y=True)
        order = shuffled(len(images), "sequential_digits")
        images, labels = images[order] / 16, labels[order]
        rank = (np.eye(10)[labels].cumsum(axis=0)[np.arange(len(labels)), labels] - 1) % 6  # among its own digit
        parts = {"train": rank < 4, "validation": rank == 4, "test": rank == 5}
        return {split: self.sequences(images[part], labels[part]) for split, part in parts.items()}
