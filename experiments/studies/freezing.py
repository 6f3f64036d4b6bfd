"""What a study decides, written down with a hash before its first confirmation seed runs, and held to from then on.

A study that says something else later is refused, or frozen again if that is asked for: for confirmation seeds that no
earlier freezing has used, so that nothing which was seen decides what is confirmed. The earlier file is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from analysis.claims.frozen_study import CHOICES, FILE, KEPT, FrozenCell, FrozenStudy, Predecessor, digest
from analysis.common.command_line import CommandError
from analysis.replications.published import PROSE
from experiments.config.catalogue import completed
from experiments.store.files import atomic, storing, write_json
from experiments.store.versions_and_sources import semantics
from experiments.studies.cells import StudyCell
from experiments.studies.study import Study
from experiments.studies.tuning import chosen_cells
from lstm_variants.spec import complete_lstm, flatten

DECIDES_NOTHING = ("seed", "variant.label", "variant.cite")  # whatever they are
DECISIONS = ("claims", "tasks", "grid", "factors", "search", "extension", "tuning_seeds")


def freeze(study: Study, again: bool = False) -> FrozenStudy:
    """The frozen decisions of the study: those on disk, if the study still says the same, else new ones.

    again: whether a study that says something else, or whose file cannot be used, is frozen again.
    Raises:
        CommandError: if it is not to be, naming the key that was changed.
    """
    frozen = frozen_before(study, again)
    changes = differences(frozen, study) if frozen else {}
    if frozen and changes and not again:
        first = next(iter(changes))
        legal = "what was frozen stands; refreeze=true freezes the study as it is now, for fresh confirmation seeds"
        raise CommandError(f"{first} was changed after {study.folder / FILE} was frozen ({frozen.hash}): {legal}")
    if frozen and not changes:
        return with_more_arms(frozen, study)
    return freeze_anew(study, frozen, [f"{key}: {change}" for key, change in changes.items()])


def frozen_before(study: Study, again: bool) -> FrozenStudy | None:
    """The study.json on disk; None if there is none, or none that can be used and the study is frozen again."""
    try:
        return FrozenStudy.read(study.folder)
    except CommandError:
        if not again:
            raise
        return None


def with_more_arms(frozen: FrozenStudy, study: Study) -> FrozenStudy:
    """The same decisions; arms that have come since are written down beside them."""
    known = {(cell.task, cell.arm) for cell in frozen.cells}
    if known == {(cell.task, cell.arm) for cell in study.cells}:
        return frozen
    added = [cell for cell in chosen_cells(study) if (cell.task, cell.arm) not in known]
    _, cells = composed(study, added, frozen.settings)
    arms = {**frozen.arms, **study.protocol.arms}
    return write(study, frozen.model_copy(update={"arms": arms, "cells": [*frozen.cells, *cells]}))


def freeze_anew(study: Study, before: FrozenStudy | None, changed: Sequence[str]) -> FrozenStudy:
    """Freeze what the study says now. before: the freezing that is replaced, if it can be read."""
    used = used_seeds(study, before)
    first = max(used, default=-1) + 1
    settings, cells = composed(study, chosen_cells(study), None)
    content = {**stated(study, first), "seeds": study.protocol.seeds("confirm", first)}
    content |= {"settings": settings, "cells": cells, "predecessor": predecessor(study, before, used, changed)}
    frozen = write(study, FrozenStudy.model_validate(content))
    if frozen.predecessor:
        print(frozen.history, file=sys.stderr)
    return frozen


def write(study: Study, frozen: FrozenStudy) -> FrozenStudy:
    """Write study.json; what was written."""
    content = frozen.content()
    with storing(study.folder):
        study.folder.mkdir(parents=True, exist_ok=True)
        write_json(study.folder / FILE, content)
    return FrozenStudy.model_validate(content)


def predecessor(
    study: Study, before: FrozenStudy | None, used: Sequence[int], changed: Sequence[str]
) -> Predecessor | None:
    """What a new freezing comes after, its file kept beside; None if nothing came before."""
    path = study.folder / FILE
    if not path.exists():
        gone = [f"{FILE} was removed"]
        return Predecessor(hash=None, file=None, used=list(used), changed=gone) if used else None
    text = path.read_bytes()
    name = before.hash if before else digest(text.decode(errors="replace"))
    kept = path.with_name(KEPT.format(name))
    with storing(study.folder), atomic(kept) as file:
        file.write(text)
    changed = list(changed) or [f"{FILE} could not be used"]
    return Predecessor(hash=name, file=kept.name, used=list(used), changed=changed)


def used_seeds(study: Study, before: FrozenStudy | None) -> list[int]:
    """Every confirmation seed that has been seen: all those of an earlier freezing once one of its runs is there."""
    seen = {seed for path in study.folder.glob("*/run.json") if (seed := confirmed(path.read_text())) is not None}
    earlier = {*before.seeds, *before.extension} if before else set()
    return sorted({*seen, *(earlier if seen & earlier else ()), *(before.used if before else ())})


def confirmed(text: str) -> int | None:
    """The seed of a confirmation run's record, None for any other."""
    try:
        record = json.loads(text)
        return int(record["seed"]) if record["phase"] == "confirm" else None
    except (ValueError, KeyError, TypeError):
        return None


# What a study says


def stated(study: Study, first: int) -> dict[str, Any]:
    """What the study file says, as it is frozen; the confirmation seeds count from `first`."""
    protocol = asdict(study.protocol)
    names = {"study": study.folder.name, "experiment": study.name, "scale": study.scale}
    decisions = {key: protocol[key] for key in (*DECISIONS, "arms") if key != "extension"}
    counts = {"tuning_seeds": study.protocol.tuned_on, "extension": study.protocol.seeds("extend", first)}
    table = {"replication": study.replication.model_dump(mode="json")} if study.replication else {}
    return {**names, **decisions, **counts, **table}


def composed(
    study: Study, cells: Sequence[FrozenCell], common: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[FrozenCell]]:
    """What cells compose to: the settings that all share (unless given as `common`), and each with its others."""
    found = {(cell.task, cell.arm): settings(study, cell) for cell in study.cells}
    composed_to = [found[cell.task, cell.arm] for cell in cells]
    if common is None:
        common = {
            key: value
            for key, value in composed_to[0].items()
            if all(other.get(key, ...) == value for other in composed_to)
        }
    others = [
        {key: value for key, value in settings_of.items() if common.get(key, ...) != value}
        for settings_of in composed_to
    ]
    return dict(common), [
        cell.model_copy(update={"settings": other}) for cell, other in zip(cells, others, strict=True)
    ]


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
