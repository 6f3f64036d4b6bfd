"""What tells the runs of a study apart: each arm, task, point of the grid and seed stays what it is called."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from experiments.config import words
from experiments.config.schema import ConfigError, refuse
from experiments.studies.cells import StudyCell
from experiments.studies.protocol import Protocol

DIFFERENCES = ("variant", "init", "task", "model", "train")  # what may tell arms, tasks and points of a grid apart


def check_differences(protocol: Protocol) -> None:
    """Refuse what can be no difference between the runs of a study.

    Raises:
        ConfigError: naming the word.
    """
    given = [(f"protocol.tasks.{task}", word) for task, on in protocol.tasks.items() for word in on]
    given += [(f"protocol.arms.{arm}", word) for arm, changed in protocol.arms.items() for word in changed]
    given += [("protocol.grid", f"{key}={values}") for key, values in protocol.grid.items()]
    for where, word in given:
        if key_of(word).partition(".")[0].partition("/")[0] not in DIFFERENCES:
            raise ConfigError(f"{where}: {word}: runs of a study differ in {', '.join(DIFFERENCES)} only")
    for key, values in [*protocol.grid.items(), *protocol.factors.items()]:
        if not values:
            raise refuse(f"{key}", values, "no values, so there is nothing to run")


def check_arms_differ(protocol: Protocol, cells: Iterable[StudyCell]) -> None:
    """Refuse two arms that are one: their comparison would say nothing.

    Raises:
        ConfigError: naming the two.
    """
    known: dict[tuple[str, str], str] = {}
    for cell in [] if protocol.search else cells:
        (job,) = cell.jobs([0], "confirm", protocol.points()[0])
        if (other := known.setdefault((cell.task, job.arm), cell.arm)) != cell.arm:
            raise ConfigError(f"protocol.arms: {other} and {cell.arm} are the same runs on {cell.task}")


def check_overrides(protocol: Protocol, overrides: Sequence[str]) -> None:
    """Refuse words of which others leave nothing: each arm, task, point of the grid and seed stays what it is called.

    Raises:
        ConfigError: naming the word.
    """
    grid = [f"{key}=..." for key in protocol.grid]
    for (task, on), (arm, changed) in itertools.product(protocol.tasks.items(), protocol.arms.items()):
        given = [(f"protocol.tasks.{task}", word) for word in on]
        given += [(f"protocol.arms.{arm}", word) for word in changed]
        given += [("protocol.grid", word) for word in grid]
        for place, (where, word) in enumerate(given):
            if before := next((there for there, other in given[:place] if key_of(other) == key_of(word)), None):
                raise ConfigError(f"{where}: {word} is said in {before} too")
    fixed = [*protocol.grid, "seed", *(["task"] if any(protocol.tasks.values()) else [])]
    fixed += [key_of(word) for changed in protocol.arms.values() for word in changed]
    for word in overrides:
        if any(words.overlap(key_of(word), key) for key in fixed):
            raise ConfigError(f"{word}: the study's own arms, tasks, grid and seeds say this")


def key_of(word: str) -> str:
    return word.partition("=")[0]
