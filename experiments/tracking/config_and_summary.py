"""What wandb is told of a record beside its names: the configuration, and the summary with the final numbers."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analysis.records import inside
from experiments.tracking import run_names

SLOTS = ("input", "forget", "output", "reset")
PICTURES = b"1"  # how what was found inside is drawn: a run that shows it as another version drew it is mirrored anew
CLOSING = ("status", "error", "results", "timing")  # of run.json, known when the run ends


def described(content: Mapping[str, Any], study: Path) -> dict[str, Any]:
    """wandb.init's arguments for a record."""
    return {**run_names.named(content, study), "config": configuration(content)}


def configuration(content: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved configuration, gates as booleans, who the run is; run.json as text: servers change numbers."""
    record = {key: content.get(key) for key in ("run_id", "arm", "study", "phase", "variant", "label", "task")}
    record["json"] = json.dumps(
        {key: value for key, value in content.items() if key not in ("status", "error", "results")}
    )
    resolved = content["config"]["resolved"]
    return {**resolved, "gates": gates(resolved["variant"]), "parameters": content.get("parameters"), "record": record}


def gates(variant: Mapping[str, Any]) -> dict[str, bool]:
    """Which gates exist, that is, are no constant, and what feeds them; a gate made from another is fed as that is."""
    flags: dict[str, bool] = {}
    for slot in SLOTS:
        gate = variant.get(slot) or {}
        partners = {"complement": "input" if slot == "forget" else "forget", "same": gate.get("of")}
        partner = partners.get(gate.get("kind", ""))
        source = variant.get(partner) or {} if partner else gate
        exists = source.get("kind", "absent") == "learned"
        flags[slot] = exists
        flags |= {f"{slot}_sees_{letter}": exists and letter in source.get("feeds", "") for letter in "xhb"}
    return flags


def final_numbers(content: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """The summary: score (none if the run diverged), solved ..., and the record's closing part whole."""
    results = content["results"]
    numbers = {key: value for key, value in results.items() if key != "final"}
    numbers |= {f"final/{key}": value for key, value in results.get("final", {}).items()}
    numbers = {key: value for key, value in numbers.items() if value is not None}
    record = {key: content[key] for key in CLOSING} | {"columns": list(columns)}
    return {
        **numbers,
        "status": content["status"],
        "diverged": content["status"] == "diverged",
        "record": json.dumps(record),
    }


def inside_numbers(folder: Path, content: Mapping[str, Any]) -> dict[str, float]:
    """What was found inside a run's trained net, ``inside/surgery/forget=1/cost``, as far as it is finite."""
    found = inside.read(folder, content, arrays=False)
    numbers = found.numbers if found else {}
    return {f"inside/{name}": value for name, value in numbers.items() if value is not None}


def fingerprint(folder: Path) -> str:
    """What changes when a record does."""
    hasher = hashlib.sha256(PICTURES if (folder / inside.NPZ).is_file() else b"")
    for name in ("run.json", "metrics.csv", inside.JSON):
        with contextlib.suppress(OSError):
            hasher.update((folder / name).read_bytes() + b"\0")
    return hasher.hexdigest()
