"""A gate that approaches 0 and 1 as 1/a, more slowly than the sigmoid."""

import numpy as np
import torch

from lstm_variants.activations import Activation

ACTIVATION = Activation(
    phi=lambda a: 0.5 + torch.atan(a) / torch.pi,
    start=lambda b: np.tan(np.pi * np.tanh(b / 2) / 2),  # where phi has the value that the sigmoid has at b
    text="1/2 + atan(a) / pi",
    latex=r"\operatorname{arctan}",
)
