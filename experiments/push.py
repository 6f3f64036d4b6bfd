"""Records to wandb, at any time: python -m experiments.push study=outputs/mine

For every run that ended, and for every arm as a whole, there is a wandb run below ``<study>/wandb`` that shows the
record as it is: those that exist stay, others are made, also of a sweep that ran with wandb disabled. With
``mode=online`` what a server does not have yet is sent.
"""

from __future__ import annotations

import enum
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import Timeout
from omegaconf import MISSING

from analysis.claims.study_json import FrozenStudy, UnreadableStudyError
from analysis.common.command_line import CommandError, about, command, one_line
from analysis.records import archive, counted_runs
from analysis.records.load import load
from analysis.records.read import read_curves
from analysis.statistics import arm_curves
from analysis.statistics.arm_curves import ArmCurve
from experiments.config.schema import ConfigError, wandb_mode
from experiments.store.locks import lock
from experiments.tracking import aggregates, environment, failures, pictures
from experiments.tracking import content as wandb_content
from experiments.tracking import runs as wandb_runs

Mode = enum.Enum("Mode", "auto offline online")
AT_ONCE = 500  # runs that one call of wandb sync is given


@dataclass
class Options:
    """Make or remake the wandb mirror of study folders from their records, and send what a server lacks."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, separated by commas", example="outputs/demo")
    )
    mode: Mode = field(
        default=Mode.auto, metadata=about("auto: $WANDB_MODE if set, else offline; offline only writes; online sends")
    )
    entity: str | None = field(default=None, metadata=about("wandb user or team; the account's default unless given"))
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))


def push(options: Options) -> None:
    """Mirror every study, one after the other."""
    try:
        online = wandb_mode(options.mode.name) == "online"
    except ConfigError as error:
        raise CommandError(str(error)) from None
    studies = {Path(name).resolve(): Path(name) for name in options.study}.values()
    for study in studies:
        archive.refuse(study, "the mirror shows whole records; push the study that it was made of")
    for study in studies:
        try:
            FrozenStudy.read(study)  # refused if it was changed
        except UnreadableStudyError as error:
            print(f"warning: {one_line(str(error))}", file=sys.stderr)
        records = load([study], options.strict)
        for record, reason in records.skipped:
            print(f"skipped: {record}: {reason}")
        there = wandb_runs.folders(study)
        shown = records.runs[counted_runs.current(records.runs)]
        if stale := counted_runs.stale(records.runs):
            print(stale)
        tried = [unless_busy(study, str(record).rpartition("/")[2], there) for record in shown["record"]]
        made = [new for new in tried if new is not None]
        if len(made) < len(tried):
            print(f"left out: {len(tried) - len(made)} runs that are being made")
        arms = list(arm_curves.of_arms(records))
        made += [aggregated(study, arm, there) for arm in arms]
        take_out(study, records.runs[~counted_runs.current(records.runs)]["record"], arms, there)
        wandb_runs.settle()
        print(f"{study}: {len(made)} wandb runs, {sum(made)} of them made now")
        if online:
            send(study, options.entity)
        else:
            print(f"to send what is missing: {failures.sync_line(study)}")


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
    arguments, mark = wandb_content.described(content, study), wandb_content.fingerprint(folder)
    if wandb_runs.shown(there.get(arguments["id"])) == mark:
        return False
    code = 0 if content["status"] in ("finished", "diverged") else 1
    summary = wandb_content.final_numbers(content, columns) | wandb_content.inside_numbers(folder, content)
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
    stems = {wandb_content.run_id(content, study)[:-6] for content in contents}  # whatever semantics it shows
    for name in [name for name in there if name[:-6] in stems and not wandb_runs.sent(there[name])]:
        wandb_runs.forget(study, name)
    for name in aggregates.outlived(study, arms, there):
        if wandb_runs.sent(there[name]):
            supersede(study, name)
        else:
            wandb_runs.forget(study, name)


# To a server


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
            loud = environment.plain() | {"WANDB_SILENT": "false"}
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
        wandb_runs.delete(wandb_content.project(study), entity, gone)
    for folder in gone.values():
        shutil.rmtree(folder, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m experiments.push", Options, push, argv)


if __name__ == "__main__":
    sys.exit(main())
