"""What a study decides, written down with a hash before its first confirmation seed runs, and held to from then on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from analysis import claims
from analysis.commandline import CommandError
from experiments.files import storing, write_json
from experiments.protocol import Cell, Study
from experiments.tuning import chosen_cells

Frozen = dict[str, Any]
FIXED = ("claims", "tasks", "grid", "factors", "search", "extension", "tuning_seeds")


def freeze(study: Study) -> Frozen:
    """The frozen decisions of the study: those on disk, checked against what the study says now, else new ones."""
    frozen = claims.read(study.folder)
    cells = frozen["cells"] if frozen else []
    known = {(cell["task"], cell["arm"]) for cell in cells}
    if frozen:
        verify(frozen, study)
    if not frozen or known != {(cell.task, cell.arm) for cell in study.cells}:
        added = [cell for cell in chosen_cells(study) if (cell["task"], cell["arm"]) not in known]
        seeds = frozen["seeds"] if frozen else study.protocol.seeds("confirm")
        frozen = {**stated(study), "seeds": seeds, "cells": [*cells, *added]}
        frozen["hash"] = digest(frozen)
        with storing(study.folder):
            study.folder.mkdir(parents=True, exist_ok=True)
            write_json(study.folder / claims.FILE, frozen)
    return frozen


def stated(study: Study) -> Frozen:
    """What the study file says, as it is frozen."""
    protocol = study.protocol
    parts = {
        key: asdict(protocol)[key] for key in ("claims", "tasks", "arms", "grid", "factors", "search", "tuning_seeds")
    }
    names = {"schema": claims.SCHEMA, "study": study.folder.name, "experiment": study.name, "scale": study.scale}
    return {**names, **parts, "extension": protocol.seeds("extend")}


def digest(frozen: Frozen) -> str:
    """16 hex digits over everything that is frozen."""
    content = {key: value for key, value in frozen.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def verify(frozen: Frozen, study: Study) -> None:
    """Refuse a study that says anything else now than when it was frozen; new arms outside the claims may come."""
    where = study.folder / claims.FILE
    if digest(frozen) != frozen["hash"]:
        raise CommandError(f"{where} was changed by hand: its hash is {digest(frozen)}, not {frozen['hash']}")
    now = json.loads(json.dumps(stated(study)))
    changed = [key for key in FIXED if now[key] != frozen[key]]
    changed += [f"arms.{name}" for name, said in frozen["arms"].items() if now["arms"].get(name) != said]
    changed += ["confirmation_seeds"] * (study.protocol.confirmation_seeds < len(frozen["seeds"]))
    if not changed:
        changed = moved(frozen, study)
    if changed:
        legal = "the claim stands as frozen; a changed one is another study: study=outputs/ANOTHER"
        raise CommandError(f"protocol.{changed[0]} was changed after {where} was frozen ({frozen['hash']}): {legal}")


def moved(frozen: Frozen, study: Study) -> list[str]:
    """The frozen cells whose runs would now be others: a setting outside the protocol was changed."""
    cells = {(cell.task, cell.arm): cell for cell in study.cells}
    now = {key: cell.jobs([0], "confirm", chosen)[0].arm for key, cell, chosen in matched(frozen, cells)}
    return [f"arms.{one['arm']}" for one in frozen["cells"] if now.get((one["task"], one["arm"])) != one["identity"]]


def matched(frozen: Frozen, cells: Mapping[tuple[str, str], Cell]) -> list[tuple[tuple[str, str], Cell, Any]]:
    """Every frozen cell that is still part of the study: its key, the cell as it is now, the value chosen."""
    keys = [((one["task"], one["arm"]), one["chosen"]) for one in frozen["cells"]]
    return [(key, cells[key], chosen) for key, chosen in keys if key in cells]
