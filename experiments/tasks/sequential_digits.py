"""Sequential digits: read an 8x8 image pixel by pixel, then name the digit.

>>> print(SequentialDigits(length=8, permuted=False).example())
input 0    0   0   0   0   0   0   0   0
input 1    0   0   0   0   0   0   0   0
input 2    0   0 .38 .50 .81 .69 .44 .06
input 3  .50 .88 .75 .81   1 .50 .69 .69
input 4  .81 .38   0 .50 .81 .12 .31 .75
input 5    0   0   0 .12 .88 .19 .75 .25
input 6    0   0   0   0 .25 .81 .69   0
input 7    0   0   0   0   0   0   0   0
target     .   .   .   .   .   .   .   6

scikit-learn's 1,797 images, values 0..1. ``length=64``: a pixel a step; ``length=8``: a row of 8 pixels a step.
``permuted``: the pixels of every image in one fixed random order. Fixed splits of 1,197 / 300 / 300 images.

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
from experiments.tasks._splits import SPLITS, Sequences, shuffled

HELD_OUT = 300  # images of each, validation and test


@dataclass(frozen=True, kw_only=True)
class SequentialDigits(PixelTask):
    """8x8 digits, one pixel or row a step."""

    side: ClassVar[int] = 8

    def read(self) -> Mapping[str, Sequences]:
        images, labels = load_digits(return_X_y=True)
        order = shuffled(len(images), "sequential_digits")
        parts = np.split(order, [len(order) - 2 * HELD_OUT, len(order) - HELD_OUT])
        return {
            split: self.sequences(images[part] / 16, labels[part]) for split, part in zip(SPLITS, parts, strict=True)
        }
