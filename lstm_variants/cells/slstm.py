"""sLSTM, the scalar-memory cell of xLSTM (Beck et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lstm_variants.cell import Cell, Shapes, State, Tap, Weights, state_type
from lstm_variants.equations import Equation


class OwnCell(Cell):
    """An exponential input gate, with a normaliser n and a stabiliser m.

    ::

        i~ = exp(W_i x + U_i h' + b_i)          f~ = sigmoid(W_f x + U_f h' + b_f), or exp
        m  = max(log f~ + m', log i~)           i  = i~ / e^m,  f = f~ e^m' / e^m
        c  = f * c' + i * z                     n  = f * n' + i
        h  = o * c / n

    The state is (h, c, n, m) with n = 0 and m = -inf before the first step; a state given as the pair (h, c) has n = 0
    and m = 0. Trace and clamp see i and f, the values that multiply z and c'; i~ and f~ may be too large for a number.
    The output does not depend on m, a common scale of c and n, so m is left out of the gradient, which stays exact.

    Not in the gate algebra: n and m are computed beside c and are carried.
    """

    reads = {  # noqa: RUF012
        "input.activation": ("exp",),
        "forget.activation": ("sigmoid", "exp"),
    }
    feeds = ("input", "forget", "candidate", "output")

    @property
    def state_fields(self) -> tuple[str, ...]:
        return "n", "m"

    def initial_state(self, zeros: Tensor) -> State:
        return state_type(self.state_fields)(zeros, zeros, zeros, torch.full_like(zeros, -torch.inf))  # type: ignore[call-arg]

    def completed_state(self, h: Tensor, c: Tensor) -> State:
        m = torch.where(c == 0, -torch.inf, 0.0).to(c)  # at -inf a cell counts for nothing
        return state_type(self.state_fields)(h, c, torch.zeros_like(c), m)  # type: ignore[call-arg]

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        every = {"x": (hidden_size, input_size), "h": (hidden_size, hidden_size), "b": (hidden_size,)}
        return {slot: dict(every) for slot in self.feeds}

    def project(self, weights: Weights, x: Tensor) -> Mapping[str, Tensor]:
        return {slot: F.linear(x, weights[slot]["x"], weights[slot]["b"]) for slot in self.feeds}

    def step(self, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> State:
        _, _, n, m_before = tuple(state)
        a = {slot: inputs[slot] + F.linear(state.h, weights[slot]["h"]) for slot in self.feeds}
        log_i = a["input"]
        log_f = F.logsigmoid(a["forget"]) if self.spec.forget.activation == "sigmoid" else a["forget"]
        m = torch.maximum(log_f + m_before, log_i).detach()
        i = tap("input", torch.exp(log_i - m))
        f = tap("forget", torch.exp(log_f + m_before - m))
        z = tap("candidate", torch.tanh(a["candidate"]))
        c, n = f * state.c + i * z, f * n + i
        o = tap("output", torch.sigmoid(a["output"]))
        return state_type(self.state_fields)(o * c / n, c, n, m)  # type: ignore[call-arg]

    def equations(self) -> list[Equation]:
        phi, tex = {"sigmoid": ("sigmoid", r"\sigma"), "exp": ("exp", r"\exp")}[self.spec.forget.activation]
        return [
            _squashed("i~", "i", "exp", r"\exp"),
            _squashed("f~", "f", phi, tex),
            Equation("m", "max(log(f~) + m', log(i~))", r"\max\left(\log \tilde f_t + m_{t-1}, \log \tilde i_t\right)"),
            Equation("i", "exp(log(i~) - m)", r"\exp\left(\log \tilde i_t - m_t\right)"),
            Equation("f", "exp(log(f~) + m' - m)", r"\exp\left(\log \tilde f_t + m_{t-1} - m_t\right)"),
            _squashed("z", "z", "tanh", r"\tanh"),
            Equation("c", "f * c' + i * z", r"f_t \odot c_{t-1} + i_t \odot z_t"),
            Equation("n", "f * n' + i", r"f_t \odot n_{t-1} + i_t"),
            _squashed("o", "o", "sigmoid", r"\sigma"),
            Equation("h", "o * c / n", r"o_t \odot c_t / n_t"),
        ]


def _squashed(symbol: str, k: str, text: str, latex: str) -> Equation:
    return Equation(
        symbol,
        f"{text}(W_{k} x + U_{k} h' + b_{k})",
        rf"{latex}\left(W_{k} x_t + U_{k} h_{{t-1}} + b_{k}\right)",
    )
