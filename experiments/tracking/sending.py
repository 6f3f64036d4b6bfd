"""From the wandb mirror on disk to a server: what has not arrived is sent, superseded aggregates are deleted there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from analysis.common.command_line import CommandError
from experiments.tracking import aggregates, failures, run_names, wandb_runs, wandb_variables

AT_ONCE = 500  # runs that one call of wandb sync is given


def send(study: Path, entity: str | None) -> None:
    """Send what has not arrived and delete superseded aggregates; CommandError if it still has not."""
    gone = aggregates.superseded(study)
    known = [path for name, path in wandb_runs.folders(study).items() if name not in gone]
    waiting = [path for path in known if wandb_runs.shown(path) and not wandb_runs.sent(path)]  # others are being made
    printed = ""
    for at in range(0, len(waiting), AT_ONCE):
        command = [sys.executable, "-m", "wandb", "sync", "--include-online", *(["-e", entity] if entity else [])]
        command += [str(folder) for folder in waiting[at : at + AT_ONCE]]
        limit = 120 + 10 * len(waiting)  # seconds
        try:
            loud = wandb_variables.plain() | {"WANDB_SILENT": "false"}
            printed += subprocess.run(command, capture_output=True, timeout=limit, env=loud).stderr.decode(
                errors="replace"
            )
        except subprocess.TimeoutExpired:
            printed += f"ERROR no answer in {limit} s\n"
    missing = [folder for folder in waiting if not wandb_runs.sent(folder)]
    if missing:
        reasons = [line.partition("ERROR ")[2] for line in printed.splitlines() if "ERROR " in line]
        why = [*reasons, *reversed(printed.splitlines()), "wandb does not say why"][0]
        raise CommandError(f"{len(missing)} runs did not arrive ({why}); to try again: {failures.sync_line(study)}")
    print(f"sent: {len(waiting)}")
    if gone:
        wandb_runs.delete(run_names.project(study), entity, gone)
    for folder in gone.values():
        shutil.rmtree(folder, ignore_errors=True)
