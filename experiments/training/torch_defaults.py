"""What a caller may have changed in torch and numpy, put back to their defaults while runs are made.

A run is the same in a notebook that works in double precision or inside ``torch.autocast`` as in a process of its own,
and the caller finds everything as it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """Everything that changes what a program computes, as a fresh process has it."""
    with contextlib.ExitStack() as stack:
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autograd.set_detect_anomaly(False))
        stack.enter_context(torch.random.fork_rng(devices=[]))  # building a layer draws from the global generator
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        stack.enter_context(_on_cpu())
        stack.enter_context(_any_algorithm())
        stack.enter_context(_full_precision())
        stack.enter_context(_switches())
        yield


def _on_cpu() -> contextlib.AbstractContextManager[object]:
    """Tensors are made on the CPU unless a device is named; costs time at every call, so only where it is needed."""
    elsewhere = torch.get_default_device().type != "cpu"
    return torch.device("cpu") if elsewhere else contextlib.nullcontext()


@contextlib.contextmanager
def _any_algorithm() -> Iterator[None]:
    """No algorithm is ruled out as not deterministic; the switch loads torch's compiler, so only where it is needed."""
    if not torch.are_deterministic_algorithms_enabled():
        yield
        return
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True, warn_only=warn_only)


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Products of matrices in float32 as it stands; torch has one word for all backends, and one for each."""
    backends = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    each = [backend.fp32_precision for backend in backends]
    try:
        common = torch.get_float32_matmul_precision()
    except RuntimeError:  # they have been set apart
        common = None
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        if common is not None:
            torch.set_float32_matmul_precision(common)
        for backend, precision in zip(backends, each, strict=True):
            backend.fp32_precision = precision


@contextlib.contextmanager
def _switches() -> Iterator[None]:
    """What torch keeps in global switches."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    flushes, mkldnn = _flushes(), torch.backends.mkldnn.enabled
    torch.set_default_dtype(torch.float32)
    torch.set_flush_denormal(False)
    torch.backends.mkldnn.enabled = True  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_flush_denormal(flushes)
        torch.backends.mkldnn.enabled = mkldnn  # as it was
        torch.set_num_threads(threads)


def _flushes() -> bool:
    """Whether this thread takes the smallest numbers for 0."""
    return not (torch.full((1,), 1e-40, dtype=torch.float32, device="cpu") * 1).item()
