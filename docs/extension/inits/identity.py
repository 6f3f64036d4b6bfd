"""Recurrent matrices start as the identity (Le et al. 2015)."""

import numpy as np

from lstm_variants.parameters import Floats


def RECURRENT(size: int, generator: np.random.Generator) -> Floats:  # noqa: N802
    return np.eye(size)
