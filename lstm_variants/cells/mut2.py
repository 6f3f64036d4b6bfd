"""MUT2 of Jozefowicz, Zaremba & Sutskever 2015."""

from __future__ import annotations

from torch import Tensor

from lstm_variants.cells._mut import EMBEDDING, KEEP, MIX, MutCell, Parts, affine
from lstm_variants.equations import Equation


class OwnCell(MutCell):
    """x~ enters the reset gate without weights.

    ::

        i = sigmoid(W_i x~ + U_i h' + b_i)
        r = sigmoid(x~ + U_r h' + b_r)
        z = tanh(U_z (r * h') + W_z x~ + b_z)
        h = i * z + (1 - i) * h'

    Not in the gate algebra: no feed adds x~ as it is, and a learned projection in its place would make this the GRU
    with the reset before.
    """

    parts = {"input": "xhb", "candidate": "xhb", "reset": "hb"}  # noqa: RUF012

    def reset(self, w: Parts, x: Tensor, h: Tensor) -> Tensor:
        return affine(w, x, h) + x

    def equations(self) -> list[Equation]:
        return [
            EMBEDDING,
            Equation("i", "sigmoid(W_i x~ + U_i h' + b_i)", r"\sigma\left(W_i \tilde x_t + U_i h_{t-1} + b_i\right)"),
            KEEP,
            Equation("r", "sigmoid(x~ + U_r h' + b_r)", r"\sigma\left(\tilde x_t + U_r h_{t-1} + b_r\right)"),
            Equation(
                "z",
                "tanh(U_z (r * h') + W_z x~ + b_z)",
                r"\tanh\left(U_z (r_t \odot h_{t-1}) + W_z \tilde x_t + b_z\right)",
            ),
            *MIX,
        ]
