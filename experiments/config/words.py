"""Words of a command line, KEY=VALUE in Hydra's grammar: which are legal, and how they are read."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, Quote, QuotedString, Sweep
from hydra.errors import HydraException

from experiments.config.schema import ConfigError

PATHS = ("study", "extensions")  # texts, also where they look like a number: study=2026_11_25
GRAMMAR = re.compile(r"\s*([\[{'\"]|[A-Za-z_][\w-]*\s*\()", re.ASCII)  # a list, a mapping, quotes or a function begins
CONFIGURATION = ("job", "hydra", "all")
INFORMATION = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
WITH_VALUE = {
    **dict.fromkeys(("-c", "--cfg"), CONFIGURATION),
    **dict.fromkeys(("-i", "--info"), INFORMATION),
    **dict.fromkeys(("-p", "--package"), ("parts of the configuration",)),
}
FLAGS = ("-m", "--multirun", "-h", "--help", "--resolve", "--hydra-help", "--version", *WITH_VALUE)
LAUNCHING = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


@functools.lru_cache(maxsize=65536)
def parse(word: str) -> Override:
    """A word as Hydra's grammar reads it; it is shared, so not to be changed.

    Raises:
        ConfigError: if the grammar does not take it.
    """
    try:
        return _parser().parse_override(word)
    except HydraException as error:
        lines = str(error).splitlines()
        reason = lines[1] if lines[0].startswith("Error parsing override") else lines[0]
        legal = "a text with such characters goes in quotes" if "=" in word else "KEY=VALUE is needed"
        raise ConfigError(f"{word}: cannot be read, {reason.strip()}; {legal}") from error


def flags_and_words(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """The flags of a command line, with their values, and its words, in whatever order they came.

    Raises:
        ConfigError: for a flag that this project has no use for, or without its value.
    """
    flags: list[str] = []
    words: list[str] = []
    valued = False
    for argument in arguments:
        is_flag = argument.startswith("-")
        name, equals, _ = argument.partition("=")
        if is_flag and name not in (WITH_VALUE if equals else FLAGS):
            raise ConfigError(f"{argument}: legal are {', '.join(FLAGS)}, and words KEY=VALUE")
        if is_flag or (valued and "=" not in argument):
            flags.append("--multirun" if argument == "-m" else argument)
        else:
            words.append(argument)
        valued = argument in WITH_VALUE
    for flag, value in itertools.pairwise([*flags, ""]):
        name, equals, given = flag.partition("=")
        _check_value(name, given if equals else value)
    sweep = ["--multirun"] if "--multirun" in flags else []
    return [*sweep, *(flag for flag in flags if flag != "--multirun")], words


def _check_value(flag: str, value: str) -> None:
    """Refuse a flag whose value is missing or none that Hydra has."""
    legal = WITH_VALUE.get(flag, ())
    free = flag in ("-p", "--package") and value and not value.startswith("-")
    if legal and value not in legal and not free:
        raise ConfigError(f"{flag} {value}".rstrip() + f": legal after it are {', '.join(legal)}")


def understood(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """The words of a person: quoted where the grammar needs it, of several for one key the last; and notes on those.

    Raises:
        ConfigError: for a word that would not be obeyed.
    """
    last: dict[str, str] = {}
    notes = []
    for word in checked(map(readable, words)):
        key = parse(word).key_or_group
        if earlier := last.pop(key, None):
            notes.append(f"note: {earlier} gives way to {word}, which comes after it")
        last[key] = word
    return list(last.values()), notes


def readable(word: str) -> str:
    """The word, with the value in quotes if it is a text that the grammar does not take as it stands: ``study=José``.

    A comma goes on separating values.
    """
    key, equals, value = word.partition("=")
    if not equals or GRAMMAR.match(value) or _arrives(key, value):
        return word
    parts = [value] if "${" in value else value.split(",")
    quoted = ",".join(part if _arrives(key, part) else quote(part) for part in parts)
    return f"{key}={quoted}" if _arrives(key, quoted) else word


def _arrives(key: str, value: str) -> bool:
    """Whether the grammar takes a value, and a text as a text."""
    try:
        arrived = parse(f"{key}={value}").value()
    except ConfigError:
        return False
    return key not in PATHS or arrived is None or isinstance(arrived, str | Sweep)


def quote(text: str) -> str:
    """The text in quotes, for Hydra's grammar."""
    return QuotedString(text, Quote.single).with_quotes()


def checked(words: Iterable[str]) -> list[str]:
    """The words, each of which gives a key that is there a value.

    Raises:
        ConfigError: naming the word and what is legal.
    """
    listed = list(words)
    for word in listed:
        override = parse(word)
        if override.type is not OverrideType.CHANGE:
            legal = f"no key can be added or taken away; {override.key_or_group}=VALUE changes one"
            raise ConfigError(f"{word}: {legal}")
        if not override.key_or_group:
            raise ConfigError(f"{word}: KEY=VALUE is needed")
        if override.package is not None:
            raise ConfigError(f"{word}: every group has its one place; {override.key_or_group}=NAME chooses")
        if not word.partition("=")[2].strip():
            raise ConfigError(f"{word}: a value is needed")
        check_size(override)
    return listed


def check_size(override: Override) -> None:
    """Refuse a whole number that no record can hold.

    Raises:
        ConfigError: naming the key.
    """
    value = override.value()
    for one in value.list if isinstance(value, ChoiceSweep) else [value]:
        if isinstance(one, int) and not -(2**63) <= one < 2**63:
            given = str(one) if len(str(one)) <= 24 else f"{str(one)[:20]}..."
            raise ConfigError(f"{override.key_or_group}={given}: a whole number is from {-(2**63)} to {2**63 - 1}")


def overlap(first: str, second: str) -> bool:
    """Whether two keys set the same, in part at least; ``train=NAME`` chooses a file and goes with ``train.lr``."""
    outer, inner = sorted((first, second), key=len)
    return outer == inner or ("." in outer and inner.startswith(f"{outer}."))


def launching(words: Iterable[str]) -> list[str]:
    """The words for Hydra's launcher and sweeper.

    Raises:
        ConfigError: for a word for another part of Hydra, which no run would obey.
    """
    hydras = [word for word in words if parse(word).is_hydra_override()]
    for word in hydras:
        if not word.startswith(LAUNCHING):
            legal = "runs obey hydra/launcher, hydra.launcher, hydra/sweeper and hydra.sweeper only"
            raise ConfigError(
                f"{word}: {legal}; -m makes a sweep, study=DIR says where runs go, extensions=DIR adds files"
            )
    return hydras
