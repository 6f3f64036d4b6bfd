"""Figures of archived studies as the pictures of a page: drawn from the archive, so that anybody draws them again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from analysis import figures
from analysis.claims.claimed_runs import with_claims
from analysis.claims.frozen_study_file import SHARED, FrozenStudy
from analysis.common.command_line import CommandError, nearest
from analysis.figures import Drawing
from analysis.pages.chosen_variants import choose
from analysis.pages.figure_files import alternative
from analysis.publishing.studies import Study
from analysis.records.load import Records


@dataclass(frozen=True)
class Picture:
    """One figure of one study. path: the file, below the folder of the page; numbers: all that it draws."""

    path: str
    figure: Drawing
    numbers: pd.DataFrame
    runs: pd.DataFrame

    @property
    def digest(self) -> str:
        """16 hex digits that change with what is drawn; they stand in the PNG."""
        text = self.numbers.to_csv(index=False, float_format="%.9g", lineterminator="\n")
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def write(self, folder: Path) -> None:
        """Draw it; the same numbers give the same bytes."""
        (folder / self.path).parent.mkdir(parents=True, exist_ok=True)
        page = figures.sheet(self.figure, self.numbers, self.runs)
        figures.save_png(page, folder / self.path, f"numbers {self.digest}")


@dataclass
class Pictures:
    """The pictures of one page. folder: where they stand, below that of the page."""

    folder: str
    chosen: dict[str, Picture] = field(default_factory=dict)

    def add(self, study: Study, name: str, variants: Sequence[str], tasks: Sequence[str]) -> str:
        """A figure of a study, of some of its variants and tasks, as Markdown; CommandError if it would be empty."""
        known = figures.discover()
        if name not in known:
            raise CommandError(f"picture of {study.name}: there is no figure {name}{nearest(name, known)}")
        records, figure = shown(study, variants, tasks), known[name]
        numbers = figure.numbers(records.runs, records.curves)
        if numbers.empty:
            raise CommandError(f"picture of {study.name}: its runs have nothing that {name} could draw")
        path = f"{self.folder}/{study.name}-{name}.png"
        self.chosen[path] = Picture(path, figure, numbers, records.runs)
        text, _, _ = alternative(name, figure, numbers, records.runs).rpartition(" The numbers are in")
        return f"![{text.translate(dict.fromkeys(map(ord, '[]')))}]({path})"


def shown(study: Study, variants: Sequence[str], tasks: Sequence[str]) -> Records:
    """The runs of a study that a picture shows: its arms by their names, all at the point of the grid that they share.

    Of a study of settings, over a grid or by a search, all runs. Raises CommandError if it is not archived.
    """
    if study.gathered is None:
        raise CommandError(f"picture of {study.name}: it is not archived")
    everything, frozen = study.gathered.everything, study.frozen
    chosen = choose(replace(everything, runs=frozen.current(everything.runs)), variants, [], tasks)
    runs = chosen.runs if frozen.factors or frozen.search else by_arm(chosen.runs, frozen)
    return replace(chosen, runs=with_claims(runs, [frozen]))


def by_arm(runs: pd.DataFrame, frozen: FrozenStudy) -> pd.DataFrame:
    """The confirmation runs at the shared point, in rows and panels that are called as the study calls them."""
    cells = {cell.at(SHARED).identity: (cell.task, cell.arm) for cell in frozen.cells}
    rows = runs[(runs["phase"] == "confirm") & runs["arm"].isin(cells)]
    tasks, names = ([cells[arm][part] for arm in rows["arm"]] for part in (0, 1))
    order = list(dict.fromkeys(cell.arm for cell in frozen.cells))
    return rows.assign(task=tasks, name=names, place=[order.index(name) for name in names])
