"""The hardware that a run uses: what one may ask for, and what `auto` takes."""

from __future__ import annotations

import torch

DEVICES = ("auto", "cpu", "cuda")


def device_of(name: str) -> torch.device:
    """``auto`` is the CPU: no engine of ours has been measured to be faster on a GPU."""
    return torch.device("cpu" if name == "auto" else name)
