"""Whose ``experiments`` and ``analysis`` Python imports, where somebody's project has folders of these names too."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

NAMES = ("lstm_variants", "experiments", "analysis")
HOME = Path(__file__).resolve().parents[1]  # the folder in which these packages and this one stand


def ours_first() -> None:
    """Make Python find our packages, whatever else has their names: in the current folder, in PYTHONPATH, anywhere.

    Their folder goes to the front of ``sys.path`` only if another package would be found. Worker processes start with
    the ``sys.path`` of their parent, and Slurm tasks with it as PYTHONPATH.

    Raises:
        ImportError: if another package of such a name has been imported already.
    """
    for name in NAMES:
        module = sys.modules.get(name)
        if module is not None and not _is_ours(module.__path__ if hasattr(module, "__path__") else [module.__file__]):
            raise ImportError(
                f"{name} has been imported already from {_place(module)}, and gates has a package of this name: "
                "import gates before it, in a process that does not need the other one"
            )
    if any(_is_another_found(name) for name in NAMES):
        sys.path.insert(0, str(HOME))


def _is_another_found(name: str) -> bool:
    found = PathFinder.find_spec(name)
    return found is not None and not _is_ours(found.submodule_search_locations or [found.origin])


def _is_ours(places: Iterable[str | None]) -> bool:
    """Whether a module stands in our folder; a folder without ``__init__.py`` may stand in several places."""
    return [Path(place).resolve().parent for place in places if place] == [HOME]


def _place(module: object) -> str:
    return str(getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "another place"))
