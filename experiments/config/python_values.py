"""Settings of a Python program as words of a command line: every value arrives as it is, or is refused by name."""

from __future__ import annotations

import itertools
import os
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from experiments.config.schema import LARGEST_SWEEP, ConfigError, refuse
from experiments.config.words import overlap, parse, quote

KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
BARE = re.compile(r"[A-Za-z_/][\w/.-]*", re.ASCII)  # a text that needs no quotes, unless the grammar has a word for it
LEGAL = "a number, a text, a path, a truth value, None, or a list or mapping of those is needed"


def words(settings: Iterable[tuple[str, Any]]) -> list[str]:
    """Settings as words: ``("train", {"steps": 5})`` and ``("train.steps", 5)`` are the same.

    Raises:
        ConfigError: for a key that is none or that is given twice, and for a value that no setting can have.
    """
    given: dict[str, str] = {}
    for key, value in itertools.chain.from_iterable(itertools.starmap(_leaves, settings)):
        word = f"{key}={_text(key, value)}"
        if twice := next((other for other in given if overlap(key, other)), None):
            raise ConfigError(f"{word}: is given twice, also as {given[twice]}")
        given[key] = word
    return list(given.values())


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """``("train", {"steps": 5})`` as ``("train.steps", 5)``."""
    if not (isinstance(key, str) and KEY.fullmatch(key)):
        raise ConfigError(f"{key!r}: no key; keys are as on the command line, such as train.lr")
    if key.startswith("hydra"):
        raise refuse(key, value, "Hydra has no part in this; workers= is an argument of sweep")
    if not isinstance(value, Mapping):
        yield key, value
        return
    for below, content in value.items():
        yield from _leaves(f"{key}.{below}", content)


def axis(key: str, values: Any) -> list[Any]:
    """The values of an axis of a sweep: those of anything that can be iterated over; a text or a mapping is one value.

    Sets have no order and are sorted.

    Raises:
        ConfigError: if there are no values, one twice, or several dimensions of them.
    """
    if getattr(values, "ndim", 1) > 1:
        raise ConfigError(f"{key}: an axis has one dimension, got {values.ndim}")
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, str | bytes | Mapping | os.PathLike) or not isinstance(values, Iterable):
        return [values]
    try:
        values = sorted(values) if isinstance(values, set | frozenset) else values
    except TypeError:
        raise ConfigError(f"{key}: a set has no order, and these values cannot be sorted; give a list") from None
    listed = list(itertools.islice(values, LARGEST_SWEEP + 1))
    if not listed:
        raise ConfigError(f"{key}: no values, so there is nothing to run")
    if again := next((value for value, count in Counter(map(repr, listed)).items() if count > 1), None):
        raise ConfigError(f"{key}: {again} is there twice, and would count twice")
    return listed


def _text(key: str, value: Any) -> str:
    """A value in Hydra's grammar, which reads back exactly that."""
    plain = _plain(key, value)
    text = _written(plain)
    if repr(parse(f"{key}={text}").value()) != repr(plain):
        raise refuse(key, value, "Hydra's grammar has no way to write this")
    return text


def _plain(key: str, value: Any) -> Any:
    """The value without numpy's, pandas' and torch's types, its texts as OmegaConf keeps them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, str):
        return _literal(key, str.__str__(value))
    if isinstance(value, Mapping):
        return {str(below): _plain(f"{key}.{below}", content) for below, content in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(key, item) for item in value]
    raise ConfigError(f"{key}: {LEGAL}, got {type(value).__name__}: {' '.join(reprlib.repr(value).split())}")


def _literal(key: str, text: str) -> str:
    """The text as OmegaConf keeps it, to which ``${`` is no interpolation then."""
    if text == "???":
        raise refuse(key, text, "stands for a value that is missing")
    return re.sub(r"(\\*)\$\{", lambda found: rf"{found[1] * 2}\${{", text)


def _written(plain: Any) -> str:
    if plain is None or isinstance(plain, bool):
        return {None: "null", True: "true", False: "false"}[plain]
    if isinstance(plain, list):
        return f"[{','.join(map(_written, plain))}]"
    if isinstance(plain, dict):
        return f"{{{','.join(f'{key}:{_written(value)}' for key, value in plain.items())}}}"
    if isinstance(plain, str):
        return plain if BARE.fullmatch(plain) and parse(f"k={plain}").value() == plain else quote(plain)
    return repr(plain)
