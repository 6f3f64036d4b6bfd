"""Adam, AdamW, RMSprop and SGD for a stack: one learning rate, decay and clip per model, elementwise, so that no
model's numbers depend on its neighbours. Each equals its torch.optim namesake on one model."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.config.schema import Train
from lstm_variants.engines import native_training

BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8  # Kingma & Ba 2015, torch's defaults
ALPHA, RMSPROP_EPS = 0.99, 1e-8  # torch's defaults


class Optimiser:
    """Updates parameters with a leading model axis.

    Args:
        parameters: tensors (M, ...).
        settings: M training settings that differ in numbers only.
        native: whether the native library does it, in one pass over float32 parameters.
    """

    def __init__(self, parameters: Sequence[Tensor], settings: Sequence[Train], native: bool = False) -> None:
        self.parameters = list(parameters)
        first = settings[0]
        self.schedule, self.steps, self.warmup = first.schedule, first.steps, first.warmup
        self.decoupled = first.optimizer == "adamw"  # the decay is taken from the weights, not added to the gradient
        self.kind = "adam" if self.decoupled else first.optimizer
        self.done = 0
        self.lr = self._vector([s.lr for s in settings])
        decay = self._vector([s.weight_decay for s in settings])
        self.shrink, self.decay = (
            (decay, torch.zeros_like(decay)) if self.decoupled else (torch.zeros_like(decay), decay)
        )
        self.momentum = self._vector([s.momentum for s in settings])
        self.clip = self._vector([float("inf") if s.clip is None else s.clip for s in settings])
        slots = {"adam": 2, "rmsprop": 1, "sgd": 1}[self.kind]
        self.moments = [[torch.zeros_like(p) for p in self.parameters] for _ in range(slots)]
        self._native = self._in_one_pass() if native else None

    def _vector(self, values: Sequence[float]) -> Tensor:
        like = self.parameters[0]
        return torch.tensor(values, dtype=like.dtype, device=like.device)

    def _in_one_pass(self) -> native_training.Optimiser:
        kept, eps = {"adam": ((BETA1, BETA2), ADAM_EPS), "rmsprop": ((ALPHA,), RMSPROP_EPS), "sgd": ((), 0.0)}[
            self.kind
        ]
        return native_training.Optimiser(
            self.kind, self.parameters, self.moments, self.decay, self.momentum, self.clip, kept, eps
        )

    def subset(self, parameters: Sequence[Tensor], models: Sequence[int]) -> Optimiser:
        """The optimiser of some models, given their parameters."""
        subset = copy.copy(self)
        subset.parameters = list(parameters)
        for name in ("lr", "shrink", "decay", "momentum", "clip"):
            setattr(subset, name, getattr(self, name)[list(models)])
        subset.moments = [[moment[list(models)] for moment in slot] for slot in self.moments]
        subset._native = subset._in_one_pass() if self._native else None
        return subset

    def _per_parameter(self, vector: Tensor) -> list[Tensor]:
        """A value per model, shaped to multiply each parameter."""
        return [vector.view(-1, *[1] * (p.dim() - 1)) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> Tensor:
        """Clip each model's gradient by its global norm, then update; returns the norms (M,) before clipping."""
        lr = self.lr * schedule_factor(self.schedule, self.done, self.steps, self.warmup)
        self.done += 1
        if self.decoupled:
            torch._foreach_mul_(self.parameters, self._per_parameter(1 - lr * self.shrink))
        if self._native:
            return self._native.step(gradients, lr, self.done)
        norms = gradient_norms(gradients)
        scale = torch.clamp(self.clip / (norms + 1e-6), max=1.0)
        clipped = torch._foreach_mul(list(gradients), self._per_parameter(scale))
        if bool(self.decay.any()):
            torch._foreach_add_(clipped, torch._foreach_mul(self.parameters, self._per_parameter(self.decay)))
        getattr(self, f"_{self.kind}")(clipped, lr)
        return norms

    def _adam(self, gradients: list[Tensor], lr: Tensor) -> None:
        mean, square = self.moments
        torch._foreach_mul_(mean, BETA1)
        torch._foreach_add_(mean, gradients, alpha=1 - BETA1)
        torch._foreach_mul_(square, BETA2)
        torch._foreach_add_(square, torch._foreach_mul(gradients, gradients), alpha=1 - BETA2)
        denominator = torch._foreach_sqrt(square)
        torch._foreach_div_(denominator, (1 - BETA2**self.done) ** 0.5)
        torch._foreach_add_(denominator, ADAM_EPS)
        self._subtract(torch._foreach_div(mean, denominator), lr / (1 - BETA1**self.done))

    def _rmsprop(self, gradients: list[Tensor], lr: Tensor) -> None:
        (square,) = self.moments
        torch._foreach_mul_(square, ALPHA)
        torch._foreach_add_(square, torch._foreach_mul(gradients, gradients), alpha=1 - ALPHA)
        denominator = torch._foreach_sqrt(square)
        torch._foreach_add_(denominator, RMSPROP_EPS)
        self._subtract(torch._foreach_div(gradients, denominator), lr)

    def _sgd(self, gradients: list[Tensor], lr: Tensor) -> None:
        (velocity,) = self.moments
        torch._foreach_mul_(velocity, self._per_parameter(self.momentum))
        torch._foreach_add_(velocity, gradients)
        self._subtract(velocity, lr)

    def _subtract(self, direction: Sequence[Tensor], lr: Tensor) -> None:
        torch._foreach_sub_(self.parameters, torch._foreach_mul(list(direction), self._per_parameter(lr)))


def gradient_norms(gradients: Sequence[Tensor]) -> Tensor:
    """The global norm of each model's gradient, (M,); a batched product keeps each model's bits its own."""
    models = gradients[0].shape[0]
    rows = [g.reshape(models, 1, -1) for g in gradients]
    squares = [torch.bmm(row, row.mT).view(models) for row in rows]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    return total.sqrt()


def schedule_factor(schedule: str, step: int, steps: int, warmup: int = 0) -> float:
    """The factor on the learning rate at update ``step`` of ``steps``: rising to 1 over the first ``warmup``, from then
    on 1, or falling to 0 linearly or as a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / (steps - warmup)
    if schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done))
