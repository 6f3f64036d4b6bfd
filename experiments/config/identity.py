"""Who a run is: the hash of what differs from the defaults, and a readable name."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_variants.spec import flatten

LONGEST = 255 - len(".lock")  # letters of a run's name: it is a folder's and, with .lock, a file's


def digest(difference: Mapping[str, Any]) -> str:
    """Eight hex digits of what differs from the defaults; knobs at their defaults never change it."""
    canonical = json.dumps(difference, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def as_hashed(difference: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs of a variant as they enter the hash: `block=all` under its first name, so that its runs stay known."""
    return {
        key.replace(".block", ".shared") if value == "all" else key: True if value == "all" else value
        for key, value in difference.items()
    }


def folder_name(folder: Path) -> str:
    """The name of a folder, whatever the encoding of the terminal: bytes that are no UTF-8 stand as escapes."""
    return os.fsencode(folder.name).decode("utf-8", "backslashreplace")


def slug(text: str) -> str:
    """Letters, digits, ``_``, ``.`` and ``-`` only."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-")


def run_name(task: str, variant: str, seed: int, code: str) -> str:
    """``<task>-<variant>-s<seed>-<code>``; one that no file's name could hold loses the end of its variant."""
    tail = f"-s{seed}-{code}"
    return f"{slug(task)}-{slug(variant)}"[: LONGEST - len(tail)] + tail


def nested_difference(mine: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The flattened entries of ``mine`` that differ from ``defaults``."""
    flat = flatten(defaults)
    return {key: value for key, value in flatten(mine).items() if key not in flat or flat[key] != value}
