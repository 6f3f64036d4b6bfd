"""What a study decides, written down with a hash before its first confirmation seed runs, and held to from then on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from analysis.commandline import CommandError
from analysis.frozen_study import FILE, Choice, FrozenCell, FrozenStudy
from experiments.files import storing, write_json
from experiments.protocol import Cell, Study
from experiments.tuning import chosen_cells

FIXED = ("claims", "tasks", "grid", "factors", "search", "extension", "tuning_seeds")
OPEN = ("claims", "tasks", "arms", "grid", "factors", "search", "tuning_seeds")


def freeze(study: Study) -> FrozenStudy:
    """The frozen decisions of the study: those on disk, checked against what the study says now, else new ones."""
    frozen = FrozenStudy.read(study.folder)
    cells = frozen.cells if frozen else []
    known = {(cell.task, cell.arm) for cell in cells}
    if frozen:
        verify(frozen, study)
    if not frozen or known != {(cell.task, cell.arm) for cell in study.cells}:
        added = [cell for cell in chosen_cells(study) if (cell.task, cell.arm) not in known]
        seeds = frozen.seeds if frozen else study.protocol.seeds("confirm")
        frozen = write(study, {**stated(study), "seeds": seeds, "cells": [*cells, *added]})
    return frozen


def write(study: Study, content: Mapping[str, Any]) -> FrozenStudy:
    """Write study.json; what was written."""
    frozen = FrozenStudy.model_validate(content)
    with storing(study.folder):
        study.folder.mkdir(parents=True, exist_ok=True)
        write_json(study.folder / FILE, frozen.content())
    return frozen.model_copy(update={"hash": frozen.content()["hash"]})


def stated(study: Study) -> dict[str, Any]:
    """What the study file says, as it is frozen."""
    protocol = asdict(study.protocol)
    names = {"study": study.folder.name, "experiment": study.name, "scale": study.scale}
    return {**names, **{key: protocol[key] for key in OPEN}, "extension": study.protocol.seeds("extend")}


def verify(frozen: FrozenStudy, study: Study) -> None:
    """Refuse a study that says anything else now than when it was frozen; new arms outside the claims may come."""
    now = json.loads(json.dumps(stated(study)))
    then = frozen.content()
    changed = [key for key in FIXED if now[key] != then[key]]
    changed += [f"arms.{name}" for name, said in frozen.arms.items() if now["arms"].get(name) != said]
    changed += ["confirmation_seeds"] * (study.protocol.confirmation_seeds < len(frozen.seeds))
    if not changed:
        changed = moved(frozen, study)
    if changed:
        legal = "the claim stands as frozen; a changed one is another study: study=outputs/ANOTHER"
        where = study.folder / FILE
        raise CommandError(f"protocol.{changed[0]} was changed after {where} was frozen ({frozen.hash}): {legal}")


def moved(frozen: FrozenStudy, study: Study) -> list[str]:
    """The frozen cells whose runs would now be others: a setting outside the protocol was changed."""
    cells = {(cell.task, cell.arm): cell for cell in study.cells}
    return [f"arms.{one.arm}" for one in frozen.cells if not same_runs(one, cells.get((one.task, one.arm)))]


def same_runs(frozen: FrozenCell, cell: Cell | None) -> bool:
    """Whether a cell as it is now makes the runs that were frozen, at both of its points."""
    points: list[Choice] = [frozen, *([frozen.own] if frozen.own else [])]
    return cell is not None and all(cell.jobs([0], "confirm", at.chosen)[0].arm == at.identity for at in points)
