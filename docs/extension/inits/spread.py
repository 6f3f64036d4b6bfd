"""Forget biases evenly spread over the units, from 0 to `init.value`: some forget fast, some slowly."""

import numpy as np

from lstm_variants.parameters import Floats, Init, Rule


def bias(init: Init, rows: int, hidden_size: int, generator: np.random.Generator) -> Floats:
    return np.linspace(0, init.value, rows)


RULE = Rule(bias, reads=("value",))
