"""What the runs of a study scored, as a table on the terminal.

python -m analysis.runs study=outputs/demo
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from omegaconf import MISSING

from analysis.common.command_line import about, command
from analysis.pages import tables
from analysis.pages.formats import plain
from analysis.pages.listings import counts
from analysis.records.load import load


@dataclass
class Options:
    """Print what the runs of a study scored, how many ended how, and which records were skipped and why."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, by comma; or source=wandb-offline:DIR", example="outputs/demo")
    )
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))


def show(options: Options) -> None:
    records = load(options.study, options.strict)
    print(counts(records.runs), end="\n\n")
    table = tables.scores(records.runs)
    print(plain(tables.wide(table)) if len(table) else "every run is stale: nothing to compare")
    if records.skipped:
        print(f"\nskipped ({len(records.skipped)})")
        print("\n".join(f"  {record}: {reason}" for record, reason in records.skipped))


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.runs", Options, show, argv)


if __name__ == "__main__":
    sys.exit(main())
