"""Which runs count: those that a report is about, those that have a score, those that are stale."""

import pandas as pd

COUNTED = ("finished", "diverged")


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
    parts = sorted({part for changed in found["stale"] for part in changed.split(", ") if part})
    why = f"another version of {' and '.join(parts)} made the numbers" if parts else "as recorded"
    return f"left out: {len(found)} stale ({why}; retry=stale makes them again)" if len(found) else ""


def scored(runs: pd.DataFrame) -> pd.DataFrame:
    """The reported runs that have a score: the finished, and the diverged, which is worse than every other."""
    chosen = reported(runs)
    return chosen[chosen["status"].isin(COUNTED)]
