"""The files of conf/ that a run is composed from, ours and the user's, by group and name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import tasks
from experiments.config.schema import refuse
from lstm_variants import config_files
from lstm_variants.catalogue.variants import unknown_variant
from lstm_variants.extensions import user_folders
from lstm_variants.gate import DESCRIPTION
from lstm_variants.hints import OF_FILES, nearest

GROUPS = ("variant", "init", "task", "model", "train", "record", "experiment")


def names(group: str) -> list[str]:
    """The files of a group."""
    return config_files.names(group)


def config_file(group: str, name: str) -> dict[str, Any]:
    """A YAML of a group with the files it is a diff of, plain.

    Raises:
        ConfigError: if there is no such file.
        ExtensionError: for a file of the user's own that cannot be used.
    """
    if name not in names(group):
        raise refuse(group, name, not_there(group, name))
    return config_files.config_file(group, name)


def completed(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration with the settings that have come since, at the defaults that leave a run as it was."""
    task = resolved["task"]["name"]
    files = {"init": "default", "task": task, "model": "default", "train": "default"}
    known = {group: config_file(group, name) for group, name in files.items() if name in names(group)}
    return {**resolved, **{group: {**defaults, **resolved[group]} for group, defaults in known.items()}}


def not_there(group: str, name: str, legal: Sequence[str] = ()) -> str:
    """What an error says about a name that a group does not have.

    Args:
        legal: the names of a group that is not of conf/.
    """
    if group == "task" and (file := tasks.own_file(name)):
        return f"{file} needs its settings in {file.parents[1] / 'conf' / 'task' / file.stem}.yaml"
    if group in GROUPS and (hint := _in_an_unknown_folder(group, name)):
        return hint
    if group == "variant":
        return unknown_variant(name)
    return nearest(name, names(group) or legal, OF_FILES)


def _in_an_unknown_folder(group: str, name: str) -> str:
    """What to do if the file is there, in the current folder or one below it that extensions= does not name."""
    wanted = Path(name.removesuffix(".yaml")).name
    with contextlib.suppress(OSError):  # folders that may not be looked into
        for folder in (Path(), *sorted(path for path in Path().iterdir() if path.is_dir())):
            file = folder / "conf" / group / f"{wanted}.yaml"
            if file.is_file() and folder.resolve() not in map(Path.resolve, user_folders.folders()):
                return f"there is {file}, which {group}={wanted} extensions={folder} finds"
        if Path(f"{name.removesuffix('.yaml')}.yaml").is_file():
            place = f"DIR/conf/{group}/{wanted}.yaml"
            return f"files are found by their name in such folders as {place}: {group}={wanted} extensions=DIR"
    return ""


def check_description(variant: Mapping[str, Any], name: str) -> None:
    """Refuse a label, citation or alias that is none of the file's: records and figures would not use it.

    Raises:
        ConfigError: naming the key and what is legal.
    """
    file = config_file("variant", name)
    for key in DESCRIPTION:
        if variant.get(key) != file.get(key):
            legal = "belongs to a file, conf/variant/NAME.yaml; a difference from a file is called by its knobs"
            raise refuse(f"variant.{key}", variant.get(key), legal)
