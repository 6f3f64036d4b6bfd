"""A study small enough to publish: python -m experiments.archive study=outputs/demo out=results/demo"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from analysis.claims.frozen_study_file import FrozenStudy
from analysis.common.command_line import about, command
from analysis.pages.listings import counts
from analysis.records import archive, archived_inside
from analysis.records.load import directories, load


@dataclass
class Options:
    """Keep what the figures, tables, claims and why= of a report need of a study, in a folder small enough to publish.

    That is study.json, one table of all runs, and the task's own metric at 64 evaluations of a run at most: about
    half a kilobyte a run, where weights, checkpoints and logs are left behind. The same study gives the same bytes.
    study=results/demo then stands for study=outputs/demo wherever records are read: report, runs, status, workspace.
    An earlier archive of the study is replaced, unless it was changed or holds runs that the study no longer has.
    """

    study: str = field(default=MISSING, metadata=about("the study's folder", example="outputs/demo"))
    out: str = field(
        default=MISSING, metadata=about("the archive's folder: new, empty, or an earlier one", example="results/demo")
    )


def keep(options: Options) -> None:
    """Archive a study, and say what was kept."""
    study, out = Path(options.study), Path(options.out)
    runs = directories(study)
    frozen = FrozenStudy.read(study)  # refused if it was changed or cannot be read
    records = load([study])
    size = archive.write(
        study.resolve(), runs, out, archived_inside.traced(frozen.current(records.runs) if frozen else records.runs)
    )
    print(counts(records.runs))
    print("".join(f"skipped: {record}: {reason}\n" for record, reason in records.skipped), end="")
    if "inside.untouched" in records.runs:
        print(
            "left behind of what was found inside nets: how far it reaches, what single units cost, weights, and "
            "traces of all but one net a variant and task; the figure reach and the explorer need the study itself"
        )
    print(f"{out}: {size / 1000:.0f} kB")


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m experiments.archive", Options, keep, argv)


if __name__ == "__main__":
    sys.exit(main())
