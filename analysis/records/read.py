"""One run directory, checked at the door; its contract is docs/record.md."""

import csv
import json
import math
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.common.command_line import CommandError, decoded
from analysis.records import counted

SCHEMA = 1

TEXT, COUNT, NUMBER, TABLE, NONE = (str,), (int,), (int, float), (dict,), (type(None),)
DOOR: dict[str, tuple[type, ...]] = {  # what a record must have to be let in
    "run_id": TEXT,
    "arm": TEXT,
    "study": TEXT,
    "phase": TEXT + NONE,
    "variant": TEXT,
    "label": TEXT,
    "cite": TEXT + NONE,
    "task.name": TEXT,
    "task.length": COUNT + NONE,
    "task.metric": TEXT,
    "task.direction": TEXT,
    "task.chance": NUMBER + NONE,
    "task.solved": NUMBER + NONE,
    "task.unit": TEXT + NONE,
    "seed": COUNT,
    "config.resolved": TABLE,
    "status": TEXT,
    "error": TEXT + NONE,
    "parameters.layer": COUNT + NONE,
    "parameters.total": COUNT + NONE,
    "parameters.hidden_size": COUNT + NONE,
    "results": TABLE,
    "timing.started": TEXT + NONE,
    "environment": TABLE,
    "semantics": TABLE,
    "semantics.cell": COUNT + TEXT,
    "semantics.task": COUNT + TEXT,
    "semantics.trainer": COUNT,
    "data_digest": TEXT + NONE,
}
IF_ANY: dict[str, tuple[type, ...]] = {  # what may be missing or null, and must be of these types otherwise
    "results.score": NUMBER,
    "results.steps": COUNT,
    "results.steps_to_solve": COUNT,
    "results.solved": (bool,),
    "results.final": TABLE,
    "timing.finished": TEXT,
    "timing.seconds": NUMBER,
    "timing.steps_per_second": NUMBER,
    "config.resolved.task.length": COUNT,
    "config.resolved.train.lr": NUMBER,
    "config.resolved.train.steps": COUNT,
    "environment.commit": TEXT,
    "environment.dirty": (bool,),
    "environment.engine": TEXT,
    "environment.torch": TEXT,
}
LISTS = {"task.lengths": int, "config.said": str}
MOST_STEPS = 2**53  # beyond, a float is no count
LONGEST = 20  # characters of a whole number of 64 bits
PATHS = {path: (path.split("."), kinds) for path, kinds in DOOR.items()}


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
            content = json.load(file, parse_constant=no_constant, parse_float=finite, parse_int=whole)
    except FileNotFoundError:
        lost = directory.is_symlink() and not directory.exists()
        raise UnreadableError("it is a link that leads nowhere" if lost else "it has no run.json") from None
    except OSError as error:
        raise UnreadableError(f"run.json: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableError(f"run.json is not JSON: {error}") from None
    except RecursionError:
        raise UnreadableError("run.json is nested too deeply") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int or schema < 1:
        raise UnreadableError(f"run.json has schema {schema!r}, expected {SCHEMA}")
    if schema > SCHEMA:
        raise CommandError(
            f"{directory / 'run.json'} has schema {schema}, this version reads up to {SCHEMA}: update it"
        )
    check(content)
    return dict(content)


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
    """Raise UnreadableError unless the record has every key of DOOR with the right type, and a known status."""
    for path, (keys, kinds) in PATHS.items():
        value: Any = content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise UnreadableError(f"run.json lacks {path}")
            value = value[key]
        expect(path, value, kinds)
    flat = flatten(content)
    for path, kinds in IF_ANY.items():
        expect(path, flat.get(path), kinds + NONE)
    for path, value in flat.items():
        if path.startswith("results.final."):
            expect(path, value, NUMBER + NONE)
    for path, kind in LISTS.items():
        listed = flat.get(path) or []
        if not isinstance(listed, list) or not all(type(one) is kind for one in listed):
            raise UnreadableError(f"run.json: {path} is {shown(listed)}, expected a list of {kind.__name__}")
    if not re.fullmatch(r"[^/\x00-\x1f]+", content["run_id"]):
        raise UnreadableError(f"run.json: run_id is {shown(content['run_id'])}, expected the name of a folder")
    texts = {"sources": content.get("sources", {}), "task.content": content["task"].get("content", {})}
    for path, value in texts.items():
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise UnreadableError(f"run.json: {path} is {value!r}, expected texts by name")
    if content["status"] not in counted.STATUSES:
        raise UnreadableError(
            f"run.json: status is {content['status']!r}, expected one of {', '.join(counted.STATUSES)}"
        )
    if content["task"]["direction"] not in ("min", "max"):
        raise UnreadableError(f"run.json: task.direction is {content['task']['direction']!r}, expected min or max")
    score = content["results"].get("score")
    if content["status"] == "finished" and (not isinstance(score, (int, float)) or isinstance(score, bool)):
        raise UnreadableError(f"run.json: the run is finished but results.score is {score!r}")


def expect(path: str, value: object, kinds: tuple[type, ...]) -> None:
    """Raise UnreadableError unless the value is of one of these types; true and false are no numbers."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        legal = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise UnreadableError(f"run.json: {path} is {shown(value)}, expected {legal}")


def shown(value: object) -> str:
    return textwrap.shorten(repr(value), 60, placeholder=" ...")


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
