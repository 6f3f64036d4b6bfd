"""Every command and every snippet in the README and the docs runs; generated parts are fresh."""

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import command
from slurm_node import answers, whole_cluster

from analysis import figures, report
from gates.__main__ import COMMANDS
from lstm_variants.catalogue.cards import family_table
from lstm_variants.catalogue.variants import variants

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHORT = ["train.steps=2", "train.eval_every=1", "train.eval_size=16", "record.wandb.mode=disabled"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[str]:
    lines = "\n".join(blocks(page, "sh")).splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith("python -m ")]


def shortened(command: str) -> list[str]:
    words = [sys.executable, *shlex.split(command)[1:]]
    if words[2] == "analysis.report" and not any(word.startswith(("figures=", "extensions=")) for word in words):
        return [*words, "figures=scores"]  # reports of every figure are drawn by their own tests
    if words[2] != "experiments.run":
        return words
    short = {word.split("=")[0] for word in SHORT}
    here = ["hydra.launcher.workers=1"] if "-m" in words[3:] and "hydra/launcher=slurm" not in words else []
    return [*(word for word in words if word.split("=")[0] not in short), *SHORT, *here]


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.name)
def test_the_commands_of_a_page_run_in_their_order(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    slurm = "hydra/launcher=slurm" in " ".join(commands(page))
    with whole_cluster() if slurm else contextlib.nullcontext():
        for line in commands(page):
            if "benchmark" in line or "experiments.study" in line:
                continue  # minutes long; their own tests run them at a small size
            if "study=outputs/big" in line and not answers():
                continue  # tests/experiments/sweep/test_slurm.py says how to have a cluster
            done = command(*shortened(line)[2:], cwd=tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stderr}"


def transcript(page: Path) -> dict[str, str]:
    """Command -> the output that the page shows below it, from blocks with ``$`` before a command."""
    text = "\n".join(blocks(page, "console"))
    return dict(re.findall(r"^\$ (python .*)\n((?:(?!\$ ).*\n?)*)", text, re.MULTILINE))


def without_numbers(text: str) -> list[str]:
    """The words of each line; a number with its unit is #: it depends on the machine and on how long was trained."""
    lines = [
        re.sub(r"\d[\d.,]*( (s|min|h|kB|MB))?", "#", re.sub(r"[-━─┏┓┗┛┡┩╇┳┃│]+", " ", line)).split()
        for line in text.splitlines()
    ]
    return [" ".join(line) for line in lines if line]


@pytest.mark.slow
def test_the_outputs_shown_in_the_readme_are_those_of_its_commands(tmp_path: Path) -> None:
    shown = transcript(ROOT / "README.md")
    assert len(shown) == 5
    for line, output in shown.items():
        done = command(*shortened(line)[2:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert without_numbers(done.stderr + done.stdout) == without_numbers(output), f"paste the output of: {line}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    for snippet in blocks(page, "python"):
        exec(compile(snippet.replace('"steps": 200', '"steps": 2'), str(page), "exec"), {})


def test_demo_and_test_are_what_the_makefile_runs() -> None:
    shown = subprocess.run(["make", "-n", "demo", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m experiments.run experiment=demo" in shown
    assert "-m analysis.report study=outputs/demo out=reports/demo" in shown
    assert "-m pytest" in shown


def test_every_name_of_what_runs_at_length_has_its_file() -> None:
    lines = re.findall(r"^HOSTILE \S= (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    asked = " ".join(lines).split()
    assert len(asked) > 20
    assert not [name for name in asked if not list((ROOT / "tests").rglob(f"test_{name}.py"))]


def test_the_family_table_is_fresh() -> None:
    text = (ROOT / "docs" / "variants.md").read_text()
    shown = re.search(r"<!-- family -->\n(.*)\n<!-- /family -->", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == family_table(8, 64), "paste the output of: python -m experiments.show variant"
    assert f"{len(variants())} variants" in text


def test_the_figures_are_listed_on_their_page_and_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "report.md").read_text()
    shown = re.search(r"<!-- figures -->\n(.*)\n<!-- /figures -->", text, re.DOTALL)
    rows = [f"| `{name}` | {figures.question(figure)} |" for name, figure in figures.discover().items()]
    assert shown is not None
    assert shown[1].splitlines() == ["| name | the question it answers |", "|---|---|", *rows]
    assert report.main(["--help"]) == 0
    assert ", ".join(figures.ours()) in " ".join(capsys.readouterr().out.split())


def test_links_in_the_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches(name: str, tmp_path: Path) -> None:
    done = command(COMMANDS[name][0], "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "python -m" in done.stdout
