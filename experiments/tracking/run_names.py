"""What a run is called in wandb: its project, id, display name, group, job type and tags."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config.identity import slug
from experiments.store.files import atomic
from experiments.store.locks import lock

LONGEST = 128  # letters of a name, group or id; a tag may have 64
TOKEN = ".wandb-token"


def named(content: Mapping[str, Any], study: Path) -> dict[str, Any]:
    """The names of a record, as wandb.init's arguments."""
    task, variant = content["task"], content["variant"]
    return {
        "project": project(study),
        "id": run_id(content, study),
        "name": shortened(f"{task['name']}/{variant}", f"/s{content['seed']}"),
        "group": group(content),
        "job_type": content["phase"] or "train",
        "tags": tags(content),
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
