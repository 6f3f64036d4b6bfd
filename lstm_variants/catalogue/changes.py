"""Changes to a variant, written as on the command line: ``forget.feeds=xb``, ``forget={kind: constant, value: .5}``.

The values are read as Hydra's grammar reads them, but without Hydra: numbers, ``true``, ``false``, ``null``, texts with
or without quotes, lists and mappings. Functions, sweeps and references to other keys have no place here.
"""

from __future__ import annotations

import re
from typing import Any

from lstm_variants.gate import SpecError

PREFIX = "variant."  # may stand before a key, as on the command line of a run
KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
INT = re.compile(r"[+-]?(0|[1-9](_?\d)*)", re.ASCII)
FLOAT = re.compile(
    r"[+-]?((0|[1-9](_?\d)*)\.?|(0|[1-9](_?\d)*)?\.\d(_?\d)*)([eE][+-]?\d(_?\d)*)?|[+-]?(inf|nan)", re.ASCII | re.I
)
CONSTANTS = {"true": True, "false": False, "null": None}
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
BARE = re.compile(r"(?:[^\\\[\]{}(),:='\"]|\\.)+")
LEGAL = "KEY=VALUE is needed, such as forget.feeds=xb or forget={kind: constant, value: 0.5}"


def nested(change: str) -> dict[str, Any]:
    """A change as a mapping: ``forget.feeds=xb`` as ``{"forget": {"feeds": "xb"}}``.

    Raises:
        SpecError: for a text that is no change.
    """
    if not isinstance(change, str):
        raise SpecError(f"{change!r}: {LEGAL}")
    key, _, text = change.partition("=")
    key = key.strip().removeprefix(PREFIX)
    if not KEY.fullmatch(key) or not text.strip():
        raise SpecError(f"{change}: {LEGAL}")
    content = _Reader(change, text).whole()
    for part in reversed(key.split(".")):
        content = {part: content}
    return dict(content)


class _Reader:
    """Reads one value from left to right."""

    def __init__(self, change: str, text: str) -> None:
        self.change, self.rest = change, text.strip()

    def whole(self) -> Any:
        """The value, which has to end where the text ends."""
        value = self.value()
        if self.rest:
            raise self.refusal(f"cannot be read from {self.rest} on; a change has one value")
        return value

    def value(self) -> Any:
        """The next value."""
        if self.found("["):
            return self.sequence()
        if self.found("{"):
            return self.mapping()
        if quoted := QUOTED.match(self.rest):
            self.rest = self.rest[quoted.end() :].lstrip()
            return unquoted(quoted[0])
        return plain(self.bare())

    def sequence(self) -> list[Any]:
        """``[a, b]``, from behind its bracket."""
        values: list[Any] = []
        while not self.found("]"):
            if values:
                self.expect(",")
            values.append(self.value())
        return values

    def mapping(self) -> dict[Any, Any]:
        """``{a: 1, b: 2}``, from behind its brace."""
        values: dict[Any, Any] = {}
        while not self.found("}"):
            if values:
                self.expect(",")
            key = plain(self.bare())
            self.expect(":")
            values[key] = self.value()
        return values

    def bare(self) -> str:
        """The next text without quotes."""
        found = BARE.match(self.rest)
        if found is None:
            raise self.refusal("cannot be read; a text with such characters goes in quotes")
        self.rest = self.rest[found.end() :]
        return found[0].strip()

    def found(self, mark: str) -> bool:
        """Whether the mark comes next, which is then passed."""
        if not self.rest.startswith(mark):
            return False
        self.rest = self.rest[1:].lstrip()
        return True

    def expect(self, mark: str) -> None:
        """Pass the mark."""
        if not self.found(mark):
            raise self.refusal(f"cannot be read, a {mark} is missing")

    def refusal(self, reason: str) -> SpecError:
        """The change and the reason."""
        return SpecError(f"{self.change}: {reason}")


def plain(text: str) -> Any:
    """A text without quotes: a number, a truth value, null or itself."""
    if text.lower() in CONSTANTS:
        return CONSTANTS[text.lower()]
    if INT.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    return re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", text)


def unquoted(text: str) -> str:
    """A text in quotes without them; backslashes before a quote stand for half as many."""
    quote, inner = text[0], text[1:-1]
    return re.sub(rf"(\\+)({quote}|$)", lambda found: found[1][: len(found[1]) // 2] + found[2], inner)
