"""The records of a study folder as they were last read, kept in `.records.npz` inside it where that can be written.

A record is read again as soon as one of its files is another file, or has another size or time than when it was
read; one that was written less than a second before it was read is not kept at all, since a second change of it might
not show. The file holds arrays and JSON, never pickles; one that cannot be read, or that another version of the reader
wrote, is as good as none.
"""

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, compress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.records import columns, inside
from analysis.records.read import Curves, UnreadableError, read_curves, read_run

FILE = ".records.npz"
FILES = ("run.json", "metrics.csv", inside.JSON)
FRESH = 10**9  # nanoseconds
Stamp = tuple[int, ...]  # of each of FILES: inode, size, times of change; nothing for one that is missing


class Study(NamedTuple):
    """The records of one folder. `rows`, `curves` have one entry per record that could be read, in their order."""

    names: list[str]
    stamps: list[Stamp]
    reasons: list[str | None]  # why a record could not be read
    rows: columns.Table
    curves: list[Curves]


EMPTY = Study([], [], [], {}, [])


def read(folder: Path, directories: Sequence[str]) -> Study:
    """The records in these directories of a study folder; only what has changed since the last time is parsed."""
    started = time.time_ns()
    known = load(folder)
    now = {name: stamp(f"{folder}/{name}") for name in directories}
    kept = select(known, [now.get(name) == mark for name, mark in zip(known.names, known.stamps, strict=True)])
    if len(kept.names) == len(known.names) == len(now):
        return kept
    changed = {name: mark for name, mark in now.items() if name not in set(kept.names)}
    study = join([kept, parse(folder, changed)])
    settled = [not mark or max(mark[2::4] + mark[3::4]) < started - FRESH for mark in study.stamps]
    if any(settled):
        with suppress(OSError):  # a study that may only be read is read in full each time
            save(folder, select(study, settled))
    return study


def stamp(directory: str) -> Stamp:
    """What changes when a record does."""
    marks: list[int] = []
    for name in FILES:
        with suppress(OSError):
            status = os.stat(f"{directory}/{name}")
            marks += [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return tuple(marks)


def parse(folder: Path, changed: dict[str, Stamp]) -> Study:
    reasons: list[str | None] = []
    rows: list[dict[str, Any]] = []
    curves: list[Curves] = []
    for name in tqdm(changed, desc="reading records", unit="run", delay=1, leave=False, disable=None):
        try:
            row = read_run(folder / name)
            curves.append(read_curves(folder / name, row["status"]))
            rows.append(row | inside.columns(folder / name, row))
            reasons.append(None)
        except UnreadableError as reason:
            reasons.append(str(reason))
    return Study(list(changed), list(changed.values()), reasons, columns.table(rows), curves)


def join(parts: Sequence[Study]) -> Study:
    """The records of several studies, one after the other."""
    rows = columns.concat([part.rows for part in parts], [len(part.curves) for part in parts])
    return Study(
        list(chain.from_iterable(part.names for part in parts)),
        list(chain.from_iterable(part.stamps for part in parts)),
        list(chain.from_iterable(part.reasons for part in parts)),
        rows,
        list(chain.from_iterable(part.curves for part in parts)),
    )


def select(study: Study, keep: Sequence[bool]) -> Study:
    """Some of the records."""
    if all(keep):
        return study
    read = np.flatnonzero([chosen for chosen, reason in zip(keep, study.reasons, strict=True) if reason is None])
    rows = columns.take(study.rows, read)
    curves = [study.curves[place] for place in read]
    names, stamps = list(compress(study.names, keep)), list(compress(study.stamps, keep))
    return Study(names, stamps, list(compress(study.reasons, keep)), rows, curves)


def version() -> str:
    """Changes whenever the code that reads a record does."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def save(folder: Path, study: Study) -> None:
    with replacing(folder / FILE) as file:
        np.savez(file, allow_pickle=False, **arrays(study, version=version()))


def arrays(study: Study, **more: Any) -> dict[str, NDArray[Any]]:
    """A study as arrays, one of them JSON in which `more` stands too."""
    headers = list(dict.fromkeys(curve.metrics for curve in study.curves))
    index = {
        **more,
        "names": study.names,
        "stamps": study.stamps,
        "reasons": study.reasons,
        "values": {key: column.values for key, column in study.rows.items()},
        "headers": headers,
    }
    return {
        "index": np.frombuffer(json.dumps(index).encode(), dtype=np.uint8),
        "codes": np.array([column.codes for column in study.rows.values()], dtype=np.int32),
        "header": np.array([headers.index(curve.metrics) for curve in study.curves], dtype=np.int32),
        "length": np.array([len(curve.table) for curve in study.curves], dtype=np.int64),
        "numbers": np.concatenate([np.empty(0), *(curve.table.ravel() for curve in study.curves)]),
    }


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place when it is whole, or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(folder: Path) -> Study:
    """What was kept of a study; nothing if there is no file, or none that this version wrote."""
    try:
        with (folder / FILE).open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            kept = {name: arrays[name] for name in arrays.files}
        index = json.loads(kept["index"].tobytes())
        if index["version"] != version():
            return EMPTY
        return restored(index, kept)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, zipfile.BadZipFile):
        return EMPTY


def restored(index: dict[str, Any], kept: dict[str, NDArray[Any]]) -> Study:
    rows = {
        key: columns.Column(index["values"][key], codes)
        for key, codes in zip(index["values"], kept["codes"], strict=True)
    }
    headers = [tuple(header) for header in index["headers"]]
    widths = np.array([1 + len(header) for header in headers], dtype=np.int64)
    ends = np.cumsum(kept["length"] * widths[kept["header"]]) if headers else np.empty(0, np.int64)
    pieces = np.split(kept["numbers"], ends[:-1]) if headers else []
    curves = [
        Curves(headers[header], piece.reshape(length, widths[header]))
        for header, length, piece in zip(kept["header"], kept["length"], pieces, strict=True)
    ]
    return Study(index["names"], [tuple(mark) for mark in index["stamps"]], index["reasons"], rows, curves)
