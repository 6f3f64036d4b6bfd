"""MUT3 of Jozefowicz, Zaremba & Sutskever 2015."""

from __future__ import annotations

import torch
from torch import Tensor

from lstm_variants.cells._mut import KEEP, MIX, MutCell, Parts, affine
from lstm_variants.equations import Equation


class OwnCell(MutCell):
    """The update gate sees tanh(h').

    ::

        i = sigmoid(W_i x + U_i tanh(h') + b_i)
        r = sigmoid(W_r x + U_r h' + b_r)
        z = tanh(U_z (r * h') + W_z x + b_z)
        h = i * z + (1 - i) * h'

    Not in the gate algebra: no feed squashes h before the product.
    """

    parts = {"input": "xhb", "candidate": "xhb", "reset": "xhb"}  # noqa: RUF012
    embedded = False

    def update(self, w: Parts, x: Tensor, h: Tensor) -> Tensor:
        return affine(w, x, torch.tanh(h))

    def equations(self) -> list[Equation]:
        return [
            Equation(
                "i",
                "sigmoid(W_i x + U_i tanh(h') + b_i)",
                r"\sigma\left(W_i x_t + U_i \tanh\left(h_{t-1}\right) + b_i\right)",
            ),
            KEEP,
            Equation("r", "sigmoid(W_r x + U_r h' + b_r)", r"\sigma\left(W_r x_t + U_r h_{t-1} + b_r\right)"),
            Equation(
                "z",
                "tanh(U_z (r * h') + W_z x + b_z)",
                r"\tanh\left(U_z (r_t \odot h_{t-1}) + W_z x_t + b_z\right)",
            ),
            *MIX,
        ]
