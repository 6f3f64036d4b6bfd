"""First symbol: say at the end which of two symbols came first.

Source: an example.
"""

from dataclasses import dataclass

import numpy as np

from experiments.tasks.base import Batch, Task


@dataclass(frozen=True, kw_only=True)
class FirstSymbol(Task):
    """Say at the end which symbol came first."""

    metric = "accuracy"
    direction = "max"
    unit = "share"
    input_size = 2
    output_size = 2
    chance_loss = float(np.log(2))
    chance = 0.5
    solved = 0.99

    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        inputs = generator.integers(0, 2, (length, batch_size))
        mask = np.zeros(inputs.shape, dtype=bool)
        mask[-1] = True
        return Batch(inputs, np.where(mask, inputs[0], 0), mask)
