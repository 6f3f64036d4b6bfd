"""The machine that was measured on, and the note that it had other work."""

from __future__ import annotations

import os
import platform
import shlex
import time
from pathlib import Path
from typing import Any

import torch

from analysis.common import resources
from lstm_variants.engines import native_library


def machine() -> dict[str, Any]:
    """What the numbers belong to."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return {
        "cpu": next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor()
        ),
        "cores": resources.cores(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compiler": shlex.join(native_library.compiler()) or None,
        "load": [round(load, 2) for load in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def busy(facts: dict[str, Any]) -> str:
    """A loud note if other work was running, else nothing."""
    load = facts["load"][0]
    if load < 0.5:
        return ""
    return (
        f"**BUSY MACHINE**: {load} processes wanted to run on {facts['cores']} cores before the start; "
        "trust no absolute time and doubt every ratio.\n\n"
    )
