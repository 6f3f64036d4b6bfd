"""The console script has every command, under its module's name."""

from pathlib import Path

from gates.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
OF_THE_CHECKOUT = {"analysis.findings", "analysis.answer"}  # they write pages of docs/; make runs them


def test_every_command_is_one_of_gates() -> None:
    files = [path for name in ("experiments", "analysis") for path in (ROOT / name).glob("*.py")]
    modules = [path for path in files if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]
    packages = [path.parent for name in ("experiments", "analysis") for path in (ROOT / name).glob("*/__main__.py")]
    there = {f"{path.parent.name}.{path.stem}" for path in (*modules, *packages)}
    assert there - OF_THE_CHECKOUT == {module for module, _ in COMMANDS.values()}
    assert all(module.endswith(f".{name}") for name, (module, _) in COMMANDS.items())
