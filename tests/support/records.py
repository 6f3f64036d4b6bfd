"""Synthetic run records, exactly as docs/record.md has them, for the tests of analysis."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from analysis.claims.frozen_study_file import FILE, VERSION, FrozenStudy
from analysis.records import code_versions

STEPS = (0, 100, 200, 300)
LABELS = {"lstm": "LSTM", "gru": "GRU", "no_forget_gate": "no forget gate"}
TASKS: dict[str, dict[str, Any]] = {
    "adding": {"metric": "mse", "direction": "min", "chance": 0.167, "solved": 0.01, "unit": "mse"},
    "digits": {"metric": "accuracy", "direction": "max", "chance": 0.1, "solved": 0.9, "unit": "fraction"},
}


def noise(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return zlib.crc32(repr(key).encode()) / 2**32


def curve(variant: str, task: str, seed: int) -> list[float]:
    """The task's metric at STEPS."""
    chance, rate = TASKS[task]["chance"], 0.5 + noise(variant, task, seed)
    if TASKS[task]["direction"] == "min":
        return [round(chance * 10 ** (-rate * step / 100), 6) for step in STEPS]
    return [round(1 - (1 - chance) * 10 ** (-rate * step / 300), 6) for step in STEPS]


def record(variant: str = "lstm", task: str = "adding", seed: int = 0, **changes: Any) -> dict[str, Any]:
    """run.json of one run; `changes` are dotted paths with `__` for the dot, `train__lr` being the resolved setting."""
    settings = {key[7:]: changes.pop(key) for key in list(changes) if key.startswith("train__")}
    train = {"steps": STEPS[-1], "lr": 0.005, **settings}
    arm = hashlib.sha256(repr((variant, task, sorted(train.items()))).encode()).hexdigest()[:8]
    run = hashlib.sha256(f"{arm}{seed}".encode()).hexdigest()[:8]
    slug = "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in variant)
    score = curve(variant, task, seed)[-1]
    content = {
        "schema": 1,
        "run_id": f"{task}-{slug}-s{seed}-{run}",
        "arm": arm,
        "study": "demo",
        "phase": None,
        "variant": variant,
        "label": LABELS.get(variant, variant),
        "cite": "Gers et al. 2000",
        "task": {"name": task, "length": 50, "lengths": [50], **TASKS[task]},
        "seed": seed,
        "config": {"said": [f"variant={variant}"], "resolved": resolved(variant, task, train, seed)},
        "status": "finished",
        "error": None,
        "parameters": {"layer": 1000 + 7 * len(variant), "total": 1100, "hidden_size": 16, "reference": 1216},
        "results": {
            "score": score,
            "steps": STEPS[-1],
            "steps_to_solve": None,
            "solved": score <= 0.01 if task == "adding" else score >= 0.9,
            "final": {f"eval/{TASKS[task]['metric']}": score},
        },
        "notes": [],
        "timing": {
            "started": "2025-01-01T00:00:00",
            "finished": "2025-01-01T00:00:09",
            "seconds": 9.0,
            "steps_per_second": 33.3,
        },
        "environment": environment(),
        "semantics": {"cell": 1, "task": 1, "trainer": code_versions.TRAINER},
        "data_digest": hashlib.sha256(f"{task}{seed}".encode()).hexdigest()[:16],
    }
    return changed(content, changes)


def resolved(variant: str, task: str, train: dict[str, Any], seed: int) -> dict[str, Any]:
    return {
        "variant": {"label": LABELS.get(variant, variant), "cite": "", "forget": {"feeds": "xhb"}},
        "init": {"rule": "constant", "value": 1.0, "needs_gate": False},
        "task": {"name": task, "length": 50},
        "model": {"hidden_size": 16, "layers": 1, "size": "hidden"},
        "train": train,
        "seed": seed,
    }


def environment() -> dict[str, Any]:
    names = ("python", "torch", "numpy", "gates", "platform", "instruction_set", "device", "host")
    known = dict.fromkeys(names, "1.0")
    return {**known, "threads": 1, "engine": "native", "engine_reason": "auto", "commit": "abc1234", "dirty": False}


def changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The record with some values replaced: `environment__commit="x"`."""
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        place[key] = value
    if content["status"] == "diverged":
        content["results"] |= {"score": None, "steps": STEPS[1], "solved": False}
    elif content["status"] != "finished":
        content["results"] = {}
    return content


def write(study: Path, variant: str = "lstm", task: str = "adding", seed: int = 0, **changes: Any) -> Path:
    """Write one run directory into the study's folder; returns it."""
    content = record(variant, task, seed, **{"study": study.name, **changes})
    folder = study / str(content["run_id"])
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content, indent=1))
    rows = list(zip(STEPS, curve(variant, task, seed), strict=True))
    rows = rows if content["status"] == "finished" else rows[:2]
    lines = [f"{step},{'' if step == 0 else 0.5},{'' if step == 0 else 1.0},{value}" for step, value in rows]
    metric = content["task"]["metric"]
    table = "\n".join([f"step,train/loss,train/gradient_norm,eval/{metric}", *lines]) + "\n"
    (folder / "metrics.csv").write_text(table)
    return folder


def write_frozen(study: Path, content: dict[str, Any]) -> None:
    """Write a study.json as freezing does, its hashes included."""
    (study / FILE).write_text(json.dumps(FrozenStudy.model_validate({**content, "schema": VERSION}).content()))


def write_study(
    study: Path,
    variants: tuple[str, ...] = ("lstm", "gru", "no_forget_gate"),
    tasks: tuple[str, ...] = ("adding", "digits"),
    seeds: int = 3,
) -> Path:
    """A complete study; returns its folder."""
    for variant in variants:
        for task in tasks:
            for seed in range(seeds):
                write(study, variant, task, seed)
    return study
