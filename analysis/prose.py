"""Numbers for the prose of a paper: one LaTeX macro per number of a report.

    \\input{numbers}
    The LSTM reaches \\gates{adding/LSTM/median}, [\\gates{adding/LSTM/low}, \\gates{adding/LSTM/high}].

A macro's name is `task/row/column` of the table of scores, or `claim/<n>/column` for the n-th comparison of the claims,
in letters, digits and `_.=()-`, everything else being a `-`. A name that does not exist stops LaTeX.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from analysis import tables
from analysis.claims import Verdict

HEAD = r"""% One macro per number: \gates{task/row/column}
\newcommand{\gates}[1]{\ifcsname gates/#1\endcsname\csname gates/#1\endcsname%
\else\errmessage{No number called #1 in numbers.tex}\fi}
"""
SCORES = ["n", "solved", "diverged", "missing", "median", "smallest", "largest", "low", "high", "chance", "solved_from"]
SCORES += ["hidden_size", "parameters", "steps", "seconds"]
CLAIM = ["estimate", "low", "high", "p_adjusted"]


def macros(scores: pd.DataFrame, verdicts: Sequence[Verdict]) -> str:
    """The content of numbers.tex; a name that two numbers would have is given to neither."""
    found: dict[str, list[str]] = {}
    for key, value in numbers(scores, verdicts):
        found.setdefault(re.sub(r"[^A-Za-z0-9_.=()/-]", "-", key), []).append(value)
    lines = [
        rf"\expandafter\newcommand\csname gates/{name}\endcsname{{{values[0]}}}"
        if len(values) == 1
        else f"% {name} would be {len(values)} numbers"
        for name, values in found.items()
    ]
    return "\n".join([HEAD, *lines, ""])


def numbers(scores: pd.DataFrame, verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str]]:
    for row in scores.to_dict("records"):
        for column in SCORES:
            if not pd.isna(row[column]):
                yield f"{row['task']}/{row['name']}/{column}", spelled(float(row[column]))
    for place, verdict in enumerate(verdicts, 1):
        yield f"claim/{place}/verdict", verdict.verdict
        for column in CLAIM:
            value = float(asdict(verdict)[column])
            if not pd.isna(value):
                yield f"claim/{place}/{column}", spelled(value)


def spelled(value: float) -> str:
    """Three digits as LaTeX writes them, in text or in a formula; whole numbers in full."""
    text = f"{value:.0f}" if value.is_integer() else tables.number(value)
    mantissa, e, exponent = text.partition("e")
    return rf"\ensuremath{{{mantissa}\times10^{{{int(exponent)}}}}}" if e else text
