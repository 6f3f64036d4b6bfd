"""Whatever a label, a task or a study is called, every format of a report shows that name and nothing else."""

import csv
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.dom import minidom

import pandas as pd
import pytest
import records
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis import figures, report, runs
from analysis.arms import arms
from analysis.common import escaping
from analysis.figures import _text, scores, solve_curves
from analysis.pages import formats, macros, tables
from analysis.records.load import load

HOSTILE = [
    "_lead ~under^ #1",
    "$a_1$ & 50% {x}",
    "\\alpha \\input{x} | b\\",
    "<b>bold</b> &amp; `code` [l](http://x)",
    '=SUM(A1),"q", it\'s',
    "two\nlines\ttab \x1b[31mred\x07 \x00 \ud800 \udce9",
    "日本語 😀 👩‍👩‍👧",
    "עברית \u202eabc مرحبا",
    "[x]: http://x",
    "*star* **s** __d__ --- ''",
    "1. ²x",
    "chance",
    "   ",
    "W" * 3000,
]
NAMES = st.text(st.characters(codec=None), max_size=20) | st.text(st.sampled_from("\\|`*_{}[]()<>#+-.!~$%&^\"'=:,/ \n"))


def examples(test):
    for name in HOSTILE:
        test = example(name=name)(test)
    return given(name=NAMES)(settings(max_examples=60, deadline=None)(test))


@examples
def test_a_name_is_on_one_line_and_can_be_printed(name):
    shown = escaping.tidy(name)
    assert escaping.tidy(shown) == shown
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)


@examples
def test_markdown_shows_a_name_and_nothing_else(name):
    cell, shown = escaping.in_markdown(name), escaping.tidy(name)
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for text in (f"# {cell} #", f"- {cell}", f"| a | b |\n| --- | --- |\n| {cell} | {cell} |"):
        inline = [token for token in reader.parse(text) if token.type == "inline" and token.content not in ("a", "b")]
        parts = [part for token in inline for part in token.children or []]
        assert {part.type for part in parts} <= {"text", "text_special"}
        assert "".join(part.content for part in parts) == (shown * (2 if "|" in text[:1] else 1))
    assert len(reader.parse(f"- {cell}")) <= 7


def typeset(text: str) -> str:
    """What LaTeX prints of a cell: the few commands that there are, anything else being refused."""
    printed, commands = "", {"backslash": "\\", "asciitilde": "~", "asciicircum": "^", "bar": "|", "less": "<"}
    commands |= {"greater": ">", "asciigrave": "`"}
    for part in re.findall(r"\\text\w+\{\}|\\[&%$#_{}]|\{[\[*]\}|[-',]\{\}|[^\\{}&%$#_~^|<>`\[*]|.", text, re.DOTALL):
        if part.startswith("\\text"):
            printed += commands[part[5:-2]]
        else:
            assert len(part) > 1 or part not in "\\{}&%$#_~^|<>`[*"
            printed += part[1] if part[0] in "\\{" else part[0]
    return printed


@examples
def test_latex_prints_a_name_and_nothing_else(name):
    cell = escaping.in_latex(name)
    assert typeset(cell) == escaping.tidy(name)
    assert not re.search(r"--|''|,,|\n", cell)


@examples
def test_csv_gives_a_name_back(name, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    formats.write_csv(pd.DataFrame({"name": [name, "LSTM"], "n": [1, 2]}), path)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["name", "n"], [escaping.tidy(name), "1"], ["LSTM", "2"]]


@examples
def test_figures_take_no_name_for_a_formula_and_order_every_name(name):
    import matplotlib.cbook

    assert not matplotlib.cbook.is_math_text(_text.folded(name))
    assert sorted([name, "T=10", "T=9"], key=arms.natural).index("T=9") < 2


