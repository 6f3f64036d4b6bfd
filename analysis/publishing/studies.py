"""The studies of a folder of archives, as the templates of pages see them: claims with their verdicts, and numbers."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.arms import counted_runs
from analysis.claims import seeds_to_decide
from analysis.claims.claim import Comparison, comparisons
from analysis.claims.finding import written
from analysis.claims.frozen_study_file import OWN, SHARED, FrozenStudy
from analysis.claims.verdicts import Verdict, judge, overall
from analysis.common.command_line import CommandError, nearest
from analysis.pages.build import Gathered, Request, gather
from analysis.pages.listings import counts
from analysis.records import archive
from analysis.replications import published_verdicts
from analysis.replications.published import Replication
from analysis.replications.published_verdicts import CellVerdict
from analysis.statistics.estimates import median_interval


@dataclass(frozen=True)
class Judged:
    """A claim of a study, or some of its comparisons.

    study: its name; sentence: the claim's; pairs: comparisons with their verdicts, none if the study is not archived;
    takes: what it would take to decide each, nothing for one that is decided.
    """

    study: str
    sentence: str
    pairs: tuple[tuple[Comparison, Verdict], ...]
    takes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """That on all comparisons together."""
        return overall([verdict for _, verdict in self.pairs])

    @property
    def standing(self) -> str:
        """How a sentence says that it is open: undecided, or not tested yet."""
        return "not tested yet" if self.verdict == "not run" else "undecided"

    @property
    def size(self) -> str:
        """The estimate of the one comparison."""
        return self._only.size

    @property
    def interval(self) -> str:
        """The 95 % interval of the one comparison."""
        return f"[{written(self._only.low)}, {written(self._only.high)}]"

    def of(self, arm: str, task: str = "") -> "Judged":
        """The comparisons of one arm, on one task; CommandError if there is none."""
        if not self.pairs:
            return self
        chosen = [place for place, (pair, _) in enumerate(self.pairs) if pair.arm == arm and task in ("", pair.task)]
        if not chosen:
            known = dict.fromkeys(f"{pair.arm}, {pair.task}" for pair, _ in self.pairs)
            wanted = f"{arm}, {task}" if task else arm
            raise CommandError(f"{self.study}: {self.sentence!r} has no comparison of {wanted}{nearest(wanted, known)}")
        pairs, takes = tuple(self.pairs[place] for place in chosen), tuple(self.takes[place] for place in chosen)
        return dataclasses.replace(self, pairs=pairs, takes=takes)

    @property
    def reproduced(self) -> "Needed":
        return Needed(self, ("reproduced",))

    @property
    def refuted(self) -> "Needed":
        return Needed(self, ("refuted",))

    @property
    def open(self) -> "Needed":
        """That it is undecided, or not run."""
        return Needed(self, ("undecided", "not run"))

    @property
    def _only(self) -> Verdict:
        if len(self.pairs) != 1:
            raise CommandError(
                f"{self.study}: {self.sentence!r} has {len(self.pairs)} comparisons and no one size: say of which arm"
            )
        return self.pairs[0][1]


@dataclass(frozen=True)
class Needed:
    """A claim with the verdict that a sentence needs of it."""

    claim: Judged
    words: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.claim.verdict in self.words

    def __str__(self) -> str:
        arms = ", ".join(dict.fromkeys(pair.arm for pair, _ in self.claim.pairs))
        which = f" ({arms})" if arms else ""
        wanted = " or ".join(self.words)
        return f"{self.claim.study}: {self.claim.sentence!r}{which} to be {wanted}, and it is {self.claim.verdict}"


@dataclass(frozen=True)
class Number:
    """The median over the confirmation seeds of one arm on one task, all arms at the shared point of the grid."""

    study: str
    of: str  # which number, of which arm and task
    value: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        return written(self.value)


@dataclass(frozen=True)
class Study:
    """One study; of one that is not archived there is the name only."""

    name: str
    gathered: Gathered | None = None

    @property
    def archived(self) -> bool:
        return self.gathered is not None

    @property
    def frozen(self) -> FrozenStudy:
        if self.gathered is None:
            raise CommandError(f"{self.name} is not archived")
        return self.gathered.frozen[0]

    @property
    def runs(self) -> pd.DataFrame:
        """Every run that the archive holds."""
        if self.gathered is None:
            raise CommandError(f"{self.name} is not archived")
        return self.gathered.everything.runs

    @cached_property
    def stale(self) -> str:
        """How many runs were made by other versions of the code than today's, and of what; nothing if none was."""
        return counted_runs.stale(self.runs) if self.archived else ""

    @property
    def counts(self) -> str:
        """How many runs the archive holds, and how they ended."""
        return counts(self.runs).splitlines()[0].partition(": ")[2]

    @property
    def sizes(self) -> str:
        """How large the nets are and how long they train."""
        columns = {"hidden size": "parameters.hidden_size", "steps": "config.resolved.train.steps"}
        parts = []
        for what, column in columns.items():
            values = self.runs[column].dropna().astype(int)
            ends = dict.fromkeys(f"{end:,}" for end in (values.min(), values.max()))
            parts.append(f"{what} {' to '.join(ends)}")
        return ", ".join(parts)

    @property
    def notes(self) -> list[str]:
        """What to know of the runs of the comparisons, and which records could not be read, a line each."""
        said = [note for judged in self.claims for _, verdict in judged.pairs for note in verdict.note.split("; ")]
        notes = [note for note in dict.fromkeys(said) if note.endswith("diverged") or "unsolved" in note]
        skipped = self.gathered.everything.skipped if self.gathered else []
        return notes + [f"not counted: {record}, {reason}" for record, reason in skipped]

    @property
    def scored(self) -> bool:
        """Whether any run counts: not if all are stale."""
        return self.gathered is not None and len(counted_runs.scored(self.gathered.shown.runs)) > 0

    @cached_property
    def claims(self) -> list[Judged]:
        """The claims in their order, with the verdict on each of their comparisons."""
        if self.gathered is None:
            return []
        wanted = comparisons(self.frozen.claims, list(self.frozen.tasks))
        verdicts = judge(self.gathered.everything, self.frozen)
        pairs = list(zip(wanted, verdicts, strict=True))
        twice = bool(self.frozen.extension)
        found = []
        for claim in self.frozen.claims:
            own = [pair for pair in pairs if pair[0].claim.sentence == claim.sentence]
            takes = [seeds_to_decide.would_take(verdict, pair, len(pairs), twice) for pair, verdict in own]
            found.append(Judged(self.name, claim.sentence, tuple(own), tuple(takes)))
        return found

    def claim(self, sentence: str) -> Judged:
        """The claim of this sentence, "not run" if the study is not archived; CommandError if there is none."""
        if not self.archived:
            return Judged(self.name, sentence, ())
        known = {judged.sentence: judged for judged in self.claims}
        if sentence not in known:
            raise CommandError(f"{self.name} has no claim {sentence!r}{nearest(sentence, known)}")
        return known[sentence]

    def number(self, task: str, arm: str, column: str) -> Number:
        """A column of the frame of runs, `score` or `inside.around/string start/forget`; CommandError without one."""
        runs = self.confirmed(task, arm)
        if column not in runs or runs[column].isna().any():
            raise CommandError(f"{self.name}: {arm} on {task} has no {column} for every seed")
        spread = median_interval(runs[column].astype(float))
        ends = float(spread.median), float(spread.low), float(spread.high)
        return Number(self.name, f"{column} of {arm} on {task}", *ends, seeds=len(runs))

    def confirmed(self, task: str, arm: str) -> pd.DataFrame:
        """The confirmation runs of an arm on a task that count, at the point of the grid that all arms share."""
        cells = {(cell.task, cell.arm): cell.at(SHARED).identity for cell in self.frozen.cells}
        if (task, arm) not in cells:
            known = [f"{arm} on {task}" for task, arm in cells]
            raise CommandError(f"{self.name} has no {arm} on {task}{nearest(f'{arm} on {task}', known)}")
        runs = counted_runs.scored(self.frozen.current(self.runs))
        return runs[(runs["arm"] == cells[task, arm]) & (runs["phase"] == "confirm")]

    @property
    def published(self) -> Replication:
        """The published table that the study runs again; CommandError unless it does."""
        if self.frozen.replication is None:
            raise CommandError(f"{self.name} replicates no published table")
        return Replication.model_validate(self.frozen.replication)

    @cached_property
    def replicated(self) -> list[CellVerdict]:
        """The rows of that table, with what came of each."""
        if self.gathered is None or self.frozen.replication is None:
            return []
        return published_verdicts.judge(self.gathered.everything, self.frozen)

    @property
    def edges(self) -> list[str]:
        """What was tuned to the edge of the grid, a line each."""
        marks = [
            f"{cell.arm} on {cell.task} ({key}={point.chosen[key]})"
            for cell in self.frozen.cells
            for point in (cell.at(SHARED), cell.at(OWN))
            for key in point.edge
        ]
        return list(dict.fromkeys(marks))


@functools.lru_cache(maxsize=64)
def opened(folder: Path) -> Study:
    """A study of a folder of archives; CommandError if what is there is no sound archive of a frozen study."""
    if not folder.exists():
        return Study(folder.name)
    if not archive.is_archive(folder):
        raise CommandError(f"{folder} is no archive: python -m experiments.archive makes one")
    gathered = gather(Request([str(folder)]))
    if not gathered.frozen:
        raise CommandError(f"{folder} has no study.json: it has no claims that a page could rest on")
    if gathered.frozen[0].study != folder.name:
        raise CommandError(f"{folder} is the archive of {gathered.frozen[0].study}: a page looks for it by that name")
    return Study(folder.name, gathered)


def archived(results: Path) -> Sequence[str]:
    """The names of the studies that a folder holds."""
    return sorted(folder.name for folder in results.iterdir() if folder.is_dir()) if results.is_dir() else []
