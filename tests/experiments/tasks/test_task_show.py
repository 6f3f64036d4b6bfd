"""`show task`: a sample as text that fits the terminal, the same sample as a picture, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from task_list import REAL, TASKS, build, write_text

from experiments.show import main

Said = Callable[..., list[str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """The lines that `show task ...` prints."""

    def run(*words: str) -> list[str]:
        assert main(["task", *words]) == 0
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a refusal prints."""

    def run(*words: str) -> str:
        assert main(["task", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def test_every_task_is_listed_with_what_it_asks(said: Said) -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said()[2:]]
    assert [row[0] for row in rows] == [f"`{name}`" for name in TASKS]
    assert all(row[1] for row in rows)
    assert {row[0].strip("`") for row in rows if row[2] == "needs task.path=FILE"} == set(REAL)


def test_a_sample_stands_with_its_chance_line_and_threshold(said: Said) -> None:
    head, _, shown, target, _, foot = said("copy", "task.length=5")
    assert head.startswith("copy: Copy: repeat ten symbols")
    assert shown.split()[1] == "2183445128000090000000000"
    assert target.split()[1] == "0000000000000002183445128"
    assert foot == "chance: recall_accuracy 0.125   solved: recall_accuracy 0.99 (share)"


@pytest.mark.parametrize("name", ["adding", "copy", "sequential_digits", "associative_recall"])
def test_a_long_sample_goes_on_below(name: str, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "64")
    blocks = "\n".join(said(name)).split("\n\n")[1:-1]
    assert len(blocks) > 1
    assert max(len(line) for block in blocks for line in block.split("\n")) <= 64
    names = [line.partition("  ")[0] for line in blocks[0].split("\n")]
    rows = [[line[max(map(len, names)) + 2 :] for line in block.split("\n")] for block in blocks]
    gap = " " if " " in rows[0][0].strip() else ""
    whole = [gap.join(parts) for parts in zip(*rows, strict=True)]
    unfolded = build(name, {}, tmp_path).example().split("\n")
    assert [line[max(map(len, names)) + 2 :] for line in unfolded] == whole


def test_line_ends_in_a_text_do_not_break_the_rows(said: Said, tmp_path: Path) -> None:
    path = write_text(tmp_path, "one\ttwo\n" * 40)
    lines = said("char_lm", f"task.path={path}", "task.length=12")
    assert sum(line.startswith(("input", "target")) for line in lines) == 2
    assert {"␊", "␉"} <= set(lines[2])


def test_a_layout_is_shown_when_asked_for(said: Said) -> None:
    assert "solved: within_.04 0.99" in said("adding", "task.layout=1997")[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "task=nothing: legal are"),
        (["adding", "task.layuot=1997"], "task.layuot: unknown key; did you mean task.layout"),
        (["adding", "task.layout=3"], "task.layout=3: 2016 or 1997 is needed"),
        (["task.layout=1997"], "task.layout=1997: a task must be named"),
        (["char_lm"], "task.path=null: no file; name any text file in UTF-8"),
        (["adding", "counting", "plot=two.png"], "plot=two.png: one task is needed, 2 are named"),
        (["adding", "plot=drawn.foo"], "plot=drawn.foo: Format 'foo' is not supported"),
        (["adding", "plot=no/such/folder.png"], "no/such/folder.png: No such file or directory"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    words: list[str], message: str, refused: Callable[..., str]
) -> None:
    assert refused(*words).startswith(f"python -m experiments.show: {message}")


@pytest.mark.parametrize("name", ["adding", "continual_reber", "counting", "sequential_digits"])
def test_a_sample_is_drawn(name: str, said: Said, tmp_path: Path) -> None:
    """Two seeds give two pictures, one seed one: what is drawn is the sample."""
    pictures = []
    for k, seed in enumerate((0, 0, 1)):
        said(name, f"plot={tmp_path / f'{k}.png'}", f"seed={seed}")
        pictures.append(matplotlib.image.imread(tmp_path / f"{k}.png"))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])
