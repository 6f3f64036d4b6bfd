"""Continual Reber whose batches take their time while a file `hold` lies in this extension folder.

So a test decides how long a run goes on training, and no machine is too fast or too slow for what it does meanwhile.
"""

import time
from pathlib import Path

import numpy as np

from experiments.tasks.base import Batch
from experiments.tasks.continual_reber import ContinualReber

HOLD = Path(__file__).parents[1] / "hold"


class HeldReber(ContinualReber):
    def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
        if HOLD.exists():
            time.sleep(0.5)
        return super().sample(generator, batch_size, length)
