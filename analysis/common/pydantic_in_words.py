"""A class of pydantic in words: what is wrong with a content by it, and the table that documents it."""

import textwrap
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from analysis.common.command_line import decoded

PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "null", Any: "anything"}


def fault(model: type[BaseModel], content: Any, error: ValidationError) -> str:
    """The first thing that is wrong: the key, what stands there and what is legal."""
    first = error.errors(include_url=False)[0]
    path, legal, value = _place(model, content, first["loc"])
    said = str(first.get("ctx", {}).get("error", "")) if first["type"] == "value_error" else ""
    if not path:
        return said or f"{shown(value)} is no {legal}"
    if first["type"] == "missing":
        return f"lacks {path}"
    return f"{path} is {shown(value)}, expected {said or legal}"


def _place(model: type[BaseModel], content: Any, location: tuple[int | str, ...]) -> tuple[str, str, Any]:
    """Where in a content an error is, what is legal there, and what stands there."""
    kind: Any = model
    path: list[str] = []
    for part in location:
        inner = _below(kind, part)
        if inner is None:  # the name of one of several legal types, or the place in a list
            break
        kind, content = inner, content.get(part) if isinstance(content, dict) else None
        path.append(str(part))
    return decoded(".".join(path)), words(kind), content


def _below(kind: Any, key: int | str) -> Any:
    """The type of what stands under a key, None where nothing does."""
    for option in _options(kind):
        if get_origin(option) is dict:
            return get_args(option)[1]
        if isinstance(option, type) and issubclass(option, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in option.model_fields.items()}
            return fields.get(str(key))
    return None


def _options(kind: Any) -> list[Any]:
    """The types of a union, or the one."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for part in get_args(kind) for option in _options(part)]
    return [kind]


def words(kind: Any) -> str:
    """What is legal, in words: ``whole number or null``."""
    options = _options(kind)
    if {int, float} <= set(options):
        options = [option for option in options if option is not int]
    return " or ".join(dict.fromkeys(_word(option) for option in options))


def _word(kind: Any) -> str:
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return " or ".join(map(str, inner)) if len(inner) < 3 else f"one of {', '.join(map(str, inner))}"
    if get_origin(kind) is list:
        return f"list ({words(inner[0])})"
    if get_origin(kind) is dict:
        return "mapping" if inner[1] is Any else f"mapping (name: {words(inner[1])})"
    return PLAIN.get(kind, "mapping")


def shown(value: object) -> str:
    """What stands somewhere, in short."""
    return textwrap.shorten(repr(value), 60, placeholder=" ...")


def table(model: type[BaseModel]) -> str:
    """A table of every key, of parts down to their own keys, with its type and its content, in Markdown."""
    rows = [f"| `{key}` | {words(field.annotation)} | {field.description or ''} |" for key, field in _fields(model)]
    return "\n".join(["| key | type | content |", "|---|---|---|", *rows])


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field with its path; a part comes before what is in it."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        yield path, field
        option = _options(field.annotation)[0]
        if not prefix and isinstance(option, type) and issubclass(option, BaseModel):
            yield from _fields(option, f"{path}.")
