"""What the YAML of a study says, and what of it is another than when its decisions were frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from analysis.claims.frozen_study_file import CHOICES, FrozenCell, FrozenStudy
from analysis.replications.published import PROSE
from experiments.config.catalogue import completed
from experiments.store.versions_and_sources import semantics
from experiments.studies.cells import StudyCell
from experiments.studies.study import Study
from lstm_variants.gate import complete_lstm
from lstm_variants.spec import flatten

DECIDES_NOTHING = ("seed", "variant.label", "variant.cite")  # whatever they are
DECISIONS = ("claims", "tasks", "grid", "factors", "search", "extension", "tuning_seeds")


def stated(study: Study, first: int) -> dict[str, Any]:
    """What the study file says, as it is frozen; the confirmation seeds count from `first`."""
    protocol = asdict(study.protocol)
    names = {"study": study.folder.name, "experiment": study.name, "scale": study.scale}
    decisions = {key: protocol[key] for key in (*DECISIONS, "arms") if key != "extension"}
    counts = {"tuning_seeds": study.protocol.tuned_on, "extension": study.protocol.seeds("extend", first)}
    table = {"replication": study.replication.model_dump(mode="json")} if study.replication else {}
    return {**names, **decisions, **counts, **table}


def settings(study: Study, cell: StudyCell) -> dict[str, Any]:
    """Every setting of a cell's runs that is not tuned, and the versions of the code that makes them; JSON values."""
    job = cell.jobs([0], "confirm", study.protocol.points()[0])[0]
    found = flatten({**job.resolved, "semantics": semantics(job)})
    kept = {key: value for key, value in found.items() if key not in (*study.protocol.grid, *DECIDES_NOTHING)}
    return dict(json.loads(json.dumps(kept)))


def _decisive(table: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of a published table decides a verdict: all but its prose."""
    return {key: value for key, value in (table or {}).items() if key not in PROSE}


def without_new_settings(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """What a cell composes to now, less the settings that have come since and stand at their defaults."""
    nothing = {"variant": complete_lstm(), "init": {}, "task": {"name": now["task.name"]}, "model": {}, "train": {}}
    known = flatten(completed(nothing))
    return {key: value for key, value in now.items() if key in then or known.get(key, ...) != value}


def differences(frozen: FrozenStudy, study: Study) -> dict[str, str]:
    """What the study says now that it did not when it was frozen: "then -> now" by key; more arms are no difference."""
    then, now = frozen.content(), json.loads(json.dumps(stated(study, frozen.seeds[0])))
    known = {name: arm for name, arm in now["arms"].items() if name in then["arms"]}
    pairs = [(f"protocol.{key}", then[key], now[key]) for key in DECISIONS]
    pairs += [("protocol.arms", then["arms"], known)]
    pairs.append(("", _decisive(then.get("replication")), _decisive(now.get("replication"))))
    count = study.protocol.seeds("confirm")
    if len(count) < len(frozen.seeds):
        pairs.append(("protocol.confirmation_seeds", len(frozen.seeds), len(count)))
    cells = {(cell.task, cell.arm): cell for cell in study.cells}
    for then_cell in frozen.cells:
        cell = cells.get((then_cell.task, then_cell.arm))
        before = with_blocks({**frozen.settings, **then_cell.settings})
        if cell is None:
            pairs.append((f"{then_cell.arm}, {then_cell.task}", "a part of the study", None))
        elif (after := without_new_settings(settings(study, cell), before)) != before:
            pairs.append(("", before, after))
        elif not same_runs(then_cell, cell):
            pairs.append((f"{then_cell.arm}, {then_cell.task}", then_cell.identity, "other runs"))
    return {key: change for name, old, new in pairs for key, change in apart(name, old, new).items()}


def with_blocks(then: Mapping[str, Any]) -> dict[str, Any]:
    """Frozen settings; older files say of a gate whether it is `shared`, which is its `block`: all units, or one."""
    now = {key: value for key, value in then.items() if not key.endswith(".shared")}
    shared = {key: value for key, value in then.items() if key.endswith(".shared")}
    return {key.replace(".shared", ".block"): "all" if value else 1 for key, value in shared.items()} | now


def apart(name: str, then: Any, now: Any) -> dict[str, str]:
    """Where two JSON values differ, by path."""
    if isinstance(then, list) and isinstance(now, list) and all(isinstance(one, dict) for one in [*then, *now]):
        then, now = ({str(place): one for place, one in enumerate(many)} for many in (then, now))
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return {} if then == now else {name: f"{json.dumps(then)} -> {json.dumps(now)}"}
    keys = dict.fromkeys([*then, *now])
    inner = [apart(f"{name}.{key}".lstrip("."), then.get(key), now.get(key)) for key in keys]
    return {path: change for part in inner for path, change in part.items()}


def same_runs(frozen: FrozenCell, cell: StudyCell) -> bool:
    """Whether a cell as it is now makes the runs that were frozen, at both of its points."""
    points = [frozen.at(choice) for choice in CHOICES]
    return all(cell.jobs([0], "confirm", at.chosen)[0].arm == at.identity for at in points)
