"""Numbers for the prose of a paper: one LaTeX macro per number of a report.

    \\input{numbers}
    The LSTM reaches \\gates{demo/adding/LSTM/median}, [\\gates{demo/adding/LSTM/low}, \\gates{demo/adding/LSTM/high}].

A macro's name is `study/task/row/column` of the table of scores, or `study/claim/<n>/column` for the n-th comparison of
the study's claims, in letters, digits and `_.=()+-`, everything else being a `-`. A name beyond ASCII ends in six
digits of its hash, as does that of a study with other characters: files of several studies may be read into one paper.
Where the runs of a row are of several studies, these are joined by `+`. A name that does not exist stops LaTeX.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from analysis.claims.finding import written
from analysis.claims.verdicts import Verdict
from analysis.pages.formats import number

HEAD = r"""% One macro per number: \gates{study/task/row/column}
\providecommand{\gates}[1]{\ifcsname gates/#1\endcsname\csname gates/#1\endcsname%
\else\errmessage{No number called #1 in numbers.tex}\fi}
"""
SCORES = ["n", "solved", "diverged", "missing", "median", "smallest", "largest", "low", "high", "chance", "solved_from"]
SCORES += ["hidden_size", "parameters", "steps", "seconds"]
STEPS = ["steps_to_solve", "steps_to_solve_low", "steps_to_solve_high"]  # infinite where a seed has not solved
CLAIM = ["estimate", "low", "high", "p_adjusted"]


def macros(scores: pd.DataFrame, studies: Mapping[tuple[str, str], str], verdicts: Sequence[Verdict]) -> str:
    """The content of numbers.tex; a name that two numbers would have is given to neither.

    studies: (task, row) of the table of scores -> whose runs they are, as `key` has it.
    """
    found: dict[str, list[str]] = {}
    for name, value in numbers(scores, studies, verdicts):
        found.setdefault(name, []).append(value)
    lines = [
        rf"\expandafter\newcommand\csname gates/{name}\endcsname{{{values[0]}}}"
        if len(values) == 1
        else f"% {name} would be {len(values)} numbers"
        for name, values in found.items()
    ]
    return "\n".join([HEAD, *lines, ""])


def key(studies: Iterable[str]) -> str:
    """What stands for one or several studies in the names of macros: no two names of studies become one."""
    names = ((study, re.sub(r"[/+]", "-", plain(study))) for study in sorted(set(studies)))
    return "+".join(name if name == study else f"{name}-{digest(study)}" for study, name in names)


def row_key(text: str) -> str:
    """What stands for a task or a row: its punctuation becomes `-`, beyond ASCII its hash tells it from others."""
    return plain(text) if text.isascii() else f"{plain(text)}-{digest(text)}"


def plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=()/+-]", "-", text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def numbers(
    scores: pd.DataFrame, studies: Mapping[tuple[str, str], str], verdicts: Sequence[Verdict]
) -> Iterator[tuple[str, str]]:
    for row in scores.to_dict("records"):
        place = f"{studies[row['task'], row['name']]}/{row_key(row['task'])}/{row_key(row['name'])}"
        for column in SCORES:
            if not pd.isna(row[column]):
                yield f"{place}/{column}", spelled(float(row[column]))
        for column in STEPS:
            if not pd.isna(row[column]):
                bound = column == STEPS[0] and row["steps_to_solve_most"] > row[column]
                yield f"{place}/{column}", at_least(bound) + spelled(float(row[column]), "unsolved")
    for place, verdict in numbered(verdicts):
        yield f"{place}/verdict", verdict.verdict
        for column in CLAIM:
            value = float(asdict(verdict)[column])
            if not pd.isna(value):
                yield f"{place}/{column}", spelled(value, "infinite")
        if verdict.size != written(verdict.estimate):
            yield f"{place}/size", verdict.size


def numbered(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Verdict]]:
    """Every comparison with its place, counted in its study: `study/claim/<n>`."""
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts[verdict.study] += 1
        yield f"{key([verdict.study])}/claim/{counts[verdict.study]}", verdict


def at_least(bound: bool) -> str:
    return r"\ensuremath{\geq}" if bound else ""


def spelled(value: float, infinite: str = "diverged") -> str:
    """Three digits as LaTeX writes them, in text or in a formula; whole numbers in full, infinite ones as a word."""
    if math.isinf(value):
        return infinite if value > 0 or infinite == "diverged" else f"-{infinite}"
    text = f"{value:.0f}" if value.is_integer() else number(value)
    mantissa, e, exponent = text.partition("e")
    return rf"\ensuremath{{{mantissa}\times10^{{{int(exponent)}}}}}" if e else text
