"""The figures of what was found inside the trained net of one run, as wandb's media."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from analysis.records import inside
from analysis.records.load import load_one
from experiments.tracking import failures

PART = "Looking inside"  # of a report: its figures


def of_run(folder: Path) -> dict[str, bytes]:
    """`inside/NAME` -> a PNG, of every figure that one run alone fills; none if nobody looked inside it."""
    if not (folder / inside.NPZ).is_file():
        return {}
    try:
        return dict(_drawn(folder))
    except Exception as error:  # whatever it is, the run is whole and so are its numbers
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        failures.say_once("pictures", f"warning: wandb: the figures of {folder.name} could not be drawn: {reason}")
        return {}


def _drawn(folder: Path) -> Iterator[tuple[str, bytes]]:
    from analysis import figures  # slow to import, and needed where something was found only

    records = load_one(folder)
    for name, figure in figures.discover().items():
        if figure.LAYOUT.part == PART:
            numbers = figure.numbers(records.runs, records.curves)
            if len(numbers):
                yield f"inside/{name}", figures.picture(figures.sheet(figure, numbers, records.runs))
