"""Back from wandb: the runs that the mirror wrote, as the records they mirror.

    source=wandb-offline:outputs/mine      every run in the .wandb files below a folder
    source=wandb:somebody/mine             every run of a project on a server

A .wandb file is a log of protobuf records in blocks of 32 KiB, LevelDB's format: a record is one fragment or several,
each with a header of 7 bytes (checksum, length, kind). What a kill has cut off, or follows damage, is left out.
"""

import json
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.common.command_line import CommandError
from analysis.records import cache, columns
from analysis.records.read import Curves, UnreadableError, check, flatten

KINDS = ("wandb-offline:", "wandb:")
BLOCK, HEADER = 32768, 7
FULL, LAST = 1, 4  # kinds of fragments that end a record
FIRST = ("train/loss", "train/gradient_norm")  # of a run that was killed, whose summary does not say its columns


class Mirrored(NamedTuple):
    """One run as wandb has it: plain nested mappings, and one mapping per row."""

    config: dict[str, Any]
    summary: dict[str, Any]
    history: list[dict[str, Any]]


def is_source(text: str) -> bool:
    """Whether this names a place of wandb, not a study folder."""
    return text.startswith(KINDS)


def read(source: str) -> cache.Study:
    """The runs of a source, as a study folder would give them; CommandError if there are none."""
    kind, _, place = source.partition(":")
    runs = offline(Path(place)) if kind == "wandb-offline" else online(place)
    names: list[str] = []
    reasons: list[str | None] = []
    rows: list[dict[str, Any]] = []
    curves: list[Curves] = []
    for name, run in runs:
        names.append(name)
        try:
            content = restored(run)
            check(content)
            curves.append(table(run))
            rows.append(flatten(content))
            reasons.append(None)
        except UnreadableError as reason:
            reasons.append(str(reason))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reasons.append(f"it is not as the mirror wrote it ({type(error).__name__}: {error})")
    if not names:
        raise CommandError(f"source={source}: no runs of ours there; python -m experiments.push study=DIR makes them")
    return cache.Study(names, [()] * len(names), reasons, columns.table(rows), curves)


def restored(run: Mirrored) -> dict[str, Any]:
    """run.json from what the mirror told wandb."""
    content = parse(run.config["record"]["json"])
    closing = parse(run.summary["record"]) if "record" in run.summary else {"status": "running", "error": None}
    return {**content, "results": {}, **{key: value for key, value in closing.items() if key != "columns"}}


def parse(text: str) -> dict[str, Any]:
    """JSON; what is not finite is null, as in run.json."""
    return json.loads(text, parse_constant=lambda name: None)  # type: ignore[no-any-return]


def table(run: Mirrored) -> Curves:
    """metrics.csv from the history."""
    history = [row for row in run.history if not is_pictures(row)]
    seen = dict.fromkeys(key for row in history for key in row if key != "step" and not key.startswith("_"))
    closing = parse(run.summary.get("record", "{}"))
    listed = [name for name in closing.get("columns", []) if name != "step"]
    header = listed or [*(name for name in FIRST if name in seen), *(name for name in seen if name not in FIRST)]
    cells = [[row["step"], *(row.get(name) for name in header)] for row in history]
    numbers = [math.nan if cell is None else float(cell) for row in cells for cell in row]
    return Curves(tuple(header), np.asarray(numbers).reshape(len(cells), 1 + len(header)))


def is_pictures(row: dict[str, Any]) -> bool:
    """Whether a row of the history has the figures of what was found inside, and no number."""
    own = [key for key in row if key != "step" and not key.startswith("_")]
    return bool(own) and all(key.startswith("inside/") for key in own)


# Files


def offline(folder: Path) -> Iterator[tuple[str, Mirrored]]:
    """(study/run directory, run) of every run of ours below a folder, the latest file of each."""
    if not folder.is_dir():
        raise CommandError(f"source=wandb-offline:{folder}: there is no such folder")
    latest: dict[str, Path] = {}
    for path in sorted([*folder.glob("*run-*/*.wandb"), *folder.glob("wandb/*run-*/*.wandb")], key=dated):
        if not path.parent.is_symlink():
            latest[path.name] = path
    for path in sorted(latest.values()):
        run = parsed(path)
        if "run_id" in run.config.get("record", {}):
            yield f"{run.config['record']['study']}/{run.config['record']['run_id']}", run


def dated(path: Path) -> str:
    return re.sub(r"^\D*", "", path.parent.name)


def parsed(path: Path) -> Mirrored:
    """One .wandb file."""
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    for entry in entries(path):
        kind = entry.WhichOneof("record_type")
        if kind == "run":
            config |= nested(entry.run.config.update)
        elif kind == "summary":
            merge(summary, entry.summary.update)
        elif kind == "history":
            history.append(nested(entry.history.item))
    return Mirrored({key: value for key, value in config.items() if not key.startswith("_")}, summary, history)


def entries(path: Path) -> Iterator[Any]:
    """The protobuf records of a .wandb file, up to where it was cut off."""
    from wandb.proto import wandb_internal_pb2

    for data in logged(path.read_bytes()):
        entry = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        entry.ParseFromString(data)
        yield entry


def logged(content: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log that has wandb's header."""
    if content[:4] != b":W&B":
        return
    at, parts = HEADER, list[bytes]()
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        checksum, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        if left < HEADER or kind == 0:  # the rest of a block is padding
            at += left
            continue
        data = content[at + HEADER : at + HEADER + length]
        if len(data) < length or zlib.crc32(content[at + HEADER - 1 : at + HEADER] + data) != checksum:
            return
        at += HEADER + length
        parts.append(data)
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []


def nested(items: Iterable[Any]) -> dict[str, Any]:
    """wandb's items, each a path of keys and a JSON value, as one nested mapping."""
    found: dict[str, Any] = {}
    merge(found, items)
    return found


def merge(into: dict[str, Any], items: Iterable[Any]) -> None:
    for item in items:
        *parents, key = item.nested_key or [item.key]
        place = into
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = json.loads(item.value_json)


# A server


def online(path: str) -> Iterator[tuple[str, Mirrored]]:
    """(project/run directory, run) of every run of ours in a project of a server."""
    import wandb

    try:
        found = wandb.Api(timeout=30).runs(path, per_page=100)
        for run in found:
            if "run_id" in run.config.get("record", {}):
                history = [
                    {key: value for key, value in row.items() if value is not None} for row in run.scan_history()
                ]
                name = f"{run.config['record']['study']}/{run.config['record']['run_id']}"
                yield name, Mirrored(dict(run.config), plain(run.summary_metrics), history)
    except (wandb.errors.Error, ValueError, TypeError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CommandError(f"source=wandb:{path}: {reason}") from None


def plain(summary: Any) -> dict[str, Any]:
    return json.loads(json.dumps(dict(summary)))  # type: ignore[no-any-return]
