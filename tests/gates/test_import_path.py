"""In a project with folders called experiments/ and analysis/, `gates` and `import gates` reach our packages."""

import subprocess
import sys
import types
from pathlib import Path

import pytest

import gates
from experiments.sweep.slurm import interpreter
from gates.import_path import HOME, NAMES, ours_first

SHORT = {"task.length": 4, "train.steps": 2, "train.eval_every": 1, "train.eval_size": 4, "model.hidden_size": 4}
PROGRAM = """
import gates
frame = gates.sweep(
    {"variant": ["lstm", "gru"], "seed": [0]}, task="adding", study="s", workers=2, engine="reference", **SETTINGS
)
print(list(frame["status"]), gates.load("lstm", "forget.feeds=xb").forget.feeds)
print(sorted(gates.load_run(f"s/{name}").layer.spec.reset.kind for name in frame["run_id"]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project; importing one of its packages ends the program."""
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the {name} of somebody else')\n")
    return tmp_path


@pytest.fixture
def found_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their packages would be found first."""
    monkeypatch.syspath_prepend(str(project))
    return project


def call(project: Path, *command: str) -> str:
    """The output of a command in the project, whose folder comes first in PYTHONPATH too."""
    environment = {"PYTHONPATH": f"{project}:{HOME}", "PATH": "/usr/bin:/bin", "WANDB_MODE": "disabled"}
    done = subprocess.run([sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweep_from_python_with_two_workers(project: Path) -> None:
    shown = call(project, "-c", PROGRAM.replace("SETTINGS", repr(SHORT))).splitlines()
    assert shown == ["['finished', 'finished'] xb", "['absent', 'learned']"]


def test_a_sweep_from_the_command_line_with_two_workers(project: Path) -> None:
    script = project / "bin" / "gates"  # as pip writes it
    script.parent.mkdir()
    script.write_text("import sys\nfrom gates.__main__ import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    words = ["variant=lstm,gru", "task=adding", "study=s", "engine=reference", "hydra.launcher.workers=2"]
    call(project, str(script), "run", "-m", *words, *(f"{key}={value}" for key, value in SHORT.items()))
    assert len([*project.glob("s/*/weights.pt")]) == 2


def test_a_slurm_task_finds_modules_where_the_command_did(found_there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours_first()
    assert sys.path[0] == str(HOME)
    assert "site-packages" not in interpreter().split()[1]  # of this version of Python, and programs may have another
    monkeypatch.chdir(found_there)
    ask = "import importlib.util as u, sys; print(*(u.find_spec(n).origin for n in sys.argv[1:]))"
    shown = subprocess.run(f"{interpreter()} -u -c '{ask}' {' '.join(NAMES)}", shell=True, capture_output=True)
    assert shown.stdout.decode().split() == [str(HOME / name / "__init__.py") for name in NAMES], shown.stderr


def test_the_path_stays_where_nothing_is_in_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()  # no package: Python prefers ours
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.path)
    ours_first()
    assert sys.path == before


def test_another_package_that_is_imported_already_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = types.ModuleType("analysis")
    theirs.__file__ = str(project / "analysis" / "__init__.py")
    monkeypatch.setitem(sys.modules, "analysis", theirs)
    with pytest.raises(ImportError, match=rf"\Aanalysis has been imported already from {theirs.__file__}, .*\Z"):
        gates.load  # noqa: B018


def test_what_is_not_offered_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="module gates has no sweeep; it has GatedRNN, load, load_run, run, sweep"):
        gates.sweeep  # noqa: B018
    assert {"run", "sweep", "load", "load_run", "GatedRNN"} <= set(dir(gates))
