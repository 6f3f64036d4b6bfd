"""A study small enough to publish: what every figure, table and verdict needs of its records, in a folder of its own.

archive.json    of which study it is, how many records, of which commits; the hashes of the other files and of this one
study.json      what the study was frozen to decide, where it was
records.npz     every record as one table, the reason of each that cannot be read, and thinned curves (cache.py has the
                layout); no figure draws more of a curve than the task's own metric
inside.npz      where nets were looked inside, what is kept of their arrays (archived_inside.py)

The same records give the same bytes. Hashes tell of damage and of edits by hand; they are no signature.
"""

import functools
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.common.command_line import CommandError
from analysis.records import archived_inside, cache, columns, inside, schema
from analysis.records.read import NOTHING, Curves

FORMAT = 1  # of an archive; a reader stops at a newer one
LIST, FROZEN, RECORDS, INSIDE = "archive.json", "study.json", "records.npz", "inside.npz"
FILES = (FROZEN, RECORDS, INSIDE)  # that the list has hashes of; a further file of an archive is named here
ABOUT = "what python -m experiments.archive kept of a study, with the SHA-256 of each file; read it with study=FOLDER"
AGAIN = "move the archive away and make it again"
LEFT_OUT = {"environment.host"}  # no number needs it, and it is nobody's business
UNREADABLE = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, zipfile.BadZipFile)
POINTS = 64  # of a curve; one with no more evaluations is kept whole
STRETCHES = (POINTS - 3) // 2


def is_archive(folder: Path) -> bool:
    """Whether this folder is an archive, sound or not."""
    return (folder / LIST).is_file()


def refuse(folder: Path, why: str) -> None:
    """Raise CommandError if this folder is an archive."""
    if is_archive(folder):
        raise CommandError(f"study={folder} is an archive, which can only be read: {why}")


# Reading


