"""One wandb run per arm beside those of its seeds, made from the records, for viewers that draw a sample of them only.

A server keeps the rows that it has, so an arm with other runs is another wandb run. One that was sent before is told to
be *superseded* (job type, tag and name; its numbers go from the summary) by an empty run of the same id, which any
``wandb sync`` sends; the saved view leaves it out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.statistics.arm_curves import ArmCurve
from experiments.config.identity import slug
from experiments.tracking import config_and_summary, run_names, wandb_runs

AGGREGATE = "aggregate"
LAYOUT = b"2"  # of names and metrics: an aggregate of another layout is replaced


def described(study: Path, arm: ArmCurve, mark: str) -> dict[str, Any]:
    """wandb.init's arguments for an arm."""
    content = json.loads((study / arm.records[0].rpartition("/")[2] / "run.json").read_text(encoding="utf-8"))
    resolved = {key: value for key, value in content["config"]["resolved"].items() if key != "seed"}
    whole = {"arm": content["arm"], "runs": arm.records, "name": arm.first["name"], "task": arm.first["task"]}
    stem = f"{AGGREGATE}-{slug(content['task']['name'])}-{slug(content['variant'])}"
    phase = f"-{content['phase']}" if content["phase"] else ""
    unique = hashlib.sha256((run_names.token(study) + mark).encode()).hexdigest()[:6]
    return {
        "project": run_names.project(study),
        "id": run_names.shortened(stem, f"-{content['arm']}{phase}-{unique}"),
        "name": run_names.shortened(f"{arm.first['name']}/{arm.first['task']}", f"/all {len(arm.records)} seeds"),
        "group": run_names.group(content),
        "job_type": AGGREGATE,
        "tags": [*run_names.tags(content), AGGREGATE],
        "config": {**resolved, "gates": config_and_summary.gates(resolved["variant"]), AGGREGATE: whole},
    }


def fingerprint(study: Path, arm: ArmCurve) -> str:
    """What changes when a record of the arm does, or its runs are others."""
    marks = [config_and_summary.fingerprint(study / record.rpartition("/")[2]) for record in arm.records]
    return hashlib.sha256(LAYOUT + "".join(marks).encode()).hexdigest()


def replaced(name: str, there: Mapping[str, Path]) -> list[str]:
    """The ids of aggregates of the same arm that a server has, and an aggregate of this id replaces."""
    return [
        known
        for known, folder in there.items()
        if known[:-6] == name[:-6]
        and known != name
        and wandb_runs.sent(folder)
        and wandb_runs.shown(folder) != wandb_runs.SUPERSEDED
    ]


def outlived(study: Path, arms: Sequence[ArmCurve], there: Mapping[str, Path]) -> list[str]:
    """The ids of aggregates of arms of which no run counts any more."""
    current = {described(study, arm, fingerprint(study, arm))["id"][:-6] for arm in arms}
    return [
        name
        for name, folder in there.items()
        if re.fullmatch(rf"{AGGREGATE}-.+-[0-9a-f]{{8}}(-tune|-confirm)?-[0-9a-f]{{6}}", name)
        and not re.fullmatch(r".+-s\d+-[0-9a-f]{8}-[0-9a-f]{6}", name)  # a run of a task of that name
        and name[:-6] not in current
        and wandb_runs.shown(folder) != wandb_runs.SUPERSEDED
    ]


def superseding(study: Path, name: str) -> dict[str, Any]:
    """wandb.init's arguments for the empty run that tells a server that an aggregate is superseded."""
    return {
        "project": run_names.project(study),
        "id": name,
        "name": f"superseded {name}"[: run_names.LONGEST],
        "group": wandb_runs.SUPERSEDED,
        "job_type": wandb_runs.SUPERSEDED,
        "tags": [wandb_runs.SUPERSEDED],
        "config": {},
    }


def superseded(study: Path) -> dict[str, Path]:
    """The superseded aggregates that a server may still have."""
    return {
        name: folder
        for name, folder in wandb_runs.folders(study).items()
        if wandb_runs.shown(folder) == wandb_runs.SUPERSEDED
    }
