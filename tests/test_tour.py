"""The notebook in docs/: it runs from its first cell to its last, and shows what its cells give."""

import re
from pathlib import Path

import notebooks
import pytest
from nbformat import NotebookNode

TOUR = Path(__file__).parents[1] / "docs" / "tour.ipynb"
MOST_BYTES = 200_000


def without_numbers(cell: NotebookNode) -> list[tuple[str, list[str]]]:
    """What a cell shows; numbers and what follows from them are #: their last digits depend on the machine."""
    return [
        (kind, re.sub(r"-?\d[\d.]*(e-?\d+)?|\b(True|False)\b", "#", text).split())
        for kind, text in notebooks.shown(cell)
    ]


@pytest.mark.slow
def test_the_tour_runs_and_shows_what_its_cells_give(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    kept, made = notebooks.read(TOUR), notebooks.executed(TOUR, tmp_path / "docs")
    for shown, cell in zip(kept.cells, made.cells, strict=True):
        again = f"python tests/support/notebooks.py docs/tour.ipynb, after: {cell.source}"
        assert without_numbers(shown) == without_numbers(cell), again
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["demo"]  # where make demo has its runs


def test_the_tour_is_small_and_was_run_from_its_first_cell_to_its_last() -> None:
    assert TOUR.stat().st_size <= MOST_BYTES
    cells = [cell for cell in notebooks.read(TOUR).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = [kind for cell in cells for kind, _ in notebooks.shown(cell)]
    assert shown.count("image/png") == 2
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
