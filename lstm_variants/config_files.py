"""The YAML files of conf/ and of the user's conf folders: GROUP/NAME.yaml, each a diff of those under its ``defaults``.

They are read as OmegaConf reads them, but without Hydra and OmegaConf.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lstm_variants.extensions import user_folders
from lstm_variants.extensions.user_folders import ExtensionError
from lstm_variants.gate import CONF

GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
SELF = "_self_"  # among the defaults: the file itself, which otherwise comes last


class _Loader(yaml.CSafeLoader):
    """Safe YAML in which 1e-3 is a number, a date a text, and a key may stand once; as OmegaConf has it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"), list("-+0123456789.")
)


def read_yaml(text: str | bytes) -> Any:
    """The content of a YAML text.

    Raises:
        yaml.YAMLError: for what is no YAML.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def check(path: Path, text: bytes) -> None:
    """Refuse a file of a user's conf folder that no group can have.

    Raises:
        ExtensionError: naming the file and what is wrong with it.
    """
    try:
        content = read_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ExtensionError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict | None):
        raise ExtensionError(f"{path}: {json.dumps(content, default=str)}: a mapping is needed")
    conf = next(parent for parent in path.parents if parent.name == "conf")
    group = path.relative_to(conf).parts[0]
    if group not in (*GROUPS, "hydra"):
        raise ExtensionError(f"{path}: there is no group {group}; legal are {', '.join(GROUPS)}")


def names(group: str) -> list[str]:
    """The files of a group, ours and the user's."""
    return sorted(_paths(group, user_folders.generation()))


@functools.cache
def _paths(group: str, generation: int) -> dict[str, Path]:
    return {path.stem: path for folder in _conf_folders() for path in (folder / group).glob("*.yaml")}


def _conf_folders() -> list[Path]:
    return [CONF, *user_folders.conf_folders()]


def shown_path(group: str, name: str) -> str:
    """The path of a file as messages name it: ours from ``conf/`` on, the user's whole."""
    path = _paths(group, user_folders.generation())[name]
    return f"conf/{path.relative_to(CONF).as_posix()}" if path.is_relative_to(CONF) else str(path)


def own_content(group: str, name: str) -> dict[str, Any]:
    """A file of a group without those that it is a diff of.

    Raises:
        ExtensionError: if it cannot be read any more.
    """
    path = _paths(group, user_folders.generation())[name]
    try:
        return dict(read_yaml(path.read_bytes()) or {})
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ExtensionError(f"{path}: {' '.join(str(error).split())}") from None


def config_file(group: str, name: str) -> dict[str, Any]:
    """A file of a group, merged with those that it is a diff of.

    Raises:
        KeyError: if there is no such file, see :func:`names`.
        ExtensionError: for defaults that are not names of files of the same group.
    """
    return dict(_config_file(group, name, (), user_folders.generation()))


@functools.cache
def _config_file(group: str, name: str, above: tuple[str, ...], generation: int) -> dict[str, Any]:
    content = own_content(group, name)
    bases = content.pop("defaults", None) or []
    merged: dict[str, Any] = {}
    for base in bases if SELF in bases else [*bases, SELF]:
        if base == SELF:
            merged = merge(merged, content)
            continue
        if not isinstance(base, str) or base not in names(group) or base in (*above, name):
            path = _paths(group, generation)[name]
            legal = f"the names of other files of {group} are needed"
            raise ExtensionError(f"{path}: defaults: {json.dumps(base, default=str)}: {legal}")
        merged = merge(merged, _config_file(group, base, (*above, name), generation))
    return merged


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes; a mapping in a mapping is merged, everything else replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged
