"""One run directory, read and checked; what it holds is docs/record.md."""

import csv
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.common.command_line import CommandError, decoded
from analysis.records import schema

MOST_STEPS = 2**53  # beyond, a float is no count
LONGEST = 20  # characters of a whole number of 64 bits


class Curves(NamedTuple):
    """The numbers of one metrics.csv."""

    metrics: tuple[str, ...]
    table: NDArray[np.float64]  # (evaluations, 1 + metrics): the step, then a value per metric or NaN


NOTHING = Curves((), np.empty((0, 1)))


class UnreadableError(Exception):
    """Why one record cannot be read."""


def read_run(directory: Path) -> dict[str, Any]:
    """run.json as one flat mapping; raises UnreadableError, or CommandError if its schema is newer than ours."""
    return flatten(read_content(directory))


def read_content(directory: Path) -> dict[str, Any]:
    """run.json, checked; raises as :func:`read_run`."""
    try:
        with open(f"{directory}/run.json", encoding="utf-8") as file:
            content = parsed(file.read())
    except FileNotFoundError:
        lost = directory.is_symlink() and not directory.exists()
        raise UnreadableError("it is a link that leads nowhere" if lost else "it has no run.json") from None
    except OSError as error:
        raise UnreadableError(f"run.json: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableError(f"run.json is not JSON: {error}") from None
    except RecursionError:
        raise UnreadableError("run.json is nested too deeply") from None
    _check_version(directory / "run.json", content.get("schema") if isinstance(content, dict) else None)
    check(content)
    _name_blocks(content)
    return dict(content)


def parsed(text: str) -> Any:
    """JSON whose numbers are finite and fit 64 bits; ValueError or RecursionError otherwise."""
    return json.loads(text, parse_constant=no_constant, parse_float=finite, parse_int=whole)


def _name_blocks(content: dict[str, Any]) -> None:
    """Older records say of a gate whether it is `shared`: one value for all units, a block of all, or one for each."""
    resolved = content["config"].get("resolved") or {}
    for gate in (resolved.get("variant") or {}).values():
        if isinstance(gate, dict) and "shared" in gate:
            gate["block"] = "all" if gate.pop("shared") else 1


def _check_version(path: Path, version: object) -> None:
    if type(version) is not int or version < 1:
        raise UnreadableError(f"run.json has schema {version!r}, expected {schema.VERSION}")
    if version > schema.VERSION:
        raise CommandError(f"{path} has schema {version}, this version reads up to {schema.VERSION}: update it")


def no_constant(name: str) -> float:
    raise ValueError(f"{name} stands where a number or null belongs")


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large for a number")
    return number


def whole(text: str) -> int:
    if len(text) > LONGEST or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"{text[:LONGEST]} is too large for a whole number")
    return int(text)


def check(content: dict[str, Any]) -> None:
    """Raise UnreadableError, naming the key, what came and what is legal, unless this is what a run.json holds."""
    try:
        schema.check(content)
    except ValueError as error:
        raise UnreadableError(f"run.json: {error}") from None


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted keys; lists stay lists."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[decoded(prefix + key)] = decoded(value) if isinstance(value, str) else value
    return flat


def read_curves(directory: Path, status: str) -> Curves:
    """metrics.csv; a last line without its end was torn by a kill and is dropped.

    A finished run has at least one row; one that diverged before its first evaluation has no file.
    """
    try:
        with open(f"{directory}/metrics.csv", encoding="utf-8") as file:
            text = file.read()
        curves = measurements(text[: text.rfind("\n") + 1])
    except FileNotFoundError as error:
        if status != "finished":
            return NOTHING
        raise UnreadableError(f"metrics.csv: {error.strerror}") from None
    except OSError as error:
        raise UnreadableError(f"metrics.csv: {error.strerror}") from None
    except (ValueError, csv.Error) as error:
        raise UnreadableError(f"metrics.csv: {error}") from None
    if status == "finished" and not len(curves.table):
        raise UnreadableError("metrics.csv has no row, and the run is finished")
    return curves


def measurements(text: str) -> Curves:
    """The numbers of a metrics.csv; an empty cell is NaN; raises ValueError where the text is malformed."""
    header, *lines = list(csv.reader(text.splitlines())) or [["step"]]
    if header[0] != "step":
        raise ValueError(f"the first column is {header[0]!r}, expected 'step'")
    if len(set(header)) < len(header):
        raise ValueError("two of its columns have one name")
    last = -1
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"a row after step {last} has {len(line)} cells, the header {len(header)}")
        step = int(line[0])
        if step <= last:
            raise ValueError(f"step {step} comes after step {last}")
        if step > MOST_STEPS:
            raise ValueError(f"{line[0][:LONGEST]} is no number of steps")
        last = step
    numbers = [float(cell) if cell else math.nan for line in lines for cell in line]
    return Curves(tuple(header[1:]), np.asarray(numbers).reshape(len(lines), len(header)))
