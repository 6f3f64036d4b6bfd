"""What the three MUT cells of Jozefowicz et al. 2015 share.

They are cells of their own because the gate algebra feeds a gate through matrices only, while each of them has one
term that no matrix multiplies: tanh(x~) in MUT1's candidate, x~ in MUT2's reset gate, tanh(h') in MUT3's update gate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lstm_variants.cell import Cell, Shapes, State, Tap, Weights
from lstm_variants.equations import Equation

Parts = Mapping[str, Tensor]

EMBEDDING = Equation("x~", "E x", r"E x_t", "x~ = x, without E, when I = H")
MIX = [
    Equation("c", "f * c' + i * z", r"f_t \odot c_{t-1} + i_t \odot z_t"),
    Equation("o", "1", "1"),
    Equation("h", "o * c", r"o_t \odot c_t"),
]
KEEP = Equation("f", "1 - i", "1 - i_t")


class MutCell(Cell):
    """h = c = f * c' + i * z with f = 1 - i: the paper's u is the input gate, its candidate n is z.

    A subclass lists the ``parts`` of its gates and overrides the pre-activation that has the unusual term.
    """

    parts: Mapping[str, str]
    embedded = True  # the paper needs an x that is H wide: x~ = E x, or x~ = x where I = H

    @property
    def keep(self) -> tuple[str, float]:
        return "input", -1.0

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        width = hidden_size if self.embedded else input_size
        every = {"x": (hidden_size, width), "h": (hidden_size, hidden_size), "b": (hidden_size,)}
        shapes: Shapes = {slot: {part: every[part] for part in parts} for slot, parts in self.parts.items()}
        if self.embedded and input_size != hidden_size:
            shapes["embedding"] = {"x": (hidden_size, input_size)}
        return shapes

    def project(self, weights: Weights, x: Tensor) -> Mapping[str, Tensor]:
        return {"x": F.linear(x, weights["embedding"]["x"]) if "embedding" in weights else x}

    def step(self, weights: Weights, inputs: Mapping[str, Tensor], state: State, tap: Tap) -> State:
        x, h = inputs["x"], state.h
        i = tap("input", torch.sigmoid(self.update(weights["input"], x, h)))
        f = tap("forget", 1 - i)
        r = tap("reset", torch.sigmoid(self.reset(weights["reset"], x, h)))
        z = tap("candidate", torch.tanh(self.candidate(weights["candidate"], x, r * h)))
        c = f * state.c + i * z
        o = tap("output", c.new_ones(()))
        return State(o * c, c)

    def update(self, w: Parts, x: Tensor, h: Tensor) -> Tensor:
        """The pre-activation of the update gate."""
        return affine(w, x, h)

    def reset(self, w: Parts, x: Tensor, h: Tensor) -> Tensor:
        """The pre-activation of the reset gate."""
        return affine(w, x, h)

    def candidate(self, w: Parts, x: Tensor, h: Tensor) -> Tensor:
        """The pre-activation of the candidate; h is already reset."""
        return affine(w, x, h)


def affine(w: Parts, x: Tensor, h: Tensor) -> Tensor:
    """W x + U h + b, of which only the parts that the gate has."""
    a = w["b"]
    if "x" in w:
        a = a + F.linear(x, w["x"])
    if "h" in w:
        a = a + F.linear(h, w["h"])
    return a
