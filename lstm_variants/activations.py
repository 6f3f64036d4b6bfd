"""The one table of squashings that a gate or a candidate may have: all that equations, inits and engines know of each.

``start(b)`` is the pre-activation at which a squashing has the value that the sigmoid has at b, so that squashings are
compared by their shape and not by their starting value. Sources: hard_sigmoid Courbariaux et al. 2015, elliott Elliott
1993, binary Bengio et al. 2013, gumbel Li et al. 2018 (ICML).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    """[a > 0] forward, the slope of the sigmoid backward."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        return (a > 0).to(a.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (a,) = ctx.saved_tensors
        s = torch.sigmoid(a)
        return gradient * s * (1 - s)


Floats = NDArray[np.float64]


def _sigmoid(b: Floats) -> Floats:
    return (1 + np.tanh(b / 2)) / 2


@dataclass(frozen=True)
class Activation:
    """A squashing phi.

    Attributes:
        phi: the function, element-wise on a tensor.
        start: b -> the pre-activation a with phi(a) = sigmoid(b).
        text: phi as a formula of the pre-activation ``a``.
        latex: the name of phi in LaTeX.
        native: its name in native_vectors.h; empty: the native engine lacks it and leaves such cells to the reference.
    """

    phi: Callable[[Tensor], Tensor]
    start: Callable[[Floats], Floats]
    text: str
    latex: str
    native: str = ""


def _same(b: Floats) -> Floats:
    return b


def _operator(name: str) -> str:
    return rf"\operatorname{{{name}}}"


# Entries of a user's own join it, see extensions/registration.py.
ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(torch.sigmoid, _same, "1 / (1 + exp(-a))", r"\sigma", "SIGMOID"),
    "tanh": Activation(torch.tanh, lambda b: np.arctanh(_sigmoid(b)), "tanh(a)", r"\tanh", "TANH"),
    "identity": Activation(lambda a: a, _sigmoid, "a", "", "IDENTITY"),
    "relu": Activation(torch.relu, _sigmoid, "max(a, 0)", _operator("relu"), "RELU"),
    "hard_sigmoid": Activation(
        lambda a: torch.clamp(a / 6 + 0.5, 0, 1),
        lambda b: 3 * np.tanh(b / 2),
        "clip(a/6 + 1/2, 0, 1)",
        _operator("hard\\_sigmoid"),
        "HARD_SIGMOID",
    ),
    "clipped_linear": Activation(
        lambda a: torch.clamp(a / 4 + 0.5, 0, 1),
        lambda b: 2 * np.tanh(b / 2),
        "clip(a/4 + 1/2, 0, 1)",
        _operator("clip"),
        "CLIPPED_LINEAR",
    ),
    "elliott": Activation(
        lambda a: 0.5 + a / (2 * (1 + a.abs())),
        lambda b: np.tanh(b / 2) / (1 - np.abs(np.tanh(b / 2))),
        "1/2 + a / (2 (1 + |a|))",
        _operator("elliott"),
        "ELLIOTT",
    ),
    "double_sigmoid": Activation(
        lambda a: 2 * torch.sigmoid(a),
        lambda b: -np.log1p(2 * np.exp(-b)),
        "2 / (1 + exp(-a))",
        r"2\sigma",
        "DOUBLE_SIGMOID",
    ),
    "exp": Activation(torch.exp, lambda b: -np.log1p(np.exp(-b)), "exp(a)", r"\exp", "EXP"),
    "binary": Activation(
        _StraightThrough.apply, _same, "[a > 0], sigmoid's slope backward", _operator("binary"), "BINARY"
    ),
    "gumbel": Activation(
        torch.sigmoid, _same, "1 / (1 + exp(-(a + logistic noise)))", _operator("gumbel"), "SIGMOID"
    ),  # without noise
}


def check_activation(activation: object) -> Activation:
    """A squashing of the user's own, tried on a few values.

    Raises:
        ValueError: saying what is wrong.
    """
    if not isinstance(activation, Activation):
        raise ValueError("Activation(phi, start, text, latex) is needed")
    if activation.native:
        raise ValueError(f"native={activation.native}: only our own squashings are in the native engine; leave it out")
    b = np.array([-1.0, 0.0, 1.0])
    with torch.enable_grad():
        a = torch.tensor(activation.start(b), requires_grad=True)
        value = activation.phi(a)
    if value.shape != a.shape or not value.requires_grad:
        raise ValueError("phi: an element-wise function of a tensor, with a gradient, is needed")
    hard = set(value.tolist()) <= {0.0, 1.0}  # as binary
    if not hard and not np.allclose(value.detach().numpy(), _sigmoid(b), atol=1e-4):
        raise ValueError(f"start: phi(start(b)) = sigmoid(b) is needed; at b = -1, 0, 1 it is {value.tolist()}")
    return activation
