"""No file of a user's folder may have the name of one of ours or of another folder's: a name depends on no order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.extensions.user_folders import KINDS, ExtensionError
from lstm_variants.gate import CONF
from lstm_variants.parameters import RECURRENT, RULES

OURS = {  # before any of the user's has joined our tables
    *(f"cells/{path.name}" for path in (Path(__file__).parents[1] / "cells").glob("*.py")),
    "cells/gated.py",
    *(f"activations/{name}.py" for name in ACTIVATIONS),
    *(f"inits/{name}.py" for name in (*RULES, *RECURRENT)),
    *(f"conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")),
}


def _names(folder: Path) -> Iterator[str]:
    """What a folder defines, as the paths of its files in it."""
    for kind in KINDS:
        yield from (f"{kind}/{path.name}" for path in sorted((folder / kind).glob("[!_]*.py")))
    for path in sorted((folder / "conf").rglob("*.yaml")):
        yield path.relative_to(folder).as_posix()


def check_names(folders: Sequence[Path], more: Collection[str]) -> None:
    """Refuse a file with a name that is taken.

    Args:
        more: names, such as ``tasks/adding.py``, that are ours besides those of this package.

    Raises:
        ExtensionError: naming the file and where there is another of its name.
    """
    taken = dict.fromkeys({*OURS, *more}, "gates itself")
    for folder in folders:
        for name in _names(folder):
            if name in taken:
                raise ExtensionError(f"{folder / name}: there is a {name} in {taken[name]} too; give it another name")
        taken |= dict.fromkeys(_names(folder), str(folder))
