"""What the tests of sweeps share: jobs of small nets, who makes a run, and all that a study's runs came to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.config.compose import compose
from experiments.config.job import Job
from experiments.config.resolve import resolve

ROOT = Path(__file__).parents[2]
SIZES = ["task.length=10", "train.batch_size=4", "train.eval_size=8", "model.hidden_size=4"]
QUICK = [*SIZES, "train.steps=4", "train.eval_every=2"]
LONGER = [*SIZES, "threads=1", "train.steps=300", "train.eval_every=100", "record.checkpoint_every=1"]
NO_MIRROR = "record.wandb.mode=disabled"


def jobs(study: Path, *overrides: str, variants: Sequence[str] = ("lstm", "gru"), seeds: int = 3) -> list[Job]:
    """Quick runs unless the overrides say otherwise, the variants one after the other."""
    points = [
        [f"variant={v}", f"seed={s}", f"study={study}", *QUICK, *overrides] for v in variants for s in range(seeds)
    ]
    return [resolve(compose(point), point) for point in points]


def holder(job: Job) -> int:
    """The process that holds a run's lock."""
    assert job.study is not None
    inode = (job.study / ".locks" / f"{job.run_id}.lock").stat().st_ino
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return next(int(words[4]) for words in held if words[5].endswith(f":{inode}"))


def outcome(study: Path) -> dict[str, Any]:
    """Every run's status, results, rows and weights."""
    found = {}
    for path in study.glob("*/run.json"):
        content = json.loads(path.read_text())
        files = [path.with_name(name) for name in ("metrics.csv", "weights.pt")]
        parts = [file.read_bytes() if file.is_file() else None for file in files]
        found[path.parent.name] = (content["status"], content["results"], content["data_digest"], *parts)
    return found


def files(folder: Path) -> dict[str, bytes]:
    """The run directories, without the wandb mirror."""
    paths = (path for path in folder.glob("*-*/*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
