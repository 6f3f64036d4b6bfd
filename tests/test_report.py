"""The report: complete, repeatable to the byte, safe with whatever a record says, and never half written."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import records

from analysis import report, runs, tables


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return records.write_study(tmp_path / "demo", seeds=2)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make(study: Path, out: Path) -> dict[str, bytes]:
    assert report.main([f"study={study}", f"out={out}"]) == 0
    return content(out)


def test_a_report_holds_every_figure_and_table(study, tmp_path, capsys):
    files = make(study, tmp_path / "out")
    figures = {
        f"figures/{name}.{kind}" for name in ("learning_curves", "scores") for kind in ("png", "svg", "pdf", "csv")
    }
    assert set(files) == figures | {f"tables/scores.{kind}" for kind in ("csv", "md", "tex")} | {
        "index.html",
        "report.md",
    }
    out = capsys.readouterr().out
    assert "no forget gate" in out
    assert out.endswith(f"\n{tmp_path / 'out' / 'index.html'}\n")


def test_the_same_records_give_the_same_bytes(study, tmp_path):
    first = make(study, tmp_path / "first")
    elsewhere = tmp_path / "elsewhere" / "demo"
    for folder in sorted(study.iterdir(), reverse=True):  # another place, another order on disk
        shutil.copytree(folder, elsewhere / folder.name)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-m", "analysis.report", "study=demo", "out=second"]
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    subprocess.run(command, cwd=elsewhere.parent, env=environment, check=True, capture_output=True)
    assert content(elsewhere.parent / "second") == first
    assert not any(str(tmp_path).encode() in text for text in first.values())


class Page(HTMLParser):
    """The images, anchors and text of a page, and the tags that could run code or load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str | None] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        self.ids.append(given.get("id"))
        if tag == "img":
            self.images.append(given)
        if tag == "a":
            self.links.append(str(given["href"]))

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_its_links_lead_somewhere(study, tmp_path):
    files = make(study, tmp_path / "out")
    page = Page(files["index.html"].decode())
    assert len(page.images) == 2
    for image in page.images:
        assert str(image["src"]).startswith("data:image/png;base64,")
        assert "adding" in str(image["alt"])
    assert not page.tags & {"script", "link", "iframe"}
    for link in page.links:
        assert link.removeprefix("#") in page.ids if link.startswith("#") else link in files
    for link in re.findall(r"\]\(([^)]+)\)", files["report.md"].decode()):
        assert link in files


def test_text_from_a_record_cannot_become_html_or_break_a_table(tmp_path):
    evil = "<script>alert(1)</script> | \\input{x} & 50% of_it"
    study = tmp_path / "demo"
    records.write(study, label=evil, cite="<img src=x onerror=y>")
    records.write(study, "gru", seed=1, status="failed", error="<b>boom</b> | &")
    files = make(study, tmp_path / "out")
    page = Page(files["index.html"].decode())
    assert not page.tags & {"script"}
    assert evil in page.text
    assert "<img src=x onerror=y>" in page.text
    assert "<b>boom</b> | &" in page.text
    assert len(page.images) == 2
    markdown = files["report.md"].decode()
    assert "<script>" not in markdown
    assert "<b>" not in markdown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; \\|" in markdown
    latex = files["tables/scores.tex"].decode()
    assert "\\input" not in latex
    assert "50\\% of\\_it" in latex


def test_whatever_is_missing_or_wrong_is_on_the_page(study, tmp_path):
    diverged = records.write(study, "gru", seed=2, status="diverged", error="loss is not finite")
    failed = records.write(study, "gru", seed=3, status="failed", error="out of memory")
    running = records.write(study, "gru", seed=4, status="running")
    stale = records.write(study, "gru", seed=5, status="stale")
    broken = records.write(study, "gru", seed=6)
    (broken / "run.json").write_text("{")
    records.write(study, "lstm", seed=7, environment__commit="fedcba9", data_digest="other")
    records.write(study, "gru", seed=7)
    files = make(study, tmp_path / "out")
    for page in (Page(files["index.html"].decode()).text, files["report.md"].decode()):
        for folder in (diverged, failed, running, stale, broken):
            assert f"demo/{folder.name}" in page
        for text in ("loss is not finite", "out of memory", "not JSON", "fedcba9", "did not see the same data"):
            assert text in page
    table = pd.read_csv(tmp_path / "out" / "tables" / "scores.csv")
    cell = table[(table["task"] == "adding") & (table["name"] == "GRU")].iloc[0]
    assert (cell["n"], cell["diverged"], cell["missing"]) == (4, 1, 2)


def test_the_table_is_the_records(study, tmp_path):
    make(study, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "tables" / "scores.csv").set_index(["task", "variant"])
    for task, known in records.TASKS.items():
        for variant in records.LABELS:
            values = [records.curve(variant, task, seed)[-1] for seed in range(2)]
            row = table.loc[(task, variant)]
            assert row["median"] == pytest.approx(sum(values) / 2, rel=1e-15)
            assert [row["smallest"], row["largest"]] == sorted(values)
            assert (row["chance"], row["solved_from"], row["n"]) == (known["chance"], known["solved"], 2)
            assert pd.isna(row["low"])
            assert row["parameters"] == 1000 + 7 * len(variant)
            shown = f"{sum(values) / 2:.3g} ({min(values):.3g} to {max(values):.3g}) n=2"
            for kind in ("md", "tex"):
                assert shown in (tmp_path / "out" / "tables" / f"scores.{kind}").read_text()


def test_from_six_seeds_the_table_shows_the_interval(tmp_path):
    records.write_study(tmp_path / "demo", ("lstm",), ("adding",), seeds=9)
    table = tables.scores(runs.load([tmp_path / "demo"]).runs)
    values = sorted(records.curve("lstm", "adding", seed)[-1] for seed in range(9))
    assert tables.cell(table.iloc[0])[1] == f"[{values[1]:.3g}, {values[7]:.3g}]"


def test_a_report_replaces_a_report_and_nothing_else(study, tmp_path, capsys):
    out = tmp_path / "out"
    first = make(study, out)
    records.write(study, seed=9)
    assert make(study, out) != first
    (out / "thesis.tex").write_text("three years of work")
    before = content(out)
    assert report.main([f"study={study}", f"out={out}"]) == 2
    assert "thesis.tex" in capsys.readouterr().err
    assert content(out) == before
    assert report.main([f"study={study}", f"out={study}"]) == 2
    assert report.main([f"study={study}", f"out={out / 'thesis.tex'}"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_report_that_fails_leaves_everything_as_it_was(study, tmp_path, monkeypatch):
    out = tmp_path / "reports" / "out"
    before = make(study, out)

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(report, "contents", fail)
    with pytest.raises(RuntimeError):
        report.main([f"study={study}", f"out={out}"])
    assert content(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_clear_line(study, tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert report.main([f"study={study}", f"out={tmp_path / 'locked' / 'out'}"]) == 2
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def test_out_under_a_file_is_one_clear_line(study, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert report.main([f"study={study}", f"out={tmp_path / 'file' / 'out'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_nothing_to_report_creates_nothing(tmp_path, capsys):
    assert report.main([f"study={tmp_path / 'demo'}", f"out={tmp_path / 'out'}"]) == 2
    records.write(tmp_path / "demo", status="running")
    assert report.main([f"study={tmp_path / 'demo'}", f"out={tmp_path / 'out'}"]) == 2
    assert "demo: 1 runs: 1 running" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_several_studies_make_one_report(tmp_path):
    records.write(tmp_path / "one", "lstm")
    records.write(tmp_path / "two", "gru")
    out = tmp_path / "out"
    assert report.main([f"study={tmp_path / 'two'},{tmp_path / 'one'}", f"out={out}"]) == 0
    both = content(out)
    assert report.main([f"study={tmp_path / 'one'},{tmp_path / 'two'}", f"out={out}"]) == 0
    assert content(out) == both
    assert "<h1>one, two</h1>" in (out / "index.html").read_text()
    assert list(pd.read_csv(out / "tables" / "scores.csv")["name"]) == ["LSTM", "GRU"]
