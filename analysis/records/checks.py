"""What may be compared: which runs count, which are missing, which may be paired, what differs between them."""

from typing import Any

import pandas as pd

from analysis.common.command_line import CommandError

STATUSES = ("finished", "diverged", "failed", "interrupted", "running", "stale")
COUNTED = ("finished", "diverged")
MISSING = ("failed", "interrupted", "running")
PROVENANCE = ["environment.commit", "environment.dirty", "environment.engine", "environment.torch"]


def reported(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs a report is about: not the stale ones, nor, where a study was confirmed, its tuning runs."""
    confirmed = (runs["phase"] == "confirm").groupby(runs["study"]).transform("any")
    return runs[current(runs) & ~(confirmed & (runs["phase"] == "tune"))]


def current(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether today's versions made each run."""
    return runs["status"] != "stale"


def stale(runs: pd.DataFrame) -> str:
    """How many runs are stale, why, and what to do about it, in one line; nothing if none is."""
    found = runs[runs["status"] == "stale"]
    parts = sorted({part for said in found["stale"] for part in said.split(", ") if part})
    why = f"another version of {' and '.join(parts)} made the numbers" if parts else "as recorded"
    return f"left out: {len(found)} stale ({why}; retry=stale makes them again)" if len(found) else ""


def scored(runs: pd.DataFrame) -> pd.DataFrame:
    """The reported runs that have a score: the finished, and the diverged, which is worse than every other."""
    chosen = reported(runs)
    return chosen[chosen["status"].isin(COUNTED)]


def unfinished(runs: pd.DataFrame) -> pd.DataFrame:
    """Every run that diverged, failed, did not end, or is stale, worst first."""
    order = ["diverged", *MISSING, "stale"]
    listed = runs[runs["status"].isin(order)].copy()
    listed["error"] = listed["error"].where(listed["stale"] == "", "another version of: " + listed["stale"])
    listed["rank"] = listed["status"].map(order.index)
    listed = listed.sort_values(["rank", "study", "run_id"])
    listed = listed.rename(columns={"results.steps": "steps"})
    return listed[["status", "record", "name", "task", "seed", "steps", "error"]].reset_index(drop=True)


def absent(runs: pd.DataFrame) -> pd.DataFrame:
    """(task, name, seeds) of the runs that others of the same task have and this one has no record of."""
    rows = []
    for task, panel in reported(runs).groupby("task"):
        seeds = set(panel["seed"])
        for name, cell in panel.groupby("name"):
            lacking = sorted(seeds - set(cell["seed"]))
            if lacking:
                rows.append((task, name, ", ".join(str(seed) for seed in lacking)))
    return pd.DataFrame(rows, columns=["task", "name", "seeds"])


def unpaired(runs: pd.DataFrame) -> pd.DataFrame:
    """(task, seed, digests) where runs of one task and seed saw different data; a run without a digest is one too."""
    rows = []
    for (task, seed), group in scored(runs).groupby(["task", "seed"]):
        digests = sorted({str(digest) if isinstance(digest, str) else "none" for digest in group["data_digest"]})
        if len(digests) > 1 or (len(group) > 1 and digests == ["none"]):
            rows.append((task, seed, ", ".join(digests)))
    return pd.DataFrame(rows, columns=["task", "seed", "digests"])


def pair(runs: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The scores of two rows of a report, seed by seed: columns task, seed, and one per name.

    Seeds that only one of the two has are left out. Raises CommandError if a pair did not see the same data.
    """
    chosen = scored(runs)
    chosen = chosen[chosen["name"].isin([first, second])]
    table = chosen.pivot(index=["task", "seed"], columns="name", values="score").reindex(columns=[first, second])
    complete = table.dropna()
    wrong = unpaired(chosen)
    wrong = wrong[[index in complete.index for index in zip(wrong["task"], wrong["seed"], strict=True)]]
    if len(wrong):
        task, seed, digests = wrong.iloc[0]
        raise CommandError(f"{first} and {second} cannot be paired: {task}, seed {seed}, was trained on {digests}")
    return complete.reset_index().rename_axis(columns=None)


def provenance(runs: pd.DataFrame) -> pd.DataFrame:
    """(study, what, value, runs) of everything that should be one thing in a study and is not."""
    semantics = [column for column in runs.columns if column.startswith("semantics.")]
    rows: list[tuple[Any, ...]] = []
    for study, group in reported(runs).groupby("study"):
        for column in [column for column in PROVENANCE + semantics if column in runs.columns]:
            values = group[column].map(lambda value: "unknown" if pd.isna(value) else str(value)).value_counts()
            if len(values) > 1:
                rows += [(study, column.split(".", 1)[1], value, values[value]) for value in sorted(values.index)]
    return pd.DataFrame(rows, columns=["study", "what", "value", "runs"])
