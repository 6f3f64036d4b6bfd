"""The wandb mirror made from records: what lacks is written, what no number has any more is taken back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from analysis.common.command_line import CommandError
from analysis.records.read import read_curves
from analysis.statistics.arm_curves import ArmCurve
from experiments.store.locks import lock
from experiments.tracking import aggregates, config_and_summary, pictures, run_names, wandb_runs


def unless_busy(study: Path, run_id: str, there: Mapping[str, Path]) -> bool | None:
    """Mirror a record on which no process is working; whether it was made, None for one that is being worked on."""
    try:
        with lock(study, run_id):
            return replayed(study, study / run_id, there)
    except Timeout:
        return None


def replayed(study: Path, folder: Path, there: Mapping[str, Path]) -> bool:
    """Mirror one record, unless its wandb run shows it as it is; whether it was made."""
    content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    curves = read_curves(folder, content["status"])
    rows = [
        {"step": int(step)} | {k: v for k, v in zip(curves.metrics, values, strict=True) if not math.isnan(v)}
        for step, *values in curves.table.tolist()
    ]
    columns = ["step", *curves.metrics] if rows else []
    arguments, mark = config_and_summary.described(content, study), config_and_summary.fingerprint(folder)
    if wandb_runs.shown(there.get(arguments["id"])) == mark:
        return False
    code = 0 if content["status"] in ("finished", "diverged") else 1
    summary = config_and_summary.final_numbers(content, columns) | config_and_summary.inside_numbers(folder, content)
    write(study, arguments, rows, summary, mark, code, pictures.of_run(folder))
    return True


def write(
    study: Path,
    arguments: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    summary: dict[str, Any],
    mark: str,
    code: int = 0,
    images: Mapping[str, bytes] | None = None,
) -> None:
    """One wandb run; its images, PNGs by name, at the step of its last row."""
    run = wandb_runs.opened(arguments, study, "offline")
    if run is None:
        raise CommandError(f"study={study}: wandb does not start")
    for row in rows:
        run.log(row)
    wandb_runs.add_pictures(run, rows[-1]["step"] if rows else 0, images or {})
    wandb_runs.closed(run, study, summary, mark, code)


def aggregated(study: Path, arm: ArmCurve, there: Mapping[str, Path]) -> bool:
    """Mirror an arm as a whole; whether it was made."""
    mark = aggregates.fingerprint(study, arm)
    arguments = aggregates.described(study, arm, mark)
    if wandb_runs.shown(there.get(arguments["id"])) == mark:
        return False
    for name in aggregates.replaced(arguments["id"], there):
        supersede(study, name)
    write(study, arguments, arm.rows, {**arm.summary, "status": "finished"}, mark)
    return True


def supersede(study: Path, name: str) -> None:
    """Have the server told that an aggregate is superseded."""
    superseded = wandb_runs.SUPERSEDED
    write(study, aggregates.superseding(study, name), [], {"status": superseded}, superseded)


def take_out(study: Path, stale: Iterable[str], arms: Sequence[ArmCurve], there: Mapping[str, Path]) -> None:
    """Take back what the mirror shows and is in no number any more: stale runs, and arms of which no run counts.

    What has not been sent goes; of what has been, an aggregate is superseded.
    """
    folders = [study / record.rpartition("/")[2] for record in stale]
    contents = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
    stems = {run_names.run_id(content, study)[:-6] for content in contents}  # whatever semantics it shows
    for name in [name for name in there if name[:-6] in stems and not wandb_runs.sent(there[name])]:
        wandb_runs.forget(study, name)
    for name in aggregates.outlived(study, arms, there):
        if wandb_runs.sent(there[name]):
            supersede(study, name)
        else:
            wandb_runs.forget(study, name)
