"""Records whose scores a test has planted, and what a study of them froze."""

import json
import shutil
from pathlib import Path
from typing import Any

from records import write

from analysis.runs import load

SEEDS = list(range(8))
SMALL = [1.1, 0.9, 1.05, 0.97, 1.2, 0.85, 1.13, 0.94, 1.08, 0.92, 1.15, 0.88, 1.02, 0.99, 1.21, 0.83]  # factors near 1


def put(folder: Path, variant: str, task: str = "adding", seed: int = 0, **changes: Any) -> str:
    """Write one confirmation run, in place of an earlier one; returns its arm."""
    for old in folder.glob(f"{task}-{variant}-s{seed}-*"):
        shutil.rmtree(old)
    written = write(folder, variant, task, seed, phase="confirm", **changes)
    return str(json.loads((written / "run.json").read_text())["arm"])


def made(folder: Path, scores: dict[str, list[float]], **claim: Any) -> tuple[Any, dict[str, Any]]:
    cells = []
    for variant, values in scores.items():
        for seed, score in enumerate(values):
            solved = {"results__solved": score < 0.01, "results__steps_to_solve": 100 if score < 0.01 else None}
            arm = put(folder, variant, seed=seed, results__score=score, **solved)
        cells.append({"task": "adding", "arm": variant, "identity": arm, "unit": "MSE", "edge": [], "chosen": {}})
    declared = {"sentence": "s", "source": "p", "expect": "higher", "baseline": "lstm", "arms": ["gru"], **claim}
    frozen = {"schema": 1, "study": folder.name, "claims": [declared], "tasks": {"adding": []}, "cells": cells}
    return load([folder]), {**frozen, "seeds": SEEDS, "extension": [], "factors": {}}
