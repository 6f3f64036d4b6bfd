"""What the two pages of a report show, as plain values."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from analysis.claims import verdicts as claims
from analysis.claims.comparing import written
from analysis.claims.verdicts import Verdict
from analysis.common.escaping import tidy
from analysis.figures import _theme
from analysis.pages import tables
from analysis.records import checks
from analysis.runs import Records


def contents(
    records: Records, scores: pd.DataFrame, verdicts: Sequence[Verdict], drawn: list[dict[str, str]]
) -> dict[str, Any]:
    """Everything that the two pages show, as plain values."""
    reported = checks.reported(records.runs)
    looks = _theme.styles(reported)
    return {
        "studies": sorted({tidy(study) for study in records.runs["study"]}),
        "counts": tables.counts(records.runs).splitlines(),
        "tuning": int(checks.current(records.runs).sum()) - len(reported),
        "claims": judged(verdicts),
        "note": tables.NOTE,
        "scores": tables.markdown(tables.wide(scores)),
        "tasks": _theme.panels(scores),
        "names": [(name, looks[name].colour, tables.parameters(scores, name)) for name in _theme.order(reported)],
        "cells": {(row["name"], row["task"]): tables.cell(row) for _, row in scores.iterrows()},
        "lines": tables.wide(scores).tail(2).reset_index().to_numpy().tolist(),
        "figures": drawn,
        "listings": listings(records),
    }


def judged(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The claims in their order: the sentence, its source, the verdict, and what it rests on."""
    groups = [list(group) for _, group in groupby(verdicts, key=lambda one: (one.study, one.sentence, one.source))]
    return [
        {
            "sentence": tidy(group[0].sentence),
            "source": tidy(group[0].source),
            "study": tidy(group[0].study),
            "frozen": tidy(group[0].frozen),
            "verdict": claims.overall(group),
            "rows": [row for one in group for row in rows(one)],
        }
        for group in groups
    ]


def rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """A comparison, and below it what it came to at each of its two choices of settings, if they differ."""
    known = verdict.note.split("; ")
    notes = ["; ".join(part for part in one.note.split("; ") if part not in known) for one in verdict.choices]
    below = [(f"… {tidy(one.at)}", *decided(one), tidy(note)) for one, note in zip(verdict.choices, notes, strict=True)]
    return [(tidy(verdict.comparison), *decided(verdict), tidy(verdict.note)), *below]


def decided(verdict: Verdict) -> tuple[str, str, str, str]:
    return estimate(verdict), verdict.unit, tables.text(verdict.p_adjusted), verdict.verdict


def estimate(verdict: Verdict) -> str:
    """The estimate with its interval, as a reader should read it."""
    return "–" if verdict.verdict == "not run" else f"{verdict.size} [{written(verdict.low)}, {written(verdict.high)}]"


def listings(records: Records) -> list[dict[str, Any]]:
    """The lists at the end of a report: what was measured, what is missing, what differs."""
    chosen = checks.reported(records.runs)
    skipped = pd.DataFrame(records.skipped, columns=["record", "reason"])
    sections = [
        ("Tasks", "", tables.tasks(chosen), ""),
        ("Variants", "", tables.variants(chosen), ""),
        ("Tuned settings", TUNED, tables.tuned(records.runs), "No setting was tuned per variant."),
        ("Runs that did not finish", UNFINISHED, checks.unfinished(records.runs), "Every recorded run finished."),
        ("Runs without a record", ABSENT, checks.absent(records.runs), "Every variant has the seeds of its task."),
        ("Skipped records", SKIPPED, skipped, "Every record could be read."),
        ("Data", UNPAIRED, checks.unpaired(records.runs), "Paired: per task and seed, all variants saw the same data."),
        ("Provenance", PROVENANCE, checks.provenance(records.runs), "Commit, engine, torch and semantics agree."),
    ]
    return [
        {"title": title, "text": text if len(table) else empty, "head": list(table), "rows": tables.texts(table)}
        for title, text, table, empty in sections
    ]


TUNED = "Each variant has its own value, chosen among those tried on other seeds than the ones reported."
UNFINISHED = (
    "A diverged run is in the figures, as worse than every other. A failed, interrupted or still running one is "
    "missing from them until it has been run again; so is a stale one, whose numbers another version of cell, task or "
    "trainer made (retry=stale makes it again)."
)
ABSENT = "Other variants have run these seeds of the task."
SKIPPED = "These are in no figure and no table."
UNPAIRED = "These runs did not see the same data per task and seed, and must not be compared seed by seed."
PROVENANCE = "Runs of one study differ in these."
