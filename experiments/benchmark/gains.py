"""What a user gains, at which size, beside which alternative: the report on one screen."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

ALTERNATIVES = {
    "a": "torch's layer, one run after another",
    "b": "torch's layer, a process per core",
    "c": "an own loop in eager torch",
    "d": "JAX",
}


def table(report: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown, or none where nothing was measured: times faster, medians.

    The variants of the gate algebra are one line, with the slowest and the fastest of them.
    """
    variants = [row for row in report["cases"] if row["name"] == row["variant"]]
    named = [row for row in report["cases"] if row["name"] != row["variant"] and row["engine"] == "auto"]
    rows = [_row(f"{row['name']}, {row['models']} at once", [row]) for row in named]
    if variants:
        first = variants[0]
        rows.append(_row(f"{len(variants)} variants, H={first['hidden']}, {first['models']} at once", variants))
    if study := report["study"]:
        ratio = statistics.median(study["ratio"])
        rows.append(f"| a whole study, command to records | {ratio:.1f} times a skilled user's script | | | |")
    if not rows:
        return []
    return [f"| training | {' | '.join(ALTERNATIVES.values())} |", "|---" * 5 + "|", *rows]


def _row(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return f"| {name} | {' | '.join(_times(letter, rows) for letter in ALTERNATIVES)} |"


def _times(letter: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The median ratio of a case, or of several with their range."""
    ratios = sorted(row["ratios"][letter]["median"] for row in rows if letter in row["ratios"])
    if not ratios:
        return ""
    middle = f"{statistics.median(ratios):.1f}"
    return middle if len(rows) == 1 else f"{middle} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
