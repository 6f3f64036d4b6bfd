"""Make the user's own folders known: checks their files, adds their activations and inits to our tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from lstm_variants import config_files
from lstm_variants.activations import ACTIVATIONS, check_activation
from lstm_variants.extensions import user_folders
from lstm_variants.extensions.name_clashes import check_names
from lstm_variants.extensions.user_folders import ExtensionError, Folders
from lstm_variants.extensions.user_modules import load, package_of, reason
from lstm_variants.parameters import RECURRENT, RULES, check_recurrent, check_rule

WANTED: dict[str, dict[str, Callable[[object], object]]] = {
    "activations": {"ACTIVATION": check_activation},
    "inits": {"RULE": check_rule, "RECURRENT": check_recurrent},
}
TABLES: dict[str, dict[str, Any]] = {"ACTIVATION": ACTIVATIONS, "RULE": RULES, "RECURRENT": RECURRENT}
_added: list[tuple[dict[str, Any], str]] = []  # what the user's folders have added to the tables
_checked: dict[Path, bytes] = {}  # the configuration files of the folders in use


def use(given: Folders | None, taken: Collection[str] = ()) -> None:
    """Make the user's folders known, in place of those before; None leaves them, but reads again what has changed.

    Args:
        given: a folder, several separated by commas, or a list; empty for none.
        taken: names, such as ``tasks/adding.py``, that the caller has already, besides those of this package.

    Raises:
        ExtensionError: naming the folder or file and what is wrong with it; then nothing has changed.
    """
    global _added
    folders = user_folders.folders() if given is None else user_folders.listed(given)
    content = {path: path.read_bytes() for folder in folders for path in sorted((folder / "conf").rglob("*.yaml"))}
    check_names(folders, taken)
    changed = content != _checked
    if changed:
        for path, text in content.items():
            config_files.check(path, text)
    entries = list(_entries(folders))
    for table, name in _added:
        del table[name]
    for table, name, entry in entries:
        table[name] = entry
    _added = [(table, name) for table, name, _ in entries]
    user_folders.set_used(folders, changed or folders != user_folders.folders())
    for folder in folders:  # what another process sends may be defined in any of their files
        package_of(folder)
    _checked.clear()
    _checked.update(content)


def _entries(folders: Sequence[Path]) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """The tables, names and entries of the activations and inits of the folders."""
    for folder in folders:
        for kind in WANTED:
            for path in sorted((folder / kind).glob("[!_]*.py")):
                yield from ((TABLES[name], path.stem, entry) for name, entry in _defined(path).items())


def _defined(path: Path) -> dict[str, Any]:
    """What the file of an activation or an init adds to the tables, tried once.

    Raises:
        ExtensionError: if there is nothing, or it is not what it has to be.
    """
    module, wanted = load(path), WANTED[path.parent.name]
    found = {name: getattr(module, name) for name in wanted if hasattr(module, name)}
    if not found:
        raise ExtensionError(f"{path}: it defines no {' and no '.join(wanted)}")
    for name, entry in found.items():
        try:
            wanted[name](entry)
        except Exception as error:
            text = str(error) if isinstance(error, ValueError) else reason(error, path)
            raise ExtensionError(f"{path}: {name}: {text}") from error
    return found
