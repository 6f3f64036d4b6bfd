"""What the two pages of a report show, as plain values."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import pandas as pd

from analysis import figures
from analysis.arms import counted_runs, order
from analysis.claims.finding import written
from analysis.claims.verdicts import Verdict, overall
from analysis.common.escaping import tidy
from analysis.pages import tables
from analysis.pages.formats import markdown, text
from analysis.pages.listings import counts, listings
from analysis.records.load import Records
from analysis.replications import published_verdicts
from analysis.replications.published_verdicts import CellVerdict


def contents(
    records: Records, scores: pd.DataFrame, verdicts: Sequence[Verdict], drawn: list[dict[str, str]]
) -> dict[str, Any]:
    """Everything that the two pages show, as plain values."""
    reported = counted_runs.reported(records.runs)
    looks = figures.styles(reported)
    return {
        "studies": sorted({tidy(study) for study in records.runs["study"]}),
        "counts": counts(records.runs).splitlines(),
        "tuning": int(counted_runs.current(records.runs).sum()) - len(reported),
        "claims": judged(verdicts),
        "note": tables.note(scores),
        "scores": markdown(tables.wide(scores)),
        "headings": tables.columns(scores),
        "names": [(name, looks[name].colour, tables.parameters(scores, name)) for name in order.rows(reported)],
        "cells": tables.cells(scores),
        "lines": tables.wide(scores).tail(2).reset_index().to_numpy().tolist(),
        "figures": drawn,
        "listings": listings(records),
    }


def replicated(published: Mapping[str, Sequence[CellVerdict]]) -> list[dict[str, Any]]:
    """The published tables that studies replicate: how many rows came to which verdict, and every row."""
    return [
        {
            "study": tidy(study),
            "counts": published_verdicts.counts(verdicts),
            "rows": [[tidy(cell) for cell in published_verdicts.printed(verdict)] for verdict in verdicts],
        }
        for study, verdicts in published.items()
    ]


def judged(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The claims in their order: the sentence, its source, the verdict, and what it rests on."""
    groups = [list(group) for _, group in groupby(verdicts, key=attrgetter("study", "sentence", "source"))]
    return [
        {
            "sentence": tidy(group[0].sentence),
            "source": tidy(group[0].source),
            "study": tidy(group[0].study),
            "frozen": tidy(group[0].frozen),
            "verdict": overall(group),
            "rows": [row for verdict in group for row in rows(verdict)],
        }
        for group in groups
    ]


def rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """A comparison, and below it what it came to at each of its two choices of settings, if they differ."""
    known = verdict.note.split("; ")
    notes = ["; ".join(part for part in choice.note.split("; ") if part not in known) for choice in verdict.choices]
    choices = zip(verdict.choices, notes, strict=True)
    below = [(f"… {tidy(choice.at)}", *decided(choice), tidy(note)) for choice, note in choices]
    return [(tidy(verdict.comparison), *decided(verdict), tidy(verdict.note)), *below]


def decided(verdict: Verdict) -> tuple[str, str, str, str]:
    return estimate(verdict), verdict.unit, text(verdict.p_adjusted), verdict.verdict


def estimate(verdict: Verdict) -> str:
    """The estimate with its interval, as a reader should read it."""
    return "–" if verdict.verdict == "not run" else f"{verdict.size} [{written(verdict.low)}, {written(verdict.high)}]"
