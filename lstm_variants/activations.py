"""The squashings a gate or a candidate may have, each with its text, its LaTeX and its inverse.

The inverse answers "which bias makes this gate start at value v?", so that squashings can be compared from one
starting value. Sources: hard_sigmoid Courbariaux et al. 2015, elliott Elliott 1993, binary Bengio et al. 2013,
gumbel Li et al. 2018 (ICML).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    """[a > 0] forward, the slope of the sigmoid backward."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, a: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(a)
        return (a > 0).to(a.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (a,) = ctx.saved_tensors  # type: ignore[attr-defined]
        s = torch.sigmoid(a)
        return gradient * s * (1 - s)


def _logit(v: float) -> float:
    return math.log(v) - math.log1p(-v)


def _elliott_inverse(v: float) -> float:
    return (2 * v - 1) / (1 - abs(2 * v - 1))


@dataclass(frozen=True)
class Activation:
    """A squashing phi.

    Attributes:
        phi: the function, element-wise on a tensor.
        inverse: the pre-activation a with phi(a) = v, for a starting value v in (0, 1).
        text: phi as a formula of the pre-activation ``a``.
        latex: the name of phi in LaTeX.
    """

    phi: Callable[[Tensor], Tensor]
    inverse: Callable[[float], float]
    text: str
    latex: str


def _operator(name: str) -> str:
    return rf"\operatorname{{{name}}}"


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(torch.sigmoid, _logit, "1 / (1 + exp(-a))", r"\sigma"),
    "tanh": Activation(torch.tanh, math.atanh, "tanh(a)", r"\tanh"),
    "identity": Activation(lambda a: a, lambda v: v, "a", ""),
    "relu": Activation(torch.relu, lambda v: v, "max(a, 0)", _operator("relu")),
    "hard_sigmoid": Activation(
        lambda a: torch.clamp(a / 6 + 0.5, 0, 1), lambda v: 6 * (v - 0.5), "clip(a/6 + 1/2, 0, 1)", _operator("hs")
    ),
    "clipped_linear": Activation(
        lambda a: torch.clamp(a / 4 + 0.5, 0, 1), lambda v: 4 * (v - 0.5), "clip(a/4 + 1/2, 0, 1)", _operator("clip")
    ),
    "elliott": Activation(
        lambda a: 0.5 + a / (2 * (1 + a.abs())), _elliott_inverse, "1/2 + a / (2 (1 + |a|))", _operator("elliott")
    ),
    "double_sigmoid": Activation(
        lambda a: 2 * torch.sigmoid(a), lambda v: _logit(v / 2), "2 / (1 + exp(-a))", r"2\sigma"
    ),
    "exp": Activation(torch.exp, math.log, "exp(a)", r"\exp"),
    "binary": Activation(_StraightThrough.apply, _logit, "[a > 0], sigmoid's slope backward", _operator("step")),
    "gumbel": Activation(
        torch.sigmoid, _logit, "1 / (1 + exp(-(a + logistic noise)))", _operator("gumbel")
    ),
}
