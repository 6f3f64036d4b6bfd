"""One seed gives independent, named, counter-based streams of random numbers.

The generator of (seed, stream, step) is numpy's Philox with a key made from seed and stream and a counter made from
the step: any step can be drawn without the ones before, so a resumed run needs no generator state.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, stream: str, step: int = 0) -> np.random.Generator:
    """The generator of one named stream at one step.

    Args:
        seed: the run's seed.
        stream: a name such as ``init``, ``train``, ``evaluation/100``, ``noise`` or ``dropout``.
        step: the training step, counted from 0.
    """
    key = int.from_bytes(hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key, counter=step << 128))
