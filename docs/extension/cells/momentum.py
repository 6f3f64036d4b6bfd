"""MomentumRNN: the input acts through a velocity, which is carried beside the hidden state.

::

    v = mu v' + W_z x
    h = tanh(U_z h' + v + b_z)

Source: Nguyen et al. 2020, "MomentumRNN: integrating momentum into recurrent neural networks", with mu = 0.6.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lstm_variants import Cell, State
from lstm_variants.cell import Shapes, Tap, Weights, state_type
from lstm_variants.equations import Equation

MU = 0.6


class OwnCell(Cell):
    """State (h, c, v) with c = h."""

    state_fields = ("v",)
    keep = None  # no gate decides what is kept, so that no init sets its bias

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {"candidate": {"x": (hidden_size, input_size), "h": (hidden_size, hidden_size), "b": (hidden_size,)}}

    def project(self, weights: Weights, x: Tensor) -> Mapping[str, Tensor]:
        return {"force": F.linear(x, weights["candidate"]["x"])}

    def step(self, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> State:
        w, (h, _, v) = weights["candidate"], state
        v = MU * v + inputs["force"]
        h = tap("candidate", torch.tanh(F.linear(h, w["h"], w["b"]) + v))
        return state_type(self.state_fields)(h, h, v)

    def equations(self) -> list[Equation]:
        return [
            Equation("v", f"{MU} * v' + W_z x", rf"{MU} v_{{t-1}} + W_z x_t"),
            Equation("z", "tanh(U_z h' + v + b_z)", r"\tanh\left(U_z h_{t-1} + v_t + b_z\right)"),
            Equation("h", "z", "z_t"),
        ]
