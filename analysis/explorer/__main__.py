"""A page in which the trained nets of a study run live: python -m analysis.explorer study=outputs/demo out=FILE.html"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from analysis.arms import counted_runs
from analysis.common.command_line import CommandError, about, command
from analysis.common.terminal import as_typed
from analysis.explorer.page import page
from analysis.records import archive
from analysis.records.load import load


@dataclass
class Options:
    """Write one page, without network, in which the trained nets of a study run live and can be operated on.

    It has every net that `python -m experiments.inspect study=DIR` has looked inside, of up to 32 units a layer.
    """

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, separated by commas", example="outputs/demo")
    )
    out: str = field(default=MISSING, metadata=about("the page to write", example="reports/explorer.html"))
    strict: bool = field(
        default=False, metadata=about("stop at a record that cannot be read, instead of leaving it out")
    )


def explorer(options: Options) -> None:
    """Write the page; say which nets are not on it, and why."""
    out = Path(options.out)
    if out.suffix != ".html":
        raise CommandError(f"out={options.out}: the name of a page is needed, such as explorer.html")
    refuse_foreign(out, options.out)
    for study in options.study:
        archive.refuse(Path(study), "it has no weights, so no net can run; give the study that it was made of")
    records = load(options.study, options.strict)
    html, left_out = page(records)
    stale = counted_runs.stale(records.runs)
    if stale:
        print(stale, file=sys.stderr)
    for reason, count in Counter(left_out.values()).most_common():
        print(as_typed(f"left out: {count} nets: {reason}"), file=sys.stderr)
    if html is None:
        why = next(iter(left_out.values()), stale or "no run is finished")
        raise CommandError(f"study={','.join(options.study)}: there is no net to show; {why}")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.part")
    temporary.write_text(html, encoding="utf-8")
    os.replace(temporary, out)
    print(out)


def refuse_foreign(out: Path, given: str) -> None:
    """Raise CommandError if there is something that no explorer wrote."""
    if out.is_dir():
        raise CommandError(f"out={given} is a folder, expected a file")
    if (
        out.exists()
        and '<meta name="generator" content="gates explorer">' not in out.read_text("utf-8", "replace")[:500]
    ):
        raise CommandError(f"out={given} is there and no explorer wrote it; move it away, or choose another out=")


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.explorer", Options, explorer, argv)


if __name__ == "__main__":
    sys.exit(main())
