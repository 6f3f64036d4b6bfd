"""What does each variant gain or lose against the complete LSTM, and is that more than chance?"""

import math
import textwrap
import warnings
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from analysis.arms.arms import natural
from analysis.claims.effects import against_baseline
from analysis.figures import _theme
from analysis.figures._figure import Layout, Panel
from analysis.figures._text import folded
from analysis.statistics.many_comparisons import seeds_needed, too_few_seeds

LAYOUT = Layout(order=10, base=1.2, row=0.26)
CAPTION = (
    "Each variant against the complete LSTM, seed by seed on the same data. The number says how much they differ: the "
    "Hodges-Lehmann estimate of the paired difference, of losses and steps as a ratio (×2: twice the loss); ∞: runs "
    "that diverged, ≥ and ≤: a bound, of runs that had not solved at their budget. The colour is the share of seeds on "
    "which the variant did better, minus the share on which it did worse. The sign is the verdict: ▲ better, ▼ worse "
    "(exact Wilcoxon test against the claims' bound), = the same (equivalence within the margin), ? undecided; p at "
    "most .05 after Holm over all cells. Metric and margin are those of the study's claims about the task, without "
    "claims the final score and a factor of 2 in loss or .02. In brackets: no claim is about this cell, so it only "
    "describes these runs; claims were frozen beforehand, with comparisons of their own."
)
ALL = "all tasks"
SIGNS = {"better": "▲", "worse": "▼", "same": "=", "undecided": "?"}
KEY = ", ".join(f"{sign} {word}" for word, sign in SIGNS.items())
NOTE = 44  # letters of a line under the map, for which one column of a paper has room


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The paired difference of each variant to the LSTM on each task, with its verdict."""
    return against_baseline(runs).rename(columns={"task": "of"}).assign(task=ALL)


def draw(on: Panel) -> Axes:
    """A cell per variant and task: its colour the seeds won or lost, its text the effect and the verdict."""
    ax, numbers, rows = on.ax, on.rows, list(on.looks)
    columns = sorted(set(numbers["of"]), key=natural)
    table = numbers.assign(won=(numbers["better"] - numbers["worse"]) / numbers["pairs"], text=texts(numbers))
    won = table.pivot(index="name", columns="of", values="won").reindex(index=rows, columns=columns)
    labels = table.pivot(index="name", columns="of", values="text").reindex(index=rows, columns=columns).fillna("")
    text = {"fontsize": _theme.SMALL if len(columns) < 8 else _theme.TINY}
    bar = {"label": "share of seeds better\nminus share worse", "shrink": 0.8}
    look: Any = {"vmin": -1, "vmax": 1, "cmap": "PuOr", "linewidths": 1, "annot_kws": text, "cbar_kws": bar}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # seaborn 0.13.2 calls Colormap.set_bad
        sns.heatmap(won.astype(float), annot=labels, fmt="", ax=ax, **look)
    ax.set(xlabel="", ylabel="", title="")
    ax.set_xticklabels([folded(column) for column in columns], rotation=30, ha="right")
    ax.set_yticklabels([folded(name) for name in rows], rotation=0)
    ax.tick_params(length=0)
    notes = [KEY, unclaimed(numbers), remark(numbers)]
    ax.set_xlabel("\n".join(textwrap.fill(note, NOTE) for note in notes if note), fontsize=_theme.SMALL)
    return ax


def unclaimed(numbers: pd.DataFrame) -> str:
    """How many cells no claim is about, and how many seeds a study would take that claims as many comparisons."""
    cells, free = len(numbers), int((~numbers["claimed"].astype(bool)).sum())
    needed = f"to claim {cells} comparisons a study needs {seeds_needed(cells)} seeds or more"
    return f"(in brackets): {free} of {cells} cells, which are in no claim; {needed}" if free else ""


def remark(numbers: pd.DataFrame) -> str:
    """Whether there are seeds enough to decide any cell, however clear the runs are."""
    undecided = (numbers["verdict"] == "undecided").all()
    return too_few_seeds(int(numbers["pairs"].max()), len(numbers), "cells") if undecided else ""


def texts(numbers: pd.DataFrame) -> list[str]:
    """The effect of each cell and the sign of its verdict, in brackets where no claim is about it."""
    rows = numbers[["effect", "size", "scale", "verdict", "claimed"]].itertuples(index=False)
    return [
        f"{amount(size, text, scale)} {SIGNS[word] if claimed else f'({SIGNS[word]})'}"
        for size, text, scale, word, claimed in rows
    ]


def amount(size: float, text: str, scale: str) -> str:
    """An effect in few letters."""
    if text == "no information":
        return "–"
    bound = "≥ " if text.startswith("at least") else "≤ " if text.startswith("at most") else ""
    if math.isinf(size):
        return "∞" if size > 0 else "-∞"
    return bound + (f"×{size:.3g}" if scale == "ratio" else plus(size))


def plus(size: float) -> str:
    """A difference with its sign, to two places; what rounds to nothing is ±0."""
    return "±0" if abs(size) < 0.005 else f"{size:+.2f}" if abs(size) < 10 else f"{size:+.3g}"
