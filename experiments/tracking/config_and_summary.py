"""What wandb is told of a record: names, tags, configuration and the final numbers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analysis.records import inside
from experiments.config.identity import slug
from experiments.store.files import atomic
from experiments.store.locks import lock

LONGEST = 128  # letters of a name, group or id; a tag may have 64
TOKEN = ".wandb-token"
SLOTS = ("input", "forget", "output", "reset")
PICTURES = b"1"  # how what was found inside is drawn: a run that shows it as another version drew it is mirrored anew
CLOSING = ("status", "error", "results", "timing")  # of run.json, known when the run ends


def described(content: Mapping[str, Any], study: Path) -> dict[str, Any]:
    """wandb.init's arguments for a record."""
    task, variant = content["task"], content["variant"]
    return {
        "project": project(study),
        "id": run_id(content, study),
        "name": shortened(f"{task['name']}/{variant}", f"/s{content['seed']}"),
        "group": group(content),
        "job_type": content["phase"] or "train",
        "tags": tags(content),
        "config": configuration(content),
    }


def shortened(words: str, tail: str) -> str:
    """A name or an id that loses the end of its words rather than its tail, which tells it apart."""
    return words[: LONGEST - len(tail)] + tail


def project(study: Path) -> str:
    """The wandb project of a study: its folder's name."""
    return slug(study.resolve().name)[:LONGEST] or "study"


def run_id(content: Mapping[str, Any], study: Path) -> str:
    """A record's wandb id: its own, and six hex digits of the study folder's token and the record's semantics.

    Two users' equal runs are two. A server keeps the first row that it has of a step: a run made anew because the code
    means something else now must be another one.
    """
    words = f"{token(study)} {json.dumps(content['semantics'], sort_keys=True)}"
    return f"{content['run_id']}-{hashlib.sha256(words.encode()).hexdigest()[:6]}"[-LONGEST:]


def token(study: Path) -> str:
    """Six hex digits, drawn once for a study folder and kept in it."""
    path = study / TOKEN
    if not path.is_file():
        with lock(study, "wandb-token", seconds=-1):
            if not path.is_file():
                with atomic(path) as file:
                    file.write(secrets.token_hex(3).encode())
    return path.read_text().strip()


def group(content: Mapping[str, Any]) -> str:
    """Task, length, label and arm: everything but the seed."""
    task = content["task"]
    return shortened(f"{task['name']}-T{task['length']}-{content['label']}", f"-{content['arm']}")


def tags(content: Mapping[str, Any]) -> list[str]:
    """Task, variant and phase."""
    words = (content["task"]["name"], content["variant"], content["phase"])
    return list(dict.fromkeys(str(word)[:64] for word in words if word))


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
