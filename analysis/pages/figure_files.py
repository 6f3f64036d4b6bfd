"""Every figure of a report as files, and what the pages say about each."""

import base64
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from analysis import figures
from analysis.arms import counted_runs, order
from analysis.common import resources
from analysis.common.command_line import CommandError, nearest
from analysis.figures import Drawing
from analysis.pages.formats import write_csv
from analysis.records.load import Records

MANY = 2000  # runs from which on figures are drawn in several processes
WORKERS = 3
MOST = 60  # names from which on a figure would say nothing: the draws of a random search


def drawings(
    folder: Path, records: Records, width: float, extensions: Sequence[str], asked: Sequence[str]
) -> list[dict[str, str]]:
    """Write the figures and return what the pages say about each; of many runs in several processes.

    asked: the names of figures; none: all that a report has unasked, as far as they make sense. Raises CommandError for
    one that is asked for and does not.
    """
    figures.use_extensions(extensions)
    names = [name for name, figure in figures.discover().items() if (name in asked if asked else figure.LAYOUT.unasked)]
    workers = min(WORKERS, resources.cores())
    if len(records.runs) < MANY or workers == 1:
        made = [draw(folder, records, width, name) for name in names]
    else:
        users = (figures.use_extensions, (extensions,))
        with ProcessPoolExecutor(workers, get_context("spawn"), *users) as pool:
            made = list(pool.map(partial(draw, folder, records, width), names))
    for name, texts in zip(names, made, strict=True):
        if asked and not texts:
            raise CommandError(f"figures={name}: these runs have nothing that it could draw")
    return [texts for texts in made if texts]


def refuse_unknown(asked: Sequence[str]) -> None:
    """Raise CommandError if there is no such figure."""
    known = list(figures.discover())
    for name in asked:
        if name not in known:
            raise CommandError(f"figures={name}: there is no such figure{nearest(name, known)}")


def draw(folder: Path, records: Records, width: float, name: str) -> dict[str, str]:
    """Write one figure and its numbers; what the pages say about it, nothing if it makes no sense for these runs."""
    figure = figures.discover()[name]
    with figures.failures_named(name):
        numbers = figure.numbers(records.runs, records.curves)
        if numbers.empty or numbers["name"].nunique() > MOST:
            return {}
        figures.save(figures.sheet(figure, numbers, records.runs, width), folder / name)
    write_csv(numbers, folder / f"{name}.csv")
    picture = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
    title = name.replace("_", " ").capitalize()
    remark = figure.remark(numbers) if hasattr(figure, "remark") else ""
    texts = {
        "part": figure.LAYOUT.part,
        "question": figures.question(figure),
        "caption": f"{figure.CAPTION} {remark}." if remark else figure.CAPTION,
    }
    alt = alternative(name, figure, numbers, records.runs)
    return {"name": name, "title": title, **texts, "alt": alt, "data": f"data:image/png;base64,{picture}"}


def alternative(name: str, figure: Drawing, numbers: pd.DataFrame, runs: pd.DataFrame) -> str:
    """What a figure shows, for those who do not see it."""
    drawn = set(numbers["name"])
    shown = [row for row in order.rows(counted_runs.reported(runs)) if row in drawn]
    panels = f"{figures.question(figure)} Panels: {', '.join(order.tasks(numbers))}. "
    variants = f"Variants: {', '.join(shown)}. " if shown else ""
    return f"{panels}{variants}The numbers are in figures/{name}.csv."
