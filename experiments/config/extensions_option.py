"""The words ``extensions=DIR`` of a command line, and the user's own folders that they make known.

A folder holds any of ``conf/``, ``cells/``, ``tasks/``, ``activations/``, ``inits/`` and ``figures/``; a name is its
file's. No file may have the name of one of ours or of another folder's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.config.schema import refuse
from experiments.config.words import parse, quote
from lstm_variants.extensions import registration, user_folders
from lstm_variants.extensions.user_folders import Folders

KEY = "extensions="
ROOT = Path(__file__).parents[2]
TAKEN = {  # beside those of lstm_variants
    f"{folder.name}/{path.name}"
    for folder in (ROOT / "experiments" / "tasks", ROOT / "analysis" / "figures")
    for path in folder.glob("*.py")
}


def use_extensions(folders: Folders | None) -> None:
    """Make the user's own folders known, in place of those before; None leaves them, but reads again what has changed.

    Raises:
        ConfigError, ExtensionError: naming the folder or file and what is wrong with it.
    """
    registration.use(_listed(folders), TAKEN)


def _listed(folders: Any) -> Any:
    """The folders, where a text is a list in Hydra's grammar or null."""
    if not isinstance(folders, str) or not (folders.startswith("[") or folders == "null"):
        return folders
    return [] if folders == "null" else [str(folder) for folder in parse(f"{KEY}{folders}").value()]  # type: ignore[union-attr]


def use_extensions_of(words: Sequence[str]) -> list[str]:
    """Make the folders of ``extensions=`` on a command line known; the words as the rest of the program reads them.

    Raises:
        ConfigError, ExtensionError: naming the folder or file and what is wrong with it.
    """
    given = [word.partition("=")[2] for word in words if word.startswith(KEY)]
    if len(given) > 1:
        raise refuse("extensions", given[1], "is given twice; several folders are separated by commas")
    use_extensions(given[0] if given else None)
    return rewritten(words)


def used_extensions() -> list[str]:
    """The user's own folders in use, for other processes and for records."""
    return [os.fspath(folder) for folder in user_folders.folders()]


def rewritten(words: Sequence[str]) -> list[str]:
    """The words with the folders in use in place of those given, as a list that Hydra reads whatever their names."""
    listed = f"{KEY}[{','.join(quote(folder) for folder in used_extensions())}]"
    return [listed if word.startswith(KEY) else word for word in words]
