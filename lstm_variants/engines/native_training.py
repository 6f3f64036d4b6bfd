"""What a training step does around the layers, in the native library: read-out and loss with their gradients by hand,
and the optimiser's update. float32 on the CPU; ``native_training.h`` has the arithmetic."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lstm_variants.engines.native_library import library

# The orders of native_training.h.
LOSSES = ("cross_entropy", "mse", "bce", "sigmoid_mse")
METHODS = ("adam", "rmsprop", "sgd")

_Pointer = ctypes.c_void_p


class _Readout(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("models", "hidden", "outputs", "model_rows", "loss", "threads")),
        *((name, _Pointer) for name in ("y", "weight", "bias", "rows", "first", "classes", "targets")),
        *((name, _Pointer) for name in ("losses", "dy", "dweight", "dbias", "values")),
        ("wrong", ctypes.c_int64),
    ]


class _Parameter(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_int64),
        ("value", _Pointer),
        ("gradient", _Pointer),
        ("moment", _Pointer * 2),
    ]


class _Update(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("models", "parameters", "method", "threads")),
        ("parameter", ctypes.POINTER(_Parameter)),
        *((name, _Pointer) for name in ("lr", "decay", "momentum", "clip", "norms")),
        ("mean_scale", ctypes.c_float),
        ("square_scale", ctypes.c_float),
        ("kept", ctypes.c_float * 2),
        ("added", ctypes.c_float * 2),
        ("eps", ctypes.c_float),
    ]


class ReadoutGradients(NamedTuple):
    """Each model's mean loss (M,), and the gradients of their sum by hidden states, read-out weight and bias."""

    losses: Tensor
    hidden: Tensor
    weight: Tensor
    bias: Tensor


def readout(
    hidden: Tensor, weight: Tensor, bias: Tensor, loss: str, rows: Tensor, first: Tensor, targets: Tensor
) -> ReadoutGradients:
    """Loss and gradients of the outputs W h + b at the steps that count.

    Args:
        hidden: (M, T, B, H).
        weight: (M, O, H).
        bias: (M, O).
        loss: ``cross_entropy``, ``mse`` (mean over the outputs), ``bce`` (with logits, summed over the outputs) or
            ``sigmoid_mse`` (of the outputs' sigmoids, mean over the outputs).
        rows: (N,) places t * B + b, model m's from first[m] to first[m + 1].
        first: (M + 1,).
        targets: (N,) int64 for cross entropy, else (N, O) float32.

    Raises:
        IndexError: for a target that is no output.
    """
    models, steps, batch, size = hidden.shape
    outputs = weight.shape[1]
    given = [t.contiguous() for t in (hidden, weight, bias, rows, first, targets)]
    found = ReadoutGradients(
        torch.empty(models), torch.empty_like(given[0]), torch.empty_like(given[1]), torch.empty_like(given[2])
    )
    pointers = [tensor.data_ptr() for tensor in given]
    call = _Readout(models, size, outputs, steps * batch, LOSSES.index(loss), torch.get_num_threads(), *pointers[:5])
    if loss == "cross_entropy":
        call.classes = pointers[5]
    else:
        call.targets = pointers[5]
    call.losses, call.dy, call.dweight, call.dbias = (tensor.data_ptr() for tensor in found)
    library().readout(ctypes.byref(call))
    if call.wrong >= 0:
        raise IndexError(f"target {int(targets[call.wrong])} is none of the {outputs} outputs")
    return found


def outputs(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W h + b at every step, (M, T, B, O); shapes as in :func:`readout`."""
    models, steps, batch, size = hidden.shape
    given = [t.contiguous() for t in (hidden, weight, bias)]
    values = torch.empty(models, steps, batch, weight.shape[1])
    pointers = [tensor.data_ptr() for tensor in given]
    call = _Readout(models, size, weight.shape[1], steps * batch, 0, torch.get_num_threads(), *pointers)
    call.values = values.data_ptr()
    library().readout(ctypes.byref(call))
    return values


class Optimiser:
    """Updates the parameters of a stack in one pass: clip by each model's global norm, decay, one of the methods.

    Args:
        method: ``adam``, ``rmsprop`` or ``sgd``.
        parameters: contiguous tensors (M, ...), changed in place.
        moments: what the method remembers, one or two tensors for each parameter, changed in place.
        decay, momentum, clip: (M,).
        kept: how much of each moment is kept from step to step.
        eps: added to the root of the mean square.
    """

    def __init__(
        self,
        method: str,
        parameters: Sequence[Tensor],
        moments: Sequence[Sequence[Tensor]],
        decay: Tensor,
        momentum: Tensor,
        clip: Tensor,
        kept: Sequence[float],
        eps: float,
    ) -> None:
        models = parameters[0].shape[0]
        self._held = (parameters, moments, decay, momentum, clip)  # the library has their addresses only
        self._parameters = (_Parameter * len(parameters))()
        self._addresses = [0] * len(parameters)  # of the gradients, as the library has them
        for n, value in enumerate(parameters):
            own = [slot[n].data_ptr() for slot in moments]
            self._parameters[n] = _Parameter(value[0].numel(), value.data_ptr(), None, (_Pointer * 2)(*own))
        self._call = _Update(models, len(parameters), METHODS.index(method), 1, self._parameters)
        self._call.decay, self._call.momentum, self._call.clip = (t.data_ptr() for t in (decay, momentum, clip))
        self._kept, self._call.eps = (*kept, *[0.0] * (2 - len(kept))), eps
        self._call.kept[:], self._call.added[:] = self._kept, [1 - share for share in self._kept]

    def step(self, gradients: Sequence[Tensor], lr: Tensor, done: int) -> Tensor:
        """Update number ``done``, counted from 1; returns each model's gradient norm (M,) before clipping."""
        norms = torch.empty_like(lr)
        held = [gradient.contiguous() for gradient in gradients]
        addresses = [gradient.data_ptr() for gradient in held]
        for n, (address, known) in enumerate(zip(addresses, self._addresses, strict=True)):
            if address != known:
                self._parameters[n].gradient = address
        self._addresses = addresses
        call, kept = self._call, self._kept
        call.lr, call.norms, call.threads = lr.data_ptr(), norms.data_ptr(), torch.get_num_threads()
        call.mean_scale, call.square_scale = 1 - kept[0] ** done, (1 - kept[1] ** done) ** 0.5
        library().update(ctypes.byref(call))
        return norms
