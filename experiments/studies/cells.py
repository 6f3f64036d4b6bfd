"""One arm on one task of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.config import python_values
from experiments.config.compose import Composer
from experiments.config.job import Job


@dataclass(frozen=True)
class StudyCell:
    """One arm on one task, and the words of a command line that make it."""

    task: str
    arm: str
    overrides: tuple[str, ...]
    composer: Composer

    def jobs(self, seeds: Sequence[int], phase: str, point: Mapping[str, Any]) -> list[Job]:
        """The runs of this cell at one point of the grid, one per seed."""
        job = self.composer.job([*self.overrides, *python_values.words(point.items()), "protocol=null"])
        return [job.with_seed(seed, phase) for seed in seeds]


def key_of(word: str) -> str:
    """The key of a word of a command line."""
    return word.partition("=")[0]