class Cells(HTMLParser):
    """The row headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = (tag == "th" and ("scope", "row") in attrs) or (self.inside and tag == "i")
        if tag == "th" and self.inside:
            self.names.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "th"

    def handle_data(self, data):
        if self.inside:
            self.names[-1] += data


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[Path, list[str]]:
    """A study of hostile names with a report, and the names that its rows have."""
    folder = tmp_path_factory.mktemp("hostile")
    study = folder / "demo $x_1$ & <u> é"
    for seed in range(2):
        records.write(study, "lstm", seed=seed)
        for number, label in enumerate(HOSTILE):
            records.write(study, f"v{number}", seed=seed, label=label, task__unit="a $b$ \x07 unit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "discover", lambda: {"scores": scores, "solve_curves": solve_curves})
        assert report.main([f"study={study}", f"out={folder / 'out'}"]) == 0
    odd = {"chance": "chance (variant)", "   ": f"v{HOSTILE.index('   ')}"}
    return folder / "out", ["LSTM", *(odd.get(label, escaping.tidy(label)) for label in HOSTILE)]


def test_every_name_is_in_every_format(hostile):
    out, names = hostile
    table = pd.read_csv(out / "tables" / "scores.csv", keep_default_na=False)
    assert sorted(table["name"]) == sorted(names)
    page = Cells((out / "index.html").read_text(encoding="utf-8")).names
    assert sorted(page) == sorted([*names, "chance", "solved from"])
    latex = (out / "tables" / "scores.tex").read_text(encoding="utf-8")
    rows = re.findall(r"^(.*?) (?<!\\)& ", latex, re.MULTILINE)
    assert sorted(map(typeset, rows)) == sorted([*names, "variant", "chance", "solved from"])
    for path in (out / "figures").glob("*.svg"):
        minidom.parse(str(path))
    assert not list(out.glob(".report-*"))


def test_letters_that_no_figure_can_show_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "discover", lambda: {"scores": scores})
    records.write(tmp_path / "s", label="日本 é")
    assert report.main([f"study={tmp_path / 's'}", f"out={tmp_path / 'out'}"]) == 0
    assert "lacks 日本: boxes in PNG and PDF" in capsys.readouterr().err


def test_a_variant_called_chance_is_not_the_chance_line(tmp_path):
    records.write(tmp_path / "s", label="chance")
    records.write(tmp_path / "s", "gru", label="solved from")
    table = tables.wide(tables.scores(load([tmp_path / "s"]).runs))
    assert list(table.index) == ["chance (variant)", "solved from (variant)", "chance", "solved from"]
    assert table.loc["chance", "adding"] == f"{records.TASKS['adding']['chance']:.3g}"


def test_names_that_fold_to_one_text_have_an_entry_each(tmp_path):
    for number, middle in enumerate(("one", "two")):
        records.write(tmp_path / "s", f"v{number}", label=f"{'long ' * 20}{middle}{' long' * 40}")
    loaded = load([tmp_path / "s"])
    figure = figures.discover()["learning_curves"]
    drawn = figures.sheet(figure, figure.numbers(loaded.runs, loaded.curves), loaded.runs)
    (legend,) = drawn.subfigs[0].legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len([text for text in texts if text.startswith("long")]) == 2


@pytest.mark.parametrize("label", ["a/b", "a:b", "a,b", "a,,b", "${x}", "=x", "a b/adding", "é日"])
def test_why_finds_every_name(tmp_path, capsys, label):
    folder = records.write(tmp_path / "s", "gru", label=label)
    for table in ("scores", "learning_curves"):
        assert report.main([f"study={tmp_path / 's'}", f"why={table}:{label}/adding"]) == 0
        assert folder.name in capsys.readouterr().out


def test_why_shows_all_that_a_place_can_mean(tmp_path, capsys):
    for name, task in (("a/b", "c"), ("a", "b/c")):
        records.TASKS[task] = records.TASKS["adding"]
        records.write(tmp_path / "s", "gru" if task == "c" else "mgu", task, label=name, run_id=f"r{len(task)}")
        del records.TASKS[task]
    assert report.main([f"study={tmp_path / 's'}", "why=scores:a/b/c"]) == 0
    out = capsys.readouterr().out
    assert ("scores, a/b, c: " in out, "scores, a, b/c: " in out) == (True, True)


@given(studies=st.lists(NAMES | st.sampled_from(["a b", "a-b", "a+b", "a/b", "7", "a-b-1a2b3c"]), unique=True))
@settings(max_examples=60, deadline=None)
def test_no_two_studies_share_the_name_of_a_macro(studies):
    keys = [macros.key([study]) for study in studies]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9_.=()-]*", key) for key in keys)


def test_the_numbers_of_two_studies_go_into_one_paper(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "discover", dict)
    paper = ""
    for study in ("run 1", "run-1", "run_1"):
        records.write_study(tmp_path / study, ("lstm", "gru"), ("adding",), seeds=1)
        assert report.main([f"study={tmp_path / study}", f"out={tmp_path / 'out'}"]) == 0
        paper += (tmp_path / "out" / "tables" / "numbers.tex").read_text()
    defined = re.findall(r"\\newcommand\s*\{?(\\csname.*?\\endcsname|\\\w+)", paper)
    assert len(defined) == len(set(defined)) > 30
    assert "gates/run_1/adding/GRU/median" in paper


def test_claims_are_counted_study_by_study():
    made: Any = [SimpleNamespace(study=study) for study in ("a", "b", "a")]
    assert [place for place, _ in macros.numbered(made)] == ["a/claim/1", "b/claim/1", "a/claim/2"]


def test_a_terminal_that_has_ascii_alone_gets_escapes(tmp_path, monkeypatch):
    """What a command prints in a C locale, where Python would stop at the first other letter."""
    records.write(tmp_path / "José", label="Zürich 日本")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert runs.main([f"study={tmp_path / 'José'}"]) == 0
    terminal.flush()
    said = terminal.buffer.getvalue().decode("ascii")
    assert "Jos\\xe9: 1 runs" in said
    assert "Z\\xfcrich \\u65e5\\u672c" in said


def test_words_that_an_ascii_terminal_left_undecoded_are_read():
    assert escaping.tidy("Jos\udcc3\udca9 \udcff \ud800") == "José \\xff \\ud800"