def read(folder: Path) -> cache.Study:
    """The records of an archive, each named `study/run directory`; CommandError if it is not as it was made."""
    about = listed(folder)
    try:
        with np.load(folder / RECORDS, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
        study = cache.restored(json.loads(kept["index"].tobytes()), kept)
    except UNREADABLE:
        raise CommandError(f"{folder / RECORDS} cannot be read: {AGAIN}") from None
    return study._replace(names=[f"{about['study']}/{name}" for name in study.names])


@functools.lru_cache(maxsize=16)
def read_inside(folder: Path) -> dict[str, inside.Inside]:
    """Run -> the arrays that the archive keeps of its inside; CommandError if they cannot be read."""
    if not (folder / INSIDE).exists():
        return {}
    try:
        with np.load(folder / INSIDE, allow_pickle=False) as file:
            return archived_inside.unpacked({name: file[name] for name in file.files})
    except UNREADABLE:
        raise CommandError(f"{folder / INSIDE} cannot be read: {AGAIN}") from None


def listed(folder: Path) -> dict[str, Any]:
    """The content of archive.json; CommandError unless it and all files are as they were written."""
    try:
        about = json.loads((folder / LIST).read_text(encoding="utf-8"))
        newest = {"archive": FORMAT, "schema": schema.VERSION}
        newer = [key for key, known in newest.items() if about[key] > known]
        changed = [] if newer or about["hash"] == digest(about) else [LIST]
        changed += [name for name in FILES if hashed(folder / name) != about["files"].get(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CommandError(f"{folder / LIST} cannot be read: {AGAIN}") from None
    if newer:
        raise CommandError(
            f"{folder / LIST} has {newer[0]} {about[newer[0]]}, a newer version made it: update this one"
        )
    if changed:
        raise CommandError(f"{folder / changed[0]} is not what was archived: {AGAIN}")
    return dict(about)


def hashed(path: Path) -> str | None:
    """The SHA-256 of a file, None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def digest(about: Mapping[str, Any]) -> str:
    """The SHA-256 of what archive.json says."""
    said = {key: value for key, value in about.items() if key != "hash"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


# Writing


def write(study: Path, directories: Sequence[str], out: Path, traced: set[str]) -> int:
    """Archive these run directories of a study; the size in bytes.

    traced: the runs whose gates are kept step by step, where they were looked inside.
    Raises CommandError, before anything is written, if `out` holds something else than an earlier archive of the same
    runs.
    """
    whole = cache.parse(study, dict.fromkeys(directories, ()))
    refuse_foreign(out, study.name, set(run_ids(whole)))
    contents = packed(study, whole, traced)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if not (out / name).exists() or (out / name).read_bytes() != content:
                with cache.replacing(out / name) as file:
                    file.write(content)
        for name in set(FILES) - set(contents):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"out={out} cannot be written: {error.strerror}") from None
    return sum(map(len, contents.values()))


def refuse_foreign(out: Path, study: str, runs: set[str]) -> None:
    """Raise CommandError if `out` holds anything that an archive of these runs does not stand in for."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_archive(out):
        raise CommandError(f"out={out} is there and no archive; choose another out=")
    try:
        about, earlier = listed(out), run_ids(read(out))
    except CommandError as error:
        raise CommandError(f"out={out} is not replaced: {error}") from None
    if about["study"] != study:
        raise CommandError(f"out={out} is the archive of another study, {about['study']}; choose another out=")
    if lost := sorted(set(earlier) - runs):
        raise CommandError(
            f"out={out} holds {len(lost)} runs that the study no longer has, {lost[0]} the first; move it away"
        )


def run_ids(study: cache.Study) -> list[str]:
    return [str(row["run_id"]) for row in columns.rows(study.rows)]


def looked_inside(study: Path, records: cache.Study) -> dict[str, Path]:
    """Run -> its directory, of those that were looked inside."""
    read = [name for name, reason in zip(records.names, records.reasons, strict=True) if reason is None]
    rows = zip(read, columns.rows(records.rows), strict=True)
    return {str(row["run_id"]): study / name for name, row in rows if row.get("inside.untouched") is not None}


def packed(study: Path, whole: cache.Study, traced: set[str]) -> dict[str, bytes]:
    """The files of an archive, the list last."""
    records = thinned(whole, archived_inside.claimed(study))
    contents = {RECORDS: inside.packed(cache.arrays(records))}
    if found := archived_inside.collected(looked_inside(study, whole), traced):
        contents[INSIDE] = archived_inside.packed(found)
    if (study / FROZEN).exists():
        contents[FROZEN] = (study / FROZEN).read_bytes()
    commits = records.rows.get("environment.commit", columns.Column([], np.empty(0, np.int32))).values
    about = {
        "about": ABOUT,
        "archive": FORMAT,
        "schema": schema.VERSION,
        "study": study.name,
        "records": len(records.curves),
        "commits": sorted(commit for commit in commits if commit is not None),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())},
    }
    text = json.dumps({**about, "hash": digest(about)}, indent=1) + "\n"
    return {**contents, LIST: text.encode()}


def thinned(study: cache.Study, claimed: set[str]) -> cache.Study:
    """The records without what no number needs: of each curve the task's own metric, at POINTS evaluations at most.

    claimed: the numbers of inside.json that claims are about.
    """
    rows = columns.rows(study.rows)
    curves = [
        drawn(curve, f"eval/{row['task.metric']}", row.get("results.steps_to_solve"))
        for curve, row in zip(study.curves, rows, strict=True)
    ]
    kept = {key: column for key, column in study.rows.items() if is_kept(key, claimed)}
    return study._replace(rows=kept, curves=curves)


def is_kept(column: str, claimed: set[str]) -> bool:
    """Whether some number of a report needs a column of the table of runs."""
    name = column.removeprefix(inside.COLUMN)
    if name == column:
        return column not in LEFT_OUT
    return name in claimed or archived_inside.NUMBERS.fullmatch(name) is not None


def drawn(curves: Curves, metric: str, solved_at: int | None) -> Curves:
    """One metric of a run, thinned."""
    if metric not in curves.metrics:
        return NOTHING
    table = curves.table[:, [0, 1 + curves.metrics.index(metric)]]
    table = table[~np.isnan(table[:, 1])]
    return Curves((metric,), table[chosen(table[:, 0], table[:, 1], solved_at)])


def chosen(steps: NDArray[np.float64], values: NDArray[np.float64], solved_at: int | None) -> NDArray[np.intp]:
    """The places of the evaluations that are kept.

    The first, the last, that at which the run solved its task, and of each of STRETCHES stretches of evaluations the
    lowest and the highest: a thin line through them looks the same, its worst and best are what they were.
    """
    everything = np.arange(len(steps))
    if len(steps) <= POINTS:
        return everything
    stretches = np.array_split(everything, STRETCHES)
    ends = [part[find(values[part])] for part in stretches for find in (np.argmin, np.argmax)]
    return np.unique(np.concatenate([everything[[0, -1]], everything[steps == solved_at], ends]))
