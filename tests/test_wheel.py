"""What an ordinary install brings: every file of ours, and the libraries that something imports. See also .ci/wheel."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from experiments.store import machine_and_commit

ROOT = Path(__file__).parents[1]
PACKAGES = ("lstm_variants", "experiments", "analysis", "gates")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_the_wheel_holds_every_file_of_ours(tmp_path: Path) -> None:
    for name in tracked(*PACKAGES, "conf", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name, follow_symlinks=False)
    build = [*("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)), str(tmp_path / "source")]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {name for name in tracked(*PACKAGES) if name != "lstm_variants/conf"}
    assert names == ours | {f"lstm_variants/{name}" for name in tracked("conf")}


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level modules that a program imports when it runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imported(node)


def distributions(requirements: list[str]) -> set[str]:
    """Requirements by their names alone, in one spelling."""
    return {re.split(r"[<>=!~;\[ ]", text)[0].lower().replace("_", "-") for text in requirements}


def test_what_an_install_requires_is_what_something_imports() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    modules = {module for path in files for module in imported(ast.parse(path.read_text()))}
    modules -= {*sys.stdlib_module_names, *PACKAGES, "hydra_plugins"}
    known = packages_distributions()
    needed = {name.lower().replace("_", "-") for module in modules for name in known.get(module, [module])[:1]}
    extras = {name: distributions(wanted) for name, wanted in PROJECT["optional-dependencies"].items()}
    optional = set[str]().union(*extras.values())
    assert distributions(PROJECT["dependencies"]) == needed - optional
    assert needed <= distributions(PROJECT["dependencies"]) | optional


def test_an_installation_inside_somebody_s_repository_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "machine_and_commit.py").touch()
    assert machine_and_commit._commit()[0] is not None
    monkeypatch.setattr(machine_and_commit, "__file__", str(tmp_path / "a" / "b" / "machine_and_commit.py"))
    assert machine_and_commit._commit() == (None, None)
