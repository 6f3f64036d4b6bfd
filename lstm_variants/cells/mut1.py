"""MUT1 of Jozefowicz, Zaremba & Sutskever 2015."""

from __future__ import annotations

import torch
from torch import Tensor

from lstm_variants.cells._mut import EMBEDDING, KEEP, MIX, MutCell, Parts, affine
from lstm_variants.equations import Equation


class OwnCell(MutCell):
    """The update gate does not see h, and tanh(x~) enters the candidate without weights.

    ::

        i = sigmoid(W_i x~ + b_i)
        r = sigmoid(W_r x~ + U_r h' + b_r)
        z = tanh(U_z (r * h') + tanh(x~) + b_z)
        h = i * z + (1 - i) * h'

    Not in the gate algebra: no feed adds tanh(x~) as it is.
    """

    parts = {"input": "xb", "candidate": "hb", "reset": "xhb"}  # noqa: RUF012

    def candidate(self, w: Parts, x: Tensor, h: Tensor) -> Tensor:
        return affine(w, x, h) + torch.tanh(x)

    def equations(self) -> list[Equation]:
        return [
            EMBEDDING,
            Equation("i", "sigmoid(W_i x~ + b_i)", r"\sigma\left(W_i \tilde x_t + b_i\right)"),
            KEEP,
            Equation("r", "sigmoid(W_r x~ + U_r h' + b_r)", r"\sigma\left(W_r \tilde x_t + U_r h_{t-1} + b_r\right)"),
            Equation(
                "z",
                "tanh(U_z (r * h') + tanh(x~) + b_z)",
                r"\tanh\left(U_z (r_t \odot h_{t-1}) + \tanh\left(\tilde x_t\right) + b_z\right)",
            ),
            *MIX,
        ]
