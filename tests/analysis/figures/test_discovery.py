"""Figures of the user's folders: found by name, with the parts that they share, read anew when they are named again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import figures

SOURCE = '''"""What is it?"""
from analysis.figures import Layout
from . import _parts
LAYOUT, CAPTION = Layout(order=1), _parts.CAPTION
def numbers(runs, curves): ...
def draw(on): ...
'''


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    figures.use_extensions([])


def test_figures_of_a_folder_share_parts_and_are_read_anew(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("mine", "another"):
        (tmp_path / "figures" / f"{name}.py").write_text(SOURCE)
    for caption in ("old", "new"):
        (tmp_path / "figures" / "_parts.py").write_text(f"CAPTION = '{caption}'\n")
        figures.use_extensions([str(tmp_path)])
        found = figures.discover()
        assert [found[name].CAPTION for name in ("mine", "another")] == [caption, caption]
    assert "_parts" not in found
