"""A report's files in a folder that may hold somebody's own: only what a report made there is ever replaced.

`.report.json` says which files those are, with the hash of each. A file that is not listed, or was changed since, is
somebody's: it stays, and where the new report has a file of that name the command stops before anything is touched.
Files are moved one by one, since a mount point cannot be renamed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from analysis.common.command_line import CommandError

LIST = ".report.json"
LAST = "index.html"  # moved when all that it links to stands
Hashes = dict[str, list[str]]  # path below the folder -> hashes under which it is a report's


def write(out: Path, named: str, fill: Callable[[Path], None]) -> None:
    """Have `fill` make a report in a hidden folder inside `out`, then put it in place of the earlier one.

    named: the folder as the command line has it. Raises CommandError where somebody's file is in the way, or `out`
    cannot be written; all is then as it was.
    """
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=out) as staging:
            fill(Path(staging))
            replace(out, named, Path(staging))
    except OSError as error:
        raise CommandError(f"out={named} cannot be written: {error.strerror}") from None
    finally:
        if new and out.is_dir() and not os.listdir(out):
            out.rmdir()


def refuse_foreign(out: Path, named: str, names: Iterable[str]) -> None:
    """Raise CommandError if one of these files stands in `out` and is not as a report left it."""
    if out.exists() and not out.is_dir():
        raise CommandError(f"out={named} is a file, expected a folder")
    ours = listed(out)
    for name in names:
        folder = (out / name).parent
        if os.path.lexists(folder) and not folder.is_dir():
            raise CommandError(
                f"out={named}: {folder.name} is there and no folder; move it away, or choose another out="
            )
        if os.path.lexists(out / name) and not untouched(out, name, ours):
            why = "was changed since a report made it" if name in ours else "was made by no report"
            raise CommandError(f"out={named}: {name} {why}; move it away, or choose another out=")


def replace(out: Path, named: str, staging: Path) -> None:
    """Move a finished report into place; what only the earlier one had goes. The list is never short of a file."""
    made = {str(path.relative_to(staging)): hashed(path) for path in sorted(staging.rglob("*")) if path.is_file()}
    refuse_foreign(out, named, made)
    before = listed(out)
    obsolete = [name for name in before if name not in made and untouched(out, name, before)]
    save(out, staging, {name: [*before.get(name, []), *made.get(name, [])] for name in {**before, **made}})
    for name in sorted(made, key=lambda name: (name == LAST, name)):
        (out / name).parent.mkdir(exist_ok=True)
        shutil.move(staging / name, out / name)
    for name in obsolete:
        (out / name).unlink()
    save(out, staging, made)


def listed(out: Path) -> Hashes:
    """The files that reports have made in a folder."""
    try:
        content = json.loads((out / LIST).read_text(encoding="utf-8"))
        files = {str(name): [str(one) for one in hashes] for name, hashes in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: hashes for name, hashes in files.items() if not Path(name).is_absolute() and ".." not in name}


def save(out: Path, staging: Path, files: Hashes) -> None:
    """Write the list, whole or not at all."""
    text = json.dumps({"about": "what a report made here, with its SHA-256", "files": files}, indent=1, sort_keys=True)
    (staging / LIST).write_text(text + "\n", encoding="utf-8")
    shutil.move(staging / LIST, out / LIST)


def untouched(out: Path, name: str, ours: Hashes) -> bool:
    """Whether a file is as a report left it."""
    path = out / name
    return path.is_file() and not path.is_symlink() and not set(hashed(path)).isdisjoint(ours.get(name, []))


def hashed(path: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest()]
