"""The two points of the grid at which a comparison is judged, in words: what was tuned, and what to know of it."""

import itertools
from collections.abc import Mapping
from typing import Any

from analysis.claims.claim import Comparison
from analysis.claims.frozen_study_file import FrozenStudy
from analysis.claims.gathering import tasks_of


def settings(study: FrozenStudy, comparison: Comparison, choice: str) -> str:
    """Where the arms of a comparison are at a choice: `train.lr=0.01`, or `gru train.lr=0.01, lstm train.lr=0.03`."""
    places = {}
    for cell in study.cells:
        if cell.arm in (comparison.arm, comparison.claim.baseline) and cell.task in tasks_of(comparison):
            task = f" on {cell.task}" if comparison.claim.against else ""
            places[cell.arm + task] = " ".join(f"{key}={value}" for key, value in cell.at(choice).chosen.items())
    alike = set(places.values())
    return alike.pop() if len(alike) == 1 else ", ".join(f"{name} {values}" for name, values in places.items())


def tuned(study: FrozenStudy) -> str:
    """What was tuned, in words."""
    return "the learning rate" if list(study.grid) == ["train.lr"] else " and ".join(study.grid)


def luck(study: FrozenStudy) -> list[str]:
    """The caution about a study that tuned on fewer seeds than it confirms on."""
    few = any(len(values) > 1 for values in study.grid.values()) and study.tuning_seeds < len(study.seeds)
    return [f"tuned on {study.tuning_seeds} seeds only: the luck of tuning may tell equal arms apart"] if few else []


def edges(frozen: Mapping[str, Any], comparison: Comparison) -> list[str]:
    """Marks an arm whose best tuned value is the last of the grid: a wider grid might have served it better."""
    marks = []
    for task, name in itertools.product(tasks_of(comparison), (comparison.arm, comparison.claim.baseline)):
        chosen = [cell for cell in frozen["cells"] if (cell["task"], cell["arm"]) == (task, name)]
        at = [f"{key}={cell['chosen'][key]}" for cell in chosen for key in cell["edge"]]
        place = name if task == comparison.task else f"{name}, {task}"
        if at:
            marks.append(f"{place}: tuned to the edge of the grid ({', '.join(at)})")
    return marks
