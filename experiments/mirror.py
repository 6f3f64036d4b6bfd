"""The wandb mirror of a run record: offline unless asked otherwise, never in the way of a run."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

from experiments.configs import Job

QUIET: dict[str, Any] = {
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_save_requirements": False,
    "console": "off",
    "disable_git": True,
    "silent": True,
    "finish_timeout": 60,
    "init_timeout": 30,
}


def resolve_mode(mode: str) -> str:
    """``auto`` is the environment's WANDB_MODE if set, else offline; anything else is itself."""
    return os.environ.get("WANDB_MODE", "offline") if mode == "auto" else mode


class Mirror:
    """One wandb run beside one record. A wandb that fails warns once and the run goes on without it."""

    def __init__(self, job: Job, content: Mapping[str, Any]) -> None:
        self.run: Any = None
        mode = resolve_mode(job.record.wandb.mode)
        if mode == "disabled" or job.study is None:
            return
        if mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            self.run = _init(job, content, mode)
        except Exception as error:  # wandb raises many kinds; none may stop a run
            warnings.warn(f"wandb: {error}; the run goes on, its record is complete", stacklevel=2)

    def log(self, row: Mapping[str, Any]) -> None:
        """One evaluation."""
        if self.run is not None:
            self.run.log({key: value for key, value in row.items() if value is not None})

    def finish(self, content: Mapping[str, Any]) -> None:
        """Final numbers to the summary, then close."""
        if self.run is None:
            return
        final = {key: value for key, value in content["results"].items() if key != "final" and value is not None}
        self.run.summary.update({"status": content["status"], **final})
        with contextlib.suppress(Exception):
            self.run.finish(exit_code=0 if content["status"] in ("finished", "diverged") else 1)


def _init(job: Job, content: Mapping[str, Any], mode: Any) -> Any:
    import wandb

    assert job.study is not None
    known = wandb.Settings.model_fields
    settings = wandb.Settings(**{key: value for key, value in QUIET.items() if key in known})
    task = content["task"]
    run = wandb.init(
        project=job.study.name,
        entity=job.record.wandb.entity,
        dir=str(job.study),
        id=job.run_id,
        name=f"{job.task_name}/{job.variant.name}/s{job.seed}",
        group=f"{job.task_name}-T{task['length']}-{job.variant.label}-{job.arm}",
        job_type=job.phase or "train",
        tags=[job.task_name, job.variant.name[:64]],
        config={**job.resolved, "parameters": content["parameters"], "gates": _gates(job)},
        mode=mode,
        reinit="create_new",
        settings=settings,
    )
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    return run


def _gates(job: Job) -> dict[str, Any]:
    """Booleans that panels can split on: which gates are learned and what feeds them."""
    spec = job.variant.spec
    learned = {slot: spec[slot].learned for slot in ("input", "forget", "output", "reset")}
    feeds = {f"{slot}_sees_{source}": spec[slot].fed_by(source) for slot in learned for source in "xhb"}
    return learned | feeds
