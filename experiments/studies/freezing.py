"""What a study decides, written down with a hash before its first confirmation seed runs, and held to from then on.

A study that says something else later is refused, or frozen again if that is asked for: for confirmation seeds that no
earlier freezing has used, so that nothing which was seen decides what is confirmed. The earlier file is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.claims.frozen_study_file import FILE, KEPT, FrozenCell, FrozenStudy, Predecessor, digest
from analysis.common.command_line import CommandError
from experiments.store.files import atomic, storing, write_json
from experiments.studies.changed_yaml import differences, settings, stated
from experiments.studies.study import Study
from experiments.studies.tuning import chosen_cells


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
