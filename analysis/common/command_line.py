"""`key=value` command lines with a `--help` that teaches, on OmegaConf's structured configs.

    @dataclass
    class Options:
        '''Count the runs of a study.'''
        study: list[str] = field(default=MISSING, metadata=about("study folders, by comma", example="outputs/demo"))
        strict: bool = field(default=False, metadata=about("stop at a record that cannot be read"))

    def main(argv: Sequence[str] | None = None) -> int:
        return command("python -m analysis.count", Options, count, argv)

The schema is the whole description: OmegaConf converts and checks each value, the metadata is what `--help` prints. A
field that is MISSING has to be given; a list takes values separated by commas.
Whatever is wrong with a command line or with what it names is a `CommandError`: one line on stderr, exit status 2.
"""

import dataclasses
import difflib
import enum
import re
import signal
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from analysis.common import terminal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")
JOINERS = "\u200c\u200d"  # inside words of some scripts, and inside emoji
LEGAL = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class CommandError(Exception):
    """What was asked for cannot be done; the message is one line that says why and what would do."""


def about(help: str, example: str = "", positional: bool = False) -> dict[str, Any]:
    """The metadata of a schema's field. A `positional` field is a list of the words without `=`; one schema has one."""
    return {"help": help, "example": example, "positional": positional}


def command(program: str, schema: type[Options], body: Callable[[Options], None], argv: Sequence[str] | None) -> int:
    """Run `body` on the options that `argv` says (None: this process's own); returns the exit status.

    That is 0, 2 for whatever is wrong, or 128 and the number of the signal that ended it.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    program = terminal.as_typed(program)
    terminal.prepare()
    return terminal.finished(program, _status(program, schema, body, words))


def _status(program: str, schema: type[Options], body: Callable[[Options], None], words: Sequence[str]) -> int:
    try:
        if {"-h", "--help"} & set(words):
            print(terminal.as_typed(teach(program, schema)))
        else:
            body(parse(schema, words))
    except CommandError as error:
        terminal.say(f"{program}: {one_line(str(error))}")
        return 2
    except BrokenPipeError:  # the reader of our output (a pager, head) has seen enough
        pass
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        terminal.say(f"{program}: {one_line(said)}")
        return 2
    except KeyboardInterrupt as error:  # SIGINT, or what a sweep makes of a signal
        terminal.say(f"{program}: interrupted")
        return 128 + int(getattr(error, "signum", signal.SIGINT))
    return 0


def one_line(text: str) -> str:
    """The text with the characters escaped that would break the line or could not be printed."""
    return "".join(
        letter if letter.isprintable() or letter in JOINERS else repr(letter)[1:-1] for letter in decoded(text)
    )


def decoded(text: str) -> str:
    """The text as UTF-8 has it: what an ASCII terminal left undecoded is decoded, what is no character an escape."""
    if text.isascii():
        return text
    whole = re.sub("[\udc80-\udcff]+", lambda found: undecoded(found[0]).decode("utf-8", "backslashreplace"), text)
    return whole.encode("utf-8", "backslashreplace").decode()


def undecoded(text: str) -> bytes:
    return text.encode("ascii", "surrogateescape")


def parse(schema: type[Options], words: Sequence[str]) -> Options:
    """An instance of the dataclass `schema`; raises CommandError naming key, value received and what is legal."""
    config = OmegaConf.structured(schema)
    types = typing.get_type_hints(schema)
    keyed, positional = split(schema, words)
    for key, value in keyed.items():
        parts = value.split(",") if typing.get_origin(types[key]) is list else [value]
        if not {"", "???"}.isdisjoint(parts):  # ??? is how OmegaConf spells a missing value
            raise CommandError(f"{key}={value} lacks a value: expected {legal(types[key])}")
        assign(config, key, value, types[key])
    missing = [field for field in dataclasses.fields(schema) if OmegaConf.is_missing(config, field.name)]
    if missing:
        raise CommandError(f"{missing[0].name}= is missing: {missing[0].metadata['help']}; --help shows an example")
    options = typing.cast(Options, OmegaConf.to_object(config))
    for field in dataclasses.fields(schema):
        if field.metadata["positional"]:
            setattr(options, field.name, positional)
    return options


def split(schema: type[Options], words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The words as {key: value}, and those without `=` where the schema has a place for them."""
    keys = [field.name for field in dataclasses.fields(schema) if not field.metadata["positional"]]
    takes_words = len(keys) < len(dataclasses.fields(schema))
    keyed: dict[str, str] = {}
    positional: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        key = "study" if key == "source" and "study" in keys else key  # wandb-offline:DIR, wandb:ENTITY/PROJECT
        if not equals and takes_words and not word.startswith("-"):
            positional.append(word)
        elif key not in keys:
            raise CommandError(f"{word}: there is no {key or 'empty key'}{nearest(key.lstrip('-'), keys)}")
        elif not equals:
            raise CommandError(f"{word} has no value: write {key}=VALUE")
        elif key in keyed:
            raise CommandError(f"{word}: {key} is given twice, first as {key}={keyed[key]}")
        else:
            keyed[key] = value
    return keyed, positional


def assign(config: Any, key: str, value: str, kind: Any) -> None:
    """Set one key; OmegaConf converts the text to the field's type or refuses."""
    try:
        literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)  # ${ would begin an interpolation
        config[key] = literal.split(",") if typing.get_origin(kind) is list else literal
        OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:
        raise CommandError(f"{key}={value}: expected {legal(kind)}{nearest(value, members(kind))}") from None


def members(kind: Any) -> list[str]:
    return list(kind.__members__) if isinstance(kind, enum.EnumMeta) else []


def legal(kind: Any) -> str:
    """What a field of this type takes, in words."""
    inner = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    if typing.get_origin(kind) is list:
        return f"{legal(inner[0])}, or several separated by commas"
    if inner:
        return legal(inner[0])
    return "one of " + ", ".join(members(kind)) if members(kind) else LEGAL[kind]


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest of the known words, else all of them; nothing if none are known."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there is {', '.join(known)}" if known else ""


def teach(program: str, schema: type[Options]) -> str:
    """The help text: what the command does, each key with its meaning and default, an example."""
    rows = [(signature(field), describe(field)) for field in dataclasses.fields(schema)]
    width = max((len(left) for left, _ in rows), default=0)
    lines = [f"  {left:<{width}}  {folded(right, width + 4)}" for left, right in rows]
    examples = [field.metadata["example"] and shown(field) for field in dataclasses.fields(schema)]
    sample = " ".join([program, *filter(None, examples)])
    return "\n".join([f"{program} KEY=VALUE ...", "", (schema.__doc__ or "").strip(), "", *lines, "", f"  {sample}"])


def folded(text: str, indent: int) -> str:
    """The text in lines of 120 letters, all but the first one indented."""
    wrapped = textwrap.wrap(text, 120 - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(wrapped)


def signature(field: "dataclasses.Field[Any]") -> str:
    return f"{field.name.upper()} ..." if field.metadata["positional"] else f"{field.name}=..."


def shown(field: "dataclasses.Field[Any]") -> str:
    example: str = field.metadata["example"]
    return example if field.metadata["positional"] else f"{field.name}={example}"


def describe(field: "dataclasses.Field[Any]") -> str:
    """The help of one field, with its default where that says something."""
    if field.default is MISSING:
        return f"{field.metadata['help']} (required)"
    if field.default in (None, "", dataclasses.MISSING):
        return str(field.metadata["help"])
    value = field.default.name if isinstance(field.default, enum.Enum) else str(field.default)
    return f"{field.metadata['help']} (default {value.lower() if isinstance(field.default, bool) else value})"
