"""The chaos-free network, a cell outside the gate algebra: its gates multiply tanh(h'), not a cell of its own.

::

    f = sigmoid(W_f x + U_f h' + b_f)
    i = sigmoid(W_i x + U_i h' + b_i)
    h = f * tanh(h') + i * tanh(W_z x)

Source: Laurent & von Brecht 2017, "A recurrent neural network without chaos".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lstm_variants import Cell, State
from lstm_variants.cell import Shapes, Tap, Weights
from lstm_variants.equations import Equation


class OwnCell(Cell):
    """State (h, c) with c = h."""

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        gate = {"x": (hidden_size, input_size), "h": (hidden_size, hidden_size), "b": (hidden_size,)}
        return {"input": dict(gate), "forget": dict(gate), "candidate": {"x": (hidden_size, input_size)}}

    def step(self, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> State:
        def gate(slot: str) -> Tensor:
            w = weights[slot]
            return tap(slot, torch.sigmoid(F.linear(inputs["x"], w["x"], w["b"]) + F.linear(state.h, w["h"])))

        i, f = gate("input"), gate("forget")
        z = tap("candidate", torch.tanh(F.linear(inputs["x"], weights["candidate"]["x"])))
        h = f * torch.tanh(state.h) + i * z
        return State(h, h)

    def equations(self) -> list[Equation]:
        return [
            Equation("i", "sigmoid(W_i x + U_i h' + b_i)", r"\sigma(W_i x_t + U_i h_{t-1} + b_i)"),
            Equation("f", "sigmoid(W_f x + U_f h' + b_f)", r"\sigma(W_f x_t + U_f h_{t-1} + b_f)"),
            Equation("z", "tanh(W_z x)", r"\tanh(W_z x_t)"),
            Equation("h", "f * tanh(h') + i * z", r"f_t \odot \tanh(h_{t-1}) + i_t \odot z_t"),
        ]
