"""Dropout between layers and before a read-out: what is drawn for a training step, and what it leaves of an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Dropout:
    """Of the outputs that a layer hands on a share is set to 0, and the others are multiplied by 1 / (1 - share).

    What a layer carries from step to step is left as it is (Zaremba, Sutskever & Vinyals 2014). Every step, sequence
    and unit is drawn for itself.

    Attributes:
        share: of the values that are dropped, 0 <= share < 1.
        generators: one for each model.
    """

    share: float
    generators: Sequence[np.random.Generator]

    def factors(self, y: Tensor, lengths: Tensor | None) -> Tensor:
        """Factors (M, T, B, H) on an output, 0 or 1 / (1 - share); those of the layers are drawn one after the other.

        A model draws for its own longest sequence, so that its factors do not depend on its neighbours' padding.

        Args:
            y: the output (M, T, B, H).
            lengths: (M, B) steps of each sequence; None: all are T long.
        """
        models, steps, batch, width = y.shape
        if len(self.generators) != models:
            raise ValueError(f"dropout: {models} generators are needed, got {len(self.generators)}")
        own_steps = [steps] * models if lengths is None else lengths.max(dim=1).values.tolist()
        kept = np.zeros((models, steps, batch, width), dtype=np.float32)
        for own_kept, generator, own in zip(kept, self.generators, own_steps, strict=True):
            own_kept[:own] = generator.random((own, batch, width), dtype=np.float32) >= self.share
        return torch.from_numpy(kept).to(y) / (1 - self.share)
