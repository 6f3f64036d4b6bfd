"""Records to wandb, at any time: python -m experiments.push study=outputs/mine

For every run that ended, and for every arm as a whole, there is a wandb run below ``<study>/wandb`` that shows the
record as it is: those that exist stay, others are made, also of a sweep that ran with wandb disabled. With
``mode=online`` what a server does not have yet is sent.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import MISSING

from analysis import arm_curves, runs
from analysis.arm_curves import ArmCurve
from analysis.commandline import CommandError, about, command
from analysis.record import read_curves
from experiments import mirror
from experiments.identity import slug

Mode = enum.Enum("Mode", "auto offline online")
AGGREGATE = "aggregate"
SUPERSEDED = ".superseded"  # wandb ids of aggregates on a server that newer ones replace
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
    for name in options.study:
        study = Path(name)
        records = runs.load([study], options.strict)
        for record, reason in records.skipped:
            print(f"skipped: {record}: {reason}")
        with held(study, [str(record) for record in records.runs["record"]]) as folders:
            there = mirror.folders(study)
            made = [replayed(study, folder, there) for folder in folders]
            made += [aggregated(study, arm, there) for arm in arm_curves.of_arms(records)]
            mirror.settle()
            print(f"{study}: {len(made)} wandb runs, {sum(made)} of them made now")
            if mirror.resolve_mode(options.mode.name) == "online":
                send(study, options.entity)
            else:
                print(f"to send what is missing: {mirror.sync_line(study)}")


@contextlib.contextmanager
def held(study: Path, records: Sequence[str]) -> Iterator[list[Path]]:
    """The run directories that no process is working on, kept so meanwhile."""
    with contextlib.ExitStack() as locks:
        free, busy = [], 0
        (study / ".locks").mkdir(exist_ok=True)
        for name in [record.rpartition("/")[2] for record in records]:
            try:
                locks.enter_context(FileLock(study / ".locks" / f"{name}.lock", timeout=0))
                free.append(study / name)
            except Timeout:
                busy += 1
        if busy:
            print(f"left out: {busy} runs that are being made")
        yield free


def replayed(study: Path, folder: Path, there: Mapping[str, Path]) -> bool:
    """Mirror one record, unless its wandb run shows it as it is; whether it was made."""
    content = json.loads((folder / "run.json").read_text())
    curves = read_curves(folder, content["status"])
    rows = [
        {"step": int(step)} | {k: v for k, v in zip(curves.metrics, values, strict=True) if not math.isnan(v)}
        for step, *values in curves.table.tolist()
    ]
    columns = ["step", *curves.metrics] if rows else []
    said, mark = mirror.described(content, study), mirror.fingerprint(folder)
    if shows(there.get(said["id"]), mark):
        return False
    code = 0 if content["status"] in ("finished", "diverged") else 1
    write(study, said, rows, mirror.final_numbers(content, columns), mark, code)
    return True


def shows(folder: Path | None, mark: str) -> bool:
    """Whether a wandb run shows this state of its record."""
    path = folder and folder / mirror.FINGERPRINT
    return bool(path and path.is_file() and path.read_text() == mark)


def write(
    study: Path, said: dict[str, Any], rows: Sequence[dict[str, Any]], summary: dict[str, Any], mark: str, code: int = 0
) -> None:
    """One wandb run."""
    run = mirror.opened(said, study, "offline")
    if run is None:
        raise CommandError(f"study={study}: wandb does not start")
    for row in rows:
        run.log(row)
    mirror.closed(run, study, summary, mark, code)


# One run per arm


def aggregated(study: Path, arm: ArmCurve, there: Mapping[str, Path]) -> bool:
    """Mirror an arm as a whole; whether it was made."""
    marks = [mirror.fingerprint(study / record.rpartition("/")[2]) for record in arm.records]
    mark = hashlib.sha256("".join(marks).encode()).hexdigest()
    said = about_arm(study, arm, mark)
    if shows(there.get(said["id"]), mark):
        return False
    supersede(study, said["id"], there)
    write(study, said, arm.rows, {**arm.summary, "status": "finished"}, mark)
    return True


def about_arm(study: Path, arm: ArmCurve, mark: str) -> dict[str, Any]:
    """wandb.init's words for an arm. A server keeps the rows it has, so an arm with other runs is another wandb run."""
    content = json.loads((study / arm.records[0].rpartition("/")[2] / "run.json").read_text())
    resolved = {key: value for key, value in content["config"]["resolved"].items() if key != "seed"}
    whole = {"arm": content["arm"], "runs": arm.records, "name": arm.first["name"], "task": arm.first["task"]}
    stem = f"{AGGREGATE}-{slug(content['task']['name'])}-{slug(content['variant'])}-{content['arm']}"
    stem += f"-{content['phase']}" if content["phase"] else ""
    unique = hashlib.sha256((mirror.token(study) + mark).encode()).hexdigest()[:6]
    return {
        "project": mirror.project(study),
        "id": f"{stem[: mirror.LONGEST - 7]}-{unique}",
        "name": f"{arm.first['task']}/{arm.first['name']}/all {len(arm.records)} seeds"[: mirror.LONGEST],
        "group": mirror.group(content),
        "job_type": AGGREGATE,
        "tags": [*mirror.tags(content), AGGREGATE],
        "config": {**resolved, "gates": mirror.gates(resolved["variant"]), AGGREGATE: whole},
    }


def supersede(study: Path, name: str, there: Mapping[str, Path]) -> None:
    """Note an earlier aggregate of the same arm that was sent: it has to go from the server."""
    for known, folder in there.items():
        if known[:-6] == name[:-6] and known != name and sent(folder):
            with (study / "wandb" / SUPERSEDED).open("a") as file:
                file.write(f"{known}\n")


def sent(folder: Path) -> bool:
    """Whether a wandb run has arrived at a server."""
    return any(folder.glob("*.wandb.synced"))


# To a server


def send(study: Path, entity: str | None) -> None:
    """Send what has not arrived; CommandError if it still has not."""
    waiting = [folder for folder in mirror.folders(study).values() if not sent(folder)]
    said = ""
    for at in range(0, len(waiting), AT_ONCE):
        command = [sys.executable, "-m", "wandb", "sync", "--include-online", *(["-e", entity] if entity else [])]
        command += [str(folder) for folder in waiting[at : at + AT_ONCE]]
        limit = 120 + 10 * len(waiting)  # seconds
        try:
            loud = os.environ | {"WANDB_SILENT": "false"}
            said += subprocess.run(command, capture_output=True, text=True, timeout=limit, env=loud).stderr
        except subprocess.TimeoutExpired:
            said += f"ERROR no answer in {limit} s\n"
    missing = [folder for folder in waiting if not sent(folder)]
    if missing:
        reasons = [line.partition("ERROR ")[2] for line in said.splitlines() if "ERROR " in line]
        why = [*reasons, *reversed(said.splitlines()), "wandb does not say why"][0]
        raise CommandError(f"{len(missing)} runs did not arrive ({why}); to try again: {mirror.sync_line(study)}")
    print(f"sent: {len(waiting)}")
    remove_superseded(study, entity)


def remove_superseded(study: Path, entity: str | None) -> None:
    """Delete aggregates that newer ones replace."""
    note = study / "wandb" / SUPERSEDED
    if note.is_file():
        mirror.delete(mirror.project(study), entity, note.read_text().split())
        note.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m experiments.push", Options, push, argv)


if __name__ == "__main__":
    sys.exit(main())
