"""Hydra's and OmegaConf's errors as one line: the key, the value received, what is legal."""

from __future__ import annotations

import functools
import re

from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import OmegaConf

from experiments.config.catalogue import GROUPS, not_there
from experiments.config.hydra_setup import loader
from experiments.config.identity import nested_difference
from lstm_variants.extensions import user_folders
from lstm_variants.gate import DESCRIPTION, complete_lstm
from lstm_variants.hints import nearest


def explain(error: BaseException) -> str:
    """One line for a mistake that Hydra found: the key, the value received, what is legal."""
    text = str(error)
    cause = error.__cause__ or error
    if found := re.search(r"Could not find '((?:hydra/)?[^'/]*)/([^']*)'", text):
        group, name = found.groups()
        legal = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        return f"{group}={name}: {not_there(group, name, legal)}"
    if found := re.match(r"Ambiguous value for argument '(.*)'$", text, re.MULTILINE):
        return f"{found[1]}: several values need -m, which makes a sweep; a text with commas goes in quotes"
    if found := re.search(r"Could not override '([^']+)'", text):
        below = re.search(r"full_key: (\S+)", str(cause))  # of a mapping, the key in it
        key = below[1] if below and below[1].startswith(f"{found[1]}.") else found[1]
        if key.startswith("protocol."):
            return f"{key}: the experiment file does not have this key; only what stands there can be changed by a word"
        return f"{key}: unknown key; {nearest(key, _siblings(key))}"
    if found := re.search(r"full_key: (\S+)", str(cause)):
        return f"{found[1]}: {str(cause).splitlines()[0]}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _siblings(key: str) -> list[str]:
    """The legal keys beside a key."""
    parent = key.rpartition(".")[0]
    known = _launcher_keys() if parent == "hydra.launcher" else _known_keys(user_folders.generation())
    if not any(name.startswith(f"{parent}.") for name in known):
        parent = ""
    depth = parent.count(".") + 2 if parent else 1
    beside = {".".join(name.split(".")[:depth]) for name in known if not parent or name.startswith(f"{parent}.")}
    return sorted(beside)


def _launcher_keys() -> list[str]:
    store, group = ConfigStore.instance(), "hydra/launcher"
    nodes = [store.load(f"{group}/{name}").node for name in store.list(group)]
    return [f"hydra.launcher.{key}" for node in nodes for key in map(str, node) if key != "_target_"]


@functools.lru_cache(maxsize=1)
def _known_keys(generation: int) -> list[str]:
    config = OmegaConf.to_container(loader().load_configuration("config", [], RunMode.RUN))
    assert isinstance(config, dict)
    flat = nested_difference({str(k): v for k, v in config.items() if k != "hydra"}, {})
    return sorted({*flat, *GROUPS, *(f"variant.{key}" for key in [*complete_lstm(), *DESCRIPTION])})
