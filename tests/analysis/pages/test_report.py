"""The report: complete, repeatable to the byte, safe with whatever a record says, and never half written."""

import errno
import math
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
from planted_studies import made

from analysis import figures, report
from analysis.claims import verdicts
from analysis.figures import _theme, scores
from analysis.pages import listings, macros, tables
from analysis.pages.build import PAGES
from analysis.pages.report_folder import LIST
from analysis.records.load import load


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return records.write_study(tmp_path / "demo", seeds=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A report with every figure; the study is the folder `demo` beside it."""
    folder = tmp_path_factory.mktemp("whole")
    make(records.write_study(folder / "demo", seeds=2), folder / "out")
    return folder / "out"


@pytest.fixture
def one_figure(monkeypatch):
    """One figure instead of all of them."""
    monkeypatch.setattr(figures, "discover", lambda: {"scores": scores})


@pytest.fixture
def quick(one_figure, monkeypatch):
    """One figure, laid out and not painted."""

    def save(_: object, path: Path) -> None:
        for kind in ("png", "svg", "pdf"):
            path.with_suffix(f".{kind}").write_bytes(b"a picture")

    monkeypatch.setattr(figures, "save", save)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make(study: Path, out: Path) -> dict[str, bytes]:
    assert report.main([f"study={study}", f"out={out}"]) == 0
    return content(out)


def test_a_report_holds_every_figure_and_table(whole):
    files = content(whole)
    names = ("heat_map", "scores", "improvement", "learning_curves", "solve_curves", "parameters")
    drawn = {f"figures/{name}.{kind}" for name in names for kind in ("png", "svg", "pdf", "csv")}
    written = {f"tables/scores.{kind}" for kind in ("csv", "md", "tex")} | {"tables/numbers.tex"}
    assert set(files) == drawn | written | {*PAGES, LIST}
    order = [files["index.html"].decode().index(f'<h2 id="{name}">') for name in names]
    assert order == sorted(order)
    assert int.from_bytes(files["figures/scores.png"][16:20]) == round(_theme.PAGE * _theme.DPI)
    assert b"<text" in files["figures/scores.svg"]


def test_the_command_prints_the_table_and_the_place(study, tmp_path, quick, capsys):
    make(study, tmp_path / "out")
    out = capsys.readouterr().out
    assert "no forget gate" in out
    assert out.endswith(f"\n{tmp_path / 'out' / 'index.html'}\n")


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(whole, tmp_path):
    study, first = whole.with_name("demo"), content(whole)
    elsewhere = tmp_path / "elsewhere" / "demo"
    for folder in sorted(study.glob("*/"), reverse=True):  # another place, another order on disk
        shutil.copytree(folder, elsewhere / folder.name)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-m", "analysis.report", "study=demo", "out=second"]
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    subprocess.run(command, cwd=elsewhere.parent, env=environment, check=True, capture_output=True)
    assert content(elsewhere.parent / "second") == first
    assert not any(str(whole.parent).encode() in text for text in first.values())


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


def test_the_page_stands_alone_and_its_links_lead_somewhere(whole):
    files = content(whole)
    page = Page(files["index.html"].decode())
    assert len(page.images) == 6
    for image in page.images:
        assert str(image["src"]).startswith("data:image/png;base64,")
        assert "GRU" in str(image["alt"])
    assert not page.tags & {"script", "link", "iframe"}
    for link in page.links:
        assert link.removeprefix("#") in page.ids if link.startswith("#") else link in files
    for link in re.findall(r"\]\(([^)]+)\)", files["report.md"].decode()):
        assert link in files


def test_text_from_a_record_cannot_become_html_or_break_a_table(tmp_path, quick):
    evil = "<script>alert(1)</script> | \\input{x} & 50% of_it"
    study = tmp_path / "<u>demo"
    records.write(study, label=evil, cite="<img src=x onerror=y>", notes=["<u>note</u>"], environment__commit="<s>c")
    records.write(study, "gru", seed=1, status="failed", error="<b>boom</b> | &")
    files = make(study, tmp_path / "out")
    page = Page(files["index.html"].decode())
    assert page.tags & {"script", "u", "s"} == set()
    assert evil in page.text
    assert "<img src=x onerror=y>" in page.text
    assert "<b>boom</b> | &" in page.text
    assert len(page.images) == 1
    markdown = files["report.md"].decode()
    assert "<script>" not in markdown
    assert not re.search("<[bsu]>", markdown)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; \\|" in markdown
    latex = files["tables/scores.tex"].decode()
    assert "\\input" not in latex
    assert "50\\% of\\_it" in latex


def test_whatever_is_missing_or_wrong_is_on_the_page(study, tmp_path, quick):
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


def test_the_table_is_the_records(study, tmp_path, quick):
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
    table = tables.scores(load([tmp_path / "demo"]).runs)
    values = sorted(records.curve("lstm", "adding", seed)[-1] for seed in range(9))
    assert tables.cell(table.iloc[0])[1] == f"[{values[1]:.3g}, {values[7]:.3g}]"


def test_a_report_replaces_a_report_and_nothing_else(study, tmp_path, quick):
    out = tmp_path / "out"
    mine = {"thesis.tex": "three years of work", "figures/mine.png": "drawn by hand", "lost+found/x": "x"}
    for name, text in mine.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    first = make(study, out)
    records.write(study, seed=9)
    second = make(study, out)
    assert second["index.html"] != first["index.html"]
    assert {name: second[name].decode() for name in mine} == mine
    assert report.main([f"study={study}", f"out={out}", "variants=gru", "labels=A"]) == 0
    assert {name: content(out)[name].decode() for name in mine} == mine


def test_what_only_the_earlier_report_had_goes(study, tmp_path, quick, monkeypatch):
    make(study, tmp_path / "out")
    monkeypatch.setattr(figures, "discover", dict)
    assert {name for name in make(study, tmp_path / "out") if "/" not in name} == {*PAGES, LIST}
    assert not list((tmp_path / "out" / "figures").iterdir())


@pytest.mark.parametrize(
    "name", ["index.html", "report.md", "figures/scores.png", "tables", "figures", "tables/numbers.tex"]
)
def test_somebodys_file_in_the_way_is_one_clear_line_and_stays(study, tmp_path, capsys, quick, name):
    """Whether it was there before any report or is a report's file with somebody's changes in it."""
    out = tmp_path / "out"
    for _ in range(2):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if (out / name).is_dir():
            break
        (out / name).write_text("three years of work")
        before = content(out)
        assert report.main([f"study={study}", f"out={out}"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{name} " in error
        assert content(out) == before
        (out / name).unlink()
        make(study, out)
        capsys.readouterr()


def test_a_report_goes_neither_into_a_study_nor_over_a_file(study, tmp_path, capsys, quick):
    assert report.main([f"study={study}", f"out={study}"]) == 2
    assert "is the study itself" in capsys.readouterr().err
    (tmp_path / "file").write_text("x")
    assert report.main([f"study={study}", f"out={tmp_path / 'file'}"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_folder_that_cannot_be_renamed_takes_a_report(study, tmp_path, quick, monkeypatch):
    """A mount point can neither be renamed nor replaced."""
    out, rename, replace = tmp_path / "out", os.rename, os.replace

    def refuse(call):
        def refusing(source, target, **more):
            if Path(source) == out or Path(target) == out:
                raise OSError(errno.EBUSY, "Device or resource busy")
            return call(source, target, **more)

        return refusing

    monkeypatch.setattr(os, "rename", refuse(rename))
    monkeypatch.setattr(os, "replace", refuse(replace))
    out.mkdir()
    assert make(study, out) == make(study, out)


def test_a_report_that_was_cut_off_while_it_was_put_in_place_can_be_made_again(study, tmp_path, quick, monkeypatch):
    out, move = tmp_path / "out", shutil.move
    make(study, out)
    records.write(study, seed=9)
    moved = []

    def cut_off(source, target):
        if len(moved) == 3:
            raise KeyboardInterrupt
        moved.append(target)
        return move(source, target)

    monkeypatch.setattr(shutil, "move", cut_off)
    assert report.main([f"study={study}", f"out={out}"]) == 130
    monkeypatch.setattr(shutil, "move", move)
    again = make(study, out)
    assert again == make(study, tmp_path / "other")


def test_a_report_that_fails_leaves_everything_as_it_was(study, tmp_path, monkeypatch, quick):
    out = tmp_path / "reports" / "out"
    before = make(study, out)

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("analysis.pages.build.contents", fail)
    with pytest.raises(RuntimeError):
        report.main([f"study={study}", f"out={out}"])
    assert content(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_clear_line(study, tmp_path, capsys, quick):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert report.main([f"study={study}", f"out={tmp_path / 'locked' / 'out'}"]) == 2
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def test_out_under_a_file_is_one_clear_line(study, tmp_path, capsys, quick):
    (tmp_path / "file").write_text("")
    assert report.main([f"study={study}", f"out={tmp_path / 'file' / 'out'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_nothing_to_report_creates_nothing(tmp_path, capsys):
    assert report.main([f"study={tmp_path / 'demo'}", f"out={tmp_path / 'out'}"]) == 2
    records.write(tmp_path / "demo", status="running")
    assert report.main([f"study={tmp_path / 'demo'}", f"out={tmp_path / 'out'}"]) == 2
    assert "demo: 1 runs: 1 running" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_several_studies_make_one_report(tmp_path, quick):
    records.write(tmp_path / "one", "lstm")
    records.write(tmp_path / "two", "gru")
    out = tmp_path / "out"
    assert report.main([f"study={tmp_path / 'two'},{tmp_path / 'one'}", f"out={out}"]) == 0
    both = content(out)
    assert report.main([f"study={tmp_path / 'one'},{tmp_path / 'two'}", f"out={out}"]) == 0
    assert content(out) == both
    assert "<h1>one, two</h1>" in (out / "index.html").read_text()
    assert list(pd.read_csv(out / "tables" / "scores.csv")["name"]) == ["LSTM", "GRU"]


def test_variants_are_shown_in_the_order_and_by_the_labels_that_were_asked_for(study, tmp_path, one_figure):
    out = tmp_path / "out"
    asked = ["variants=no_forget_gate,lstm", "labels=NFG,Complete", "tasks=digits"]
    assert report.main([f"study={study}", f"out={out}", *asked, "width=column"]) == 0
    table = pd.read_csv(out / "tables" / "scores.csv")
    assert list(table["name"]) == ["NFG", "Complete"]
    assert list(table["task"]) == ["digits"] * 2
    page = Page((out / "index.html").read_text())
    assert page.text.index("NFG") < page.text.index("Complete")
    assert "GRU" not in page.text
    picture = (out / "figures" / "scores.png").read_bytes()
    assert int.from_bytes(picture[16:20]) == round(_theme.COLUMN * _theme.DPI)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["variants=lstn"], "variants=lstn: no run has it; did you mean lstm?"),
        (["tasks=copy"], "tasks=copy: no run has it; there is adding, digits"),
        (["variants=lstm,gru", "labels=A"], "labels= has 1, variants= 2"),
        (["labels=A"], "labels= has 1, variants= 0"),
        (["variants=lstm,lstm"], "one of them stands twice"),
        (["why=scores:LSTM/copy"], "there is no LSTM/copy"),
        (["why=table:LSTM/adding"], "expected TABLE:ROW/COLUMN; there is scores"),
        (["why=lengths:GRU/digits"], "the figure draws nothing for it"),
    ],
)
def test_what_cannot_be_shown_is_one_clear_line(study, tmp_path, capsys, asked, message):
    assert report.main([f"study={study}", f"out={tmp_path / 'out'}", *asked]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_report_without_a_place_is_refused(study, capsys):
    assert report.main([f"study={study}"]) == 2
    assert "out= is missing" in capsys.readouterr().err


def test_why_names_the_runs_commit_and_command_behind_a_number(study, capsys):
    folder = records.write(study, "gru", seed=5, environment__dirty=True, config__said=["variant=gru", "label=a b"])
    failed = records.write(study, "gru", seed=6, status="failed")
    assert report.main([f"study={study}", "why=scores:GRU/adding"]) == 0
    out = capsys.readouterr().out
    values = [records.curve("gru", "adding", seed)[-1] for seed in (0, 1, 5)]
    assert f"{sorted(values)[1]:.3g} (" in out
    assert "4 runs, 3 of them counted" in out
    (line,) = [line for line in out.splitlines() if folder.name in line]
    assert "abc1234 with uncommitted changes" in line
    assert line.endswith("python -m experiments.run variant=gru 'label=a b'")
    assert any(failed.name in line and "failed" in line for line in out.splitlines())
    assert "lstm" not in out


def test_why_shows_what_a_figure_draws(study, capsys):
    assert report.main([f"study={study}", "why=learning_curves:LSTM/digits"]) == 0
    out = capsys.readouterr().out
    for value in records.curve("lstm", "digits", 1):
        assert f"{value:.3g}" in out


def test_why_names_the_runs_behind_a_claim(tmp_path, capsys):
    loaded, frozen = made(tmp_path / "s", {"lstm": [0.01] * 8, "gru": [0.02] * 8, "mgu": [0.03] * 8})
    records.write_frozen(tmp_path / "s", frozen)
    records.write(tmp_path / "s", "gru", seed=70, phase="tune", train__lr=0.1)
    assert report.main([f"study={tmp_path / 's'}", "why=claims:1/estimate"]) == 0
    out = capsys.readouterr().out
    (verdict,) = verdicts.judge(loaded, frozen)
    assert f"estimate: {verdict.estimate:.0f}" in out
    assert "gru vs lstm, adding: ratio of MSE" in out
    assert "16 runs, 16 of them counted" in out
    assert out.count("abc1234") == out.count("python -m experiments.run variant=") == 16
    assert "mgu" not in out
    made(tmp_path / "s", {name: [0.01 * (1 + (name == "gru"))] * 16 for name in ("lstm", "gru")})
    records.write_frozen(tmp_path / "s", {**frozen, "extension": list(range(8, 16))})
    assert report.main([f"study={tmp_path / 's'}", "why=claims:1/estimate"]) == 0
    assert "16 runs, 16 of them counted" in capsys.readouterr().out  # decided at the first look
    assert report.main([f"study={tmp_path / 's'}", "why=claims:2/estimate"]) == 2
    assert "there is no comparison 2; there is 1" in capsys.readouterr().err
    assert report.main([f"study={tmp_path / 's'}", "why=claims:1/mean"]) == 2
    assert "a comparison has no mean" in capsys.readouterr().err


def test_why_names_the_runs_behind_an_effect_and_a_knob(tmp_path, capsys):
    for place, (rate, size) in enumerate([(0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)] * 2):
        score = rate * size + 0.001 * place
        records.write(tmp_path / "grid", seed=place // 4, train__lr=rate, train__clip=size, results__score=score)
    assert report.main([f"study={tmp_path / 'grid'}", "why=factors:train.lr/adding"]) == 0
    out = capsys.readouterr().out
    assert "8 runs, 8 of them counted" in out
    assert out.count("python -m experiments.run") == 8
    for seed in range(60):
        knobs = {"train__lr": 0.001 * (1 + seed), "train__clip": float(1 + 17 * seed % 60)}
        records.write(tmp_path / "search", seed=seed, results__score=0.01 * (1 + seed), **knobs)
    assert report.main([f"study={tmp_path / 'search'}", "why=importance:train.clip/adding"]) == 0
    assert "60 runs, 60 of them counted" in capsys.readouterr().out


def test_every_number_of_the_table_is_a_macro(study, tmp_path, quick):
    macros = make(study, tmp_path / "out")["tables/numbers.tex"].decode()
    found = dict(re.findall(r"\\csname gates/(.+?)\\endcsname\{(.*)\}$", macros, re.MULTILINE))
    values = [records.curve("no_forget_gate", "adding", seed)[-1] for seed in range(2)]
    assert found["demo/adding/no-forget-gate/median"] == latex(sum(values) / 2)
    assert found["demo/adding/no-forget-gate/largest"] == latex(max(values))
    assert found["demo/digits/LSTM/n"] == "2"
    assert "demo/adding/LSTM/low" not in found  # two seeds have no interval


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed (texlive-latex-recommended)")
def test_the_tables_and_macros_compile_in_latex(tmp_path, quick):
    scores = {"lstm": [0.01] * 8, "gru": [1e-7 * (1 + seed) for seed in range(8)]}
    _, frozen = made(tmp_path / "s", scores)
    records.write_frozen(tmp_path / "s", frozen)
    records.write(tmp_path / "s", "mgu", label="50% of_it {x} $y$ ~ ^ \\\\ # & é × <b>")
    make(tmp_path / "s", tmp_path / "out")
    text = r"""\documentclass{article}\usepackage{booktabs}\input{out/tables/numbers}\begin{document}
    \input{out/tables/scores} The GRU: \gates{s/adding/GRU/median}, $\gates{s/adding/GRU/low}$;
    claim \gates{s/claim/1/verdict}, \gates{s/claim/1/p_adjusted}. %s \end{document}"""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for extra, status in (("", 0), (r"\gates{s/adding/GRU/mean}", 1)):
        (tmp_path / "paper.tex").write_text(text % extra)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout[-2000:]
    assert "No number called s/adding/GRU/mean in numbers.tex" in done.stdout.replace("\n", "")


def latex(value: float) -> str:
    mantissa, e, exponent = f"{value:.3g}".partition("e")
    return rf"\ensuremath{{{mantissa}\times10^{{{int(exponent)}}}}}" if e else mantissa


def test_why_knows_the_figures_of_all_tasks(study, capsys):
    assert report.main([f"study={study}", "why=heat_map:GRU/digits"]) == 0
    assert "digits" in capsys.readouterr().out


def test_why_calls_what_a_diverged_run_makes_infinite_so(tmp_path, capsys):
    for seed in range(8):
        records.write(tmp_path / "s", "lstm", seed=seed)
        records.write(tmp_path / "s", "gru", seed=seed, status="diverged", results__score=None)
    assert report.main([f"study={tmp_path / 's'}", "why=heat_map:GRU/adding"]) == 0
    numbers = capsys.readouterr().out.partition("\n\n")[2].partition("\n\n")[0]
    assert numbers.count("infinite") == 4  # the effect, its size and its interval
    assert "diverged" not in numbers


def test_an_infinite_number_of_a_claim_keeps_its_sign():
    assert [macros.spelled(end, "infinite") for end in (-math.inf, math.inf)] == ["-infinite", "infinite"]
    assert macros.spelled(-math.inf) == "diverged"


def test_claims_come_first_with_their_verdicts(tmp_path, quick):
    loaded, frozen = made(tmp_path / "s", {"lstm": [0.01] * 8, "gru": [0.02 + 0.001 * seed for seed in range(8)]})
    records.write_frozen(tmp_path / "s", frozen)
    out = make(tmp_path / "s", tmp_path / "out")
    (verdict,) = verdicts.judge(loaded, frozen)
    assert verdict.verdict == "reproduced"
    page = out["index.html"].decode()
    assert page.index('<h2 id="claims">') < page.index('<h2 id="table">') < page.index('<h2 id="scores">')
    for text in (Page(page).text, out["report.md"].decode()):
        assert "reproduced" in text
        assert "gru vs lstm, adding" in text
        assert f"{verdict.estimate:.3g} [{verdict.low:.3g}, {verdict.high:.3g}]" in text
    table = pd.read_csv(tmp_path / "out" / "tables" / "claims.csv")
    assert table.loc[0, "estimate"] == pytest.approx(verdict.estimate, rel=1e-12)
    assert "gates/s/claim/1/verdict\\endcsname{reproduced}" in out["tables/numbers.tex"].decode()


def test_tuned_settings_are_shown_with_what_was_tried(tmp_path, quick):
    study = tmp_path / "tuned"
    for variant, best in (("lstm", 0.01), ("gru", 0.1)):
        for rate in (0.001, 0.01, 0.1):
            records.write(study, variant, seed=0, train__lr=rate, phase="tune")
        records.write(study, variant, seed=100, train__lr=best, phase="confirm")
    tuned = listings.tuned(load([study]).runs)
    assert tuned.to_numpy().tolist() == [
        ["adding", "GRU", "train.lr", "0.1", "0.001, 0.01, 0.1", "at the edge of the grid"],
        ["adding", "LSTM", "train.lr", "0.01", "0.001, 0.01, 0.1", ""],
    ]
    assert "at the edge of the grid" in Page(make(study, tmp_path / "out")["index.html"].decode()).text


def test_steps_to_solve_stand_in_the_table_of_a_study_on_steps(tmp_path, one_figure):
    for variant, steps in (("lstm", (100, 200, 200, 300, 100, 200)), ("gru", (100, None, None, None, None, 300))):
        for seed, step in enumerate(steps):
            solved = {"results__solved": step is not None, "results__steps_to_solve": step}
            records.write(tmp_path / "demo", variant, seed=seed, train__stop_at_solved=True, **solved)
            records.write(tmp_path / "demo", variant, "digits", seed=seed, **solved)
    made = make(tmp_path / "demo", tmp_path / "out")
    for page in ("index.html", "report.md"):
        text = re.sub(r"<[^>]*>|\s+", " ", made[page].decode())
        assert text.count("adding, steps to solve") == 1
        assert "digits, steps to solve" not in text
        assert re.search(r"200 +\[100, 300\] 6 of 6 solved", text)
        assert re.search(r"≥ 300 +\[100, ≥ 300\] 2 of 6 solved", text)
    table = pd.read_csv(tmp_path / "out" / "tables" / "scores.csv").set_index(["task", "name"])
    columns = ["steps_to_solve", "steps_to_solve_most", "steps_to_solve_low", "steps_to_solve_high", "budget"]
    for task in ("adding", "digits"):
        assert list(table.loc[(task, "LSTM"), columns]) == [200, 200, 100, 300, 300]
        assert list(table.loc[(task, "GRU"), columns]) == [300, math.inf, 100, math.inf, 300]
    numbers = made["tables/numbers.tex"].decode()
    assert r"gates/demo/adding/LSTM/steps_to_solve\endcsname{200}" in numbers
    assert r"gates/demo/adding/GRU/steps_to_solve\endcsname{\ensuremath{\geq}300}" in numbers
    assert r"gates/demo/adding/GRU/steps_to_solve_high\endcsname{unsolved}" in numbers


def test_a_task_without_threshold_has_no_steps_to_solve(tmp_path):
    records.write(tmp_path / "demo", task__solved=None, train__stop_at_solved=True)
    table = tables.scores(load([tmp_path / "demo"]).runs)
    assert table["steps_to_solve"].isna().all()
    assert tables.wide(table).loc["LSTM", "adding, steps to solve"] == "–"


def test_only_the_figures_that_are_asked_for_are_drawn(tmp_path, capsys):
    for seed in range(2):
        records.write(tmp_path / "demo", seed=seed, timing__seconds=seed + 1)
    asked = [f"study={tmp_path / 'demo'}", f"out={tmp_path / 'out'}"]
    assert report.main([*asked, "figures=scores,seconds"]) == 0
    assert {path.name for path in (tmp_path / "out" / "figures").glob("*.csv")} == {"scores.csv", "seconds.csv"}
    assert report.main(asked) == 0
    assert not (tmp_path / "out" / "figures" / "seconds.csv").exists()
    assert (tmp_path / "out" / "figures" / "learning_curves.csv").exists()
    before = content(tmp_path / "out")
    for names, reason in (("score", "there is no such figure"), ("scores,memory", "nothing that it could draw")):
        capsys.readouterr()
        assert report.main([*asked, f"figures={names}"]) == 2
        assert reason in capsys.readouterr().err
    assert content(tmp_path / "out") == before
