"""From the words of a command line to configurations and jobs, through Hydra but without a Hydra application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.config import words
from experiments.config.catalogue import GROUPS, check_description
from experiments.config.error_messages import explain
from experiments.config.hydra_setup import loader, register_schema
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError, refuse
from lstm_variants import CellSpec
from lstm_variants.catalogue.variants import aliases


def compose(overrides: Sequence[str]) -> DictConfig:
    """The configuration that command-line strings make, without a Hydra application.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    register_schema()
    try:
        config = loader().load_configuration("config", expand_aliases(overrides), RunMode.RUN)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    return config


def load_spec(name: str, overrides: Sequence[str] = ()) -> CellSpec:
    """The spec of a variant file with command-line changes, ``load_spec("lstm", ["variant.forget.feeds=xb"])``.

    Raises:
        ConfigError, SpecError: naming the key, the value received and what is legal.
    """
    config = compose([f"variant={name}", *overrides])
    variant: Any = OmegaConf.to_container(config.variant, resolve=True)
    check_description(variant, config.hydra.runtime.choices.variant)
    return CellSpec.from_config(variant)


def expand_aliases(overrides: Sequence[str]) -> list[str]:
    """The words, checked, with papers' short names (NFG, CIFG ...) in ``variant=`` as file names.

    Raises:
        ConfigError: naming the word and what is legal.
    """
    files = aliases()

    def expand(override: str) -> str:
        key, equals, value = override.partition("=")
        if key in GROUPS and (value.strip()[:1] in ("[", "{") or value.strip().lower() == "null"):
            raise refuse(key, value, "one name is needed, or with -m several separated by commas")
        if key != "variant" or not equals:
            return override
        return "variant=" + ",".join(files.get(name, name) for name in value.split(","))

    return [expand(override) for override in words.checked(overrides)]


class Composer:
    """The jobs of a sweep, composed once per structure; each as if it had been composed alone.

    Composing takes Hydra some 70 ms a job. Jobs that differ only in numbers, texts and truth values (``seed=1``,
    ``train.lr=.01``) share one composed configuration, in which these are set again for every job, and checked. All
    else, and whatever one word changes in what another one sets, is part of the structure.

    Args:
        compose: from overrides to a configuration.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig]) -> None:
        self._compose = compose
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def job(self, overrides: Sequence[str]) -> Job:
        """Compose and validate one job.

        Raises:
            ConfigError, SpecError, TaskError, NotApplicableError: as :func:`resolve`.
        """
        try:
            return resolve(self._composed(overrides), overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error)) from error

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        plain = [override for override in map(words.parse, overrides) if _is_plain(override, overrides)]
        keys = {override.key_or_group for override in plain}
        structure = tuple(w if (key := words.parse(w).key_or_group) not in keys else key for w in overrides)
        base = self._bases.get(structure)
        if base is None:
            config = self._compose(list(overrides))
            if not _interpolates(config):
                self._bases[structure] = config
            return config
        for override in plain:
            words.check_size(override)
            OmegaConf.update(base, override.key_or_group, override.value())
        return base


def _is_plain(override: Override, overrides: Sequence[str]) -> bool:
    """Whether a word sets one number, text or truth value that no other word of the job has to do with."""
    key, value = override.key_or_group, override.value()
    if override.type is not OverrideType.CHANGE or override.package is not None or key.startswith("hydra"):
        return False
    if key in (*GROUPS, "extensions") or isinstance(value, list | dict) or "$" in str(value) or value == "???":
        return False
    others = [other for other in (words.parse(word).key_or_group for word in overrides) if words.overlap(key, other)]
    return len(others) == 1


def _interpolates(config: DictConfig) -> bool:
    """Whether a value is computed from others, which may be Hydra's own of the job that was composed."""
    return "${" in OmegaConf.to_yaml(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
