"""Small runs with a wandb mirror, and what the mirror and the record hold of them."""

import csv
from pathlib import Path

from analysis.records import wandb_source
from experiments.config.compose import compose
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.store.versions_and_sources import semantics
from experiments.tracking import run_names, wandb_runs

SHORT = ["train.steps=4", "train.eval_every=2", "train.batch_size=4", "train.eval_size=8", "model.hidden_size=4"]
SHORT += ["task=adding", "task.length=10", "engine=reference"]


def jobs(study: Path, mode: str = "offline", variants: tuple[str, ...] = ("lstm",), seeds: int = 2) -> list[Job]:
    said = [[f"variant={v}", f"seed={s}", f"study={study}", *SHORT] for v in variants for s in range(seeds)]
    return [resolve(compose([*words, f"record.wandb.mode={mode}"]), words) for words in said]


def rows_on_disk(job: Job) -> list[dict[str, float]]:
    """metrics.csv, without the empty cells."""
    assert job.folder is not None
    with (job.folder / "metrics.csv").open() as file:
        return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def wandb_id(job: Job) -> str:
    assert job.study is not None
    return run_names.run_id({"run_id": job.run_id, "semantics": semantics(job)}, job.study)


def wandb_folder(job: Job) -> Path:
    assert job.study is not None
    return wandb_runs.folders(job.study)[wandb_id(job)]


def read_back(job: Job) -> wandb_source.Mirrored:
    wandb_runs.settle()
    (path,) = wandb_folder(job).glob("*.wandb")
    return wandb_source.parsed(path)
