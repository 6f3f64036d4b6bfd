"""The user's own folders: which are in use, and whether what they hold can stand beside what is there already.

A folder holds any of ``conf/``, ``cells/``, ``tasks/``, ``activations/``, ``inits/`` and ``figures/``; a name is its
file's. No file may have the name of one of ours or of another folder's: what a name means depends on no order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.config.schema import ConfigError, refuse
from experiments.config.words import parse, quote
from lstm_variants import activations, extensions, parameters
from lstm_variants.spec import CONF

KEY = "extensions="
KINDS = ("cells", "tasks", "activations", "inits", "figures")
Folders = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
ROOT = Path(__file__).parents[2]
HOMES = (ROOT / "lstm_variants" / "cells", ROOT / "experiments" / "tasks", ROOT / "analysis" / "figures")
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
OURS = {
    *(f"{home.name}/{path.name}" for home in HOMES for path in home.glob("*.py")),
    *(f"activations/{name}.py" for name in activations.ACTIVATIONS),
    *(f"inits/{name}.py" for name in (*parameters.RULES, *parameters.RECURRENT)),
    *(f"conf/{path.relative_to(CONF)}" for path in CONF.rglob("*.yaml")),
    "cells/gated.py",
}
_seen: dict[Path, bytes] = {}  # the configuration files of the folders in use, as they were checked


def use(said: Folders | None) -> bool:
    """Make the user's folders known, in place of those before; None leaves them, but reads again what has changed.

    Returns:
        Whether the folders or their configuration files are others than before.

    Raises:
        ConfigError: naming the folder or file and what is wrong with it.
        ExtensionError: for a file that cannot be read.
    """
    folders = extensions.folders() if said is None else _folders(said)
    content = {path: path.read_bytes() for folder in folders for path in sorted((folder / "conf").rglob("*.yaml"))}
    changed = folders != extensions.folders() or content != _seen
    if changed:
        _check_names(folders)
        for path, text in content.items():
            _check_yaml(path, text)
    extensions.use(folders)
    _seen.clear()
    _seen.update(content)
    return changed


def conf_folders() -> list[Path]:
    """The configuration folders of the folders in use."""
    return [path for folder in extensions.folders() if (path := folder / "conf").is_dir()]


def said_in(words: Sequence[str]) -> str | None:
    """The value of the word ``extensions=``.

    Raises:
        ConfigError: if there are two.
    """
    said = [word.partition("=")[2] for word in words if word.startswith(KEY)]
    if len(said) > 1:
        raise refuse("extensions", said[1], "is said twice; several folders are separated by commas")
    return said[0] if said else None


def rewritten(words: Sequence[str]) -> list[str]:
    """The words with the folders in use in place of what was said, as a list that Hydra reads whatever their names."""
    return [word_of(extensions.folders()) if word.startswith(KEY) else word for word in words]


def word_of(folders: Sequence[Path]) -> str:
    """``extensions=['/home/me/own']``, whatever characters a path has."""
    return f"extensions=[{','.join(quote(str(folder)) for folder in folders)}]"


def _folders(said: Folders) -> tuple[Path, ...]:
    folders: list[Path] = []
    for one in _listed(said):
        folder = Path(os.path.abspath(Path(one).expanduser()))
        if not str(one) or not folder.is_dir():
            raise refuse("extensions", one, "no such folder")
        if not any((folder / kind).is_dir() for kind in ("conf", *KINDS)):
            raise refuse("extensions", one, f"there is none of conf, {', '.join(KINDS)} in this folder")
        if not any(folder.samefile(other) for other in folders):
            folders.append(folder)
    return tuple(folders)


def _listed(said: Folders) -> list[Any]:
    """Folders as they may be said: one, several separated by commas, or a list."""
    if not isinstance(said, str):
        listed = [said] if isinstance(said, os.PathLike) or not isinstance(said, Sequence) else list(said)
        if wrong := [one for one in listed if not isinstance(one, str | os.PathLike)]:
            raise refuse("extensions", wrong[0], "a folder or a list of folders is needed")
        return listed
    if said.startswith("["):
        parsed: Any = parse(f"{KEY}{said}").value()
        return [str(one) for one in parsed]
    if said == "null":
        return []
    return [said] if Path(said).expanduser().is_dir() else said.split(",")


def _names(folder: Path) -> Iterator[str]:
    """What a folder defines, as the paths of its files in it."""
    for kind in KINDS:
        yield from (f"{kind}/{path.name}" for path in sorted((folder / kind).glob("[!_]*.py")))
    for path in sorted((folder / "conf").rglob("*.yaml")):
        yield path.relative_to(folder).as_posix()


def _check_names(folders: Sequence[Path]) -> None:
    taken = dict.fromkeys(OURS, "gates itself")
    for folder in folders:
        for name in _names(folder):
            if name in taken:
                raise ConfigError(f"{folder / name}: there is a {name} in {taken[name]} too; give it another name")
        taken |= dict.fromkeys(_names(folder), str(folder))


def _check_yaml(path: Path, text: bytes) -> None:
    try:
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict | None):
        raise ConfigError(f"{path}: {json.dumps(content, default=str)}: a mapping is needed")
    conf = next(parent for parent in path.parents if parent.name == "conf")
    group = path.relative_to(conf).parts[0]
    if group not in (*GROUPS, "hydra"):
        raise ConfigError(f"{path}: there is no group {group}; legal are {', '.join(GROUPS)}")
