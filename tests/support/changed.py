"""Runs the tests of what changed since a git revision: ``python tests/support/changed.py main``; see ``make check``.

A test file runs if it changed, or if it imports or names what changed, itself or through tests/support. A changed file
that no test names runs the tests of its folder: tests/analysis/pages for analysis/pages/templates/page.html. What uses
a changed module through others is not found, tests marked slow are left out, and what has not begun after SECONDS is
skipped, the tests of the folders that mirror what changed coming first: ``make test`` runs everything.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[2]
SECONDS = 40
PACKAGES = ("experiments", "analysis", "gates", "lstm_variants")
ELSEWHERE = {  # what lies outside the packages, and its tests
    "lstm_variants": "tests/lstm_variants",
    "conf/variant": "tests/lstm_variants",
    "conf/init": "tests/lstm_variants",
    "conf/task": "tests/experiments/tasks",
    "conf/experiment": "tests/experiments/studies",
    "conf": "tests/experiments/config",
    "docs": "tests/test_docs.py",
    "README.md": "tests/test_docs.py",
    "CONTRIBUTING.md": "tests/test_docs.py",
    "Makefile": "tests/test_docs.py",
    "pyproject.toml": "tests/test_wheel.py",
}


def changed(since: str) -> list[str]:
    """Files that differ from where this branch left the revision, those that git does not know yet included."""
    listed = (["diff", "--name-only", "--merge-base", since], ["ls-files", "--others", "--exclude-standard"])
    shown = [subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True) for words in listed]
    return sorted({name for done in shown for name in done.stdout.splitlines()})


def imported(path: Path) -> Iterator[str]:
    """The dotted names of all that a file imports, of ``from a import b`` both a and a.b, or names in its text."""
    text = path.read_text(encoding="utf-8")
    yield from re.findall(rf"\b(?:{'|'.join(PACKAGES)})(?:\.\w+)+", text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def used() -> dict[str, set[str]]:
    """Test file -> what it imports, itself and through the modules of tests/support."""
    support = {path.stem: set(imported(path)) for path in (ROOT / "tests/support").glob("*.py")}
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = set(imported(path))
        while more := {name for own in names & support.keys() for name in support[own]} - names:
            names |= more
        found[str(path.relative_to(ROOT))] = names
    return found


def module(name: str) -> str:
    """What a Python file is called where it is imported; "" for any other file."""
    path = PurePath(name)
    if path.suffix != ".py":
        return ""
    return path.stem if path.parts[:2] == ("tests", "support") else ".".join(path.with_suffix("").parts)


def elsewhere(name: str) -> set[str]:
    """The tests of what lies outside the packages, or is used by everything."""
    place = next((place for place in ELSEWHERE if PurePath(name).is_relative_to(place)), None)
    return {ELSEWHERE[place]} if place else set()


def folder(name: str) -> set[str]:
    """The tests of a file's folder, or of the first folder above it that has some."""
    parents = [f"tests/{place}" for place in PurePath(name).parents if PurePath(name).parts[0] in PACKAGES]
    return {next((place for place in parents[:-1] if (ROOT / place).is_dir()), "")} - {""}


def chosen(names: Collection[str]) -> list[str]:
    """The test files and folders of changed files, those in the folders that mirror theirs first."""
    users, found = used(), set[str]()
    for name in names:
        users_of_it = {test for test, modules in users.items() if test == name or module(name) in modules}
        found |= (users_of_it | elsewhere(name)) or folder(name)
    near = [f"tests/{PurePath(name).parent}/" for name in names]
    return sorted(found, key=lambda test: (not f"{test}/".startswith(tuple(near)) and test not in names, test))


def main(since: str) -> int:
    """Print what runs, and run it."""
    import pytest

    tests = chosen(changed(since))
    print("\n".join(["tests of what changed since " + since + ":", *(tests or ["none"])]), flush=True)
    if not tests:
        return 0
    ended = pytest.main([*tests, "-m", "not slow", "--seconds", str(SECONDS), "-n", "auto", "--dist", "worksteal"])
    return 0 if ended == pytest.ExitCode.NO_TESTS_COLLECTED else int(ended)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
