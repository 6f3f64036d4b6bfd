"""Records to wandb, at any time: python -m experiments.push study=outputs/mine

For every run that ended, and for every arm as a whole, there is a wandb run below ``<study>/wandb`` that shows the
record as it is: those that exist stay, others are made, also of a sweep that ran with wandb disabled. With
``mode=online`` what a server does not have yet is sent.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from analysis.arms import counted_runs
from analysis.claims.frozen_study_file import FrozenStudy, UnreadableStudyError
from analysis.common.command_line import CommandError, about, command, one_line
from analysis.records import archive
from analysis.records.load import load
from analysis.statistics import arm_curves
from experiments.config.schema import ConfigError, wandb_mode
from experiments.tracking import failures, wandb_runs
from experiments.tracking.from_records import aggregated, take_out, unless_busy
from experiments.tracking.sending import send

Mode = enum.Enum("Mode", "auto offline online")


@dataclass
class Options:
    """Make or remake the wandb mirror of study folders from their records, and send what a server lacks."""

    study: list[str] = field(
        default=MISSING, metadata=about("study folders, separated by commas", example="outputs/demo")
    )
    mode: Mode = field(
        default=Mode.auto, metadata=about("auto: $WANDB_MODE if set, else offline; offline only writes; online sends")
    )
    entity: str | None = field(default=None, metadata=about("wandb user or team; the account's default unless given"))
    strict: bool = field(default=False, metadata=about("stop at a record that cannot be read, instead of listing it"))


def push(options: Options) -> None:
    """Mirror every study, one after the other."""
    try:
        online = wandb_mode(options.mode.name) == "online"
    except ConfigError as error:
        raise CommandError(str(error)) from None
    studies = {Path(name).resolve(): Path(name) for name in options.study}.values()
    for study in studies:
        archive.refuse(study, "the mirror shows whole records; push the study that it was made of")
    for study in studies:
        push_study(study, options, online)


def push_study(study: Path, options: Options, online: bool) -> None:
    """Mirror a study; send it if asked to."""
    try:
        FrozenStudy.read(study)  # refused if it was changed
    except UnreadableStudyError as error:
        print(f"warning: {one_line(str(error))}", file=sys.stderr)
    records = load([study], options.strict)
    for record, reason in records.skipped:
        print(f"skipped: {record}: {reason}")
    there = wandb_runs.folders(study)
    shown = records.runs[counted_runs.current(records.runs)]
    if stale := counted_runs.stale(records.runs):
        print(stale)
    tried = [unless_busy(study, str(record).rpartition("/")[2], there) for record in shown["record"]]
    made = [new for new in tried if new is not None]
    if len(made) < len(tried):
        print(f"left out: {len(tried) - len(made)} runs that are being made")
    arms = list(arm_curves.of_arms(records))
    made += [aggregated(study, arm, there) for arm in arms]
    take_out(study, records.runs[~counted_runs.current(records.runs)]["record"], arms, there)
    wandb_runs.settle()
    print(f"{study}: {len(made)} wandb runs, {sum(made)} of them made now")
    if online:
        send(study, options.entity)
    else:
        print(f"to send what is missing: {failures.sync_line(study)}")


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m experiments.push", Options, push, argv)


if __name__ == "__main__":
    sys.exit(main())
