"""Which variants and tasks a report shows, in which order, and what it calls them: what the command line asks for."""

from collections.abc import Sequence

import pandas as pd

from analysis.arms import arms
from analysis.common.command_line import CommandError, nearest
from analysis.records.load import Records


def choose(records: Records, variants: Sequence[str], labels: Sequence[str], tasks: Sequence[str]) -> Records:
    """The runs of these variants, in this order and by these labels, on these tasks; nothing given is everything.

    Raises CommandError for a variant or task that no run has, and unless there is one label per variant.
    """
    if labels and len(labels) != len(variants):
        raise CommandError(
            f"labels= has {len(labels)}, variants= {len(variants)}: one label for each of variants= is needed"
        )
    runs = only(records.runs, "task.name", tasks, "tasks")
    runs = only(runs, "variant", variants, "variants")
    if variants:
        runs = runs.assign(place=runs["variant"].map(list(variants).index))
    if labels:
        called = dict(zip(variants, labels, strict=True))
        runs = runs.assign(label=runs["variant"].map(called))
    if variants or tasks:
        runs = arms.named(runs.drop(columns=["task", "name"]))
    return Records(runs, records.curves[records.curves["run_id"].isin(set(runs["run_id"]))], records.skipped)


def only(runs: pd.DataFrame, column: str, wanted: Sequence[str], option: str) -> pd.DataFrame:
    """The runs whose column is one of the wanted; all of them if none is named."""
    known = list(dict.fromkeys(runs[column]))
    for name in wanted:
        if name not in known:
            raise CommandError(f"{option}={name}: no run has it{nearest(name, known)}")
    if len(set(wanted)) != len(wanted):
        raise CommandError(f"{option}={','.join(wanted)}: one of them stands twice")
    return runs[runs[column].isin(wanted)].reset_index(drop=True) if wanted else runs
