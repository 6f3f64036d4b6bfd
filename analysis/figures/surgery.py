"""What does a trained net lose when a gate is fixed, or a feed of it is cut?"""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import GATES, looked, lost, narrow
from analysis.figures._text import folded, plain

LAYOUT = Layout(order=260, part="Looking inside", base=0.9, row=0.56, wide=True)
CAPTION = (
    "What is lost of the task's main metric, in its unit, the median over seeds: with a gate of the trained net fixed "
    "at 0 or at 1, at its own mean per unit, with its own values at other steps and sequences (shuffled), and with one "
    "term of its sum replaced by its mean (cut). The darker, the more is lost; 0.00: the net runs as well without; –: "
    "the gate has no such input. A number below 0 is a gain. Nothing is trained again: this is what a net needs to "
    "run, not what it needs to learn."
)
COLUMNS = ["task", "name", "gate", "touch", "seeds", "cost", "score", "untouched"]
TOUCHES = {"surgery/{}=0": "fixed at 0", "surgery/{}=1": "fixed at 1", "surgery/{}=mean": "at its mean"}
TOUCHES |= {"surgery/{}=shuffled": "shuffled", "cut/{}/x": "x cut", "cut/{}/h": "h cut", "cut/{}/c": "c cut"}


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The median cost over seeds of every touch of every gate that varies."""
    rows, parts = looked(runs), []
    for gate in GATES:
        for pattern, touch in TOUCHES.items():
            column = f"inside.{pattern.format(gate)}"
            if f"{column}/cost" not in rows:
                continue
            known = rows[rows[f"{column}/cost"].notna() & ~constant(rows, gate)]
            groups = known.groupby(["task", "name"], sort=False, as_index=False)
            part = groups.agg(
                cost=(f"{column}/cost", "median"),
                score=(column, "median"),
                seeds=("seed", "nunique"),
                untouched=("inside.untouched", "median"),
            )
            parts.append(part.assign(gate=gate, touch=touch))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def constant(rows: pd.DataFrame, gate: str) -> "pd.Series[bool]":
    """Whether the gate of each run is a constant, which can only be moved, not missed."""
    column = f"config.resolved.variant.{gate}.kind"
    return rows[column] == "constant" if column in rows else pd.Series(False, rows.index)


def draw(on: Panel) -> Axes:
    """A row per variant and gate, under the variant's name, and a column per touch."""
    ax = on.ax
    touches = [touch for touch in TOUCHES.values() if (on.rows["touch"] == touch).any()]
    table = on.rows.pivot(index=["name", "gate"], columns="touch", values="cost")
    gates = {name: [gate for gate in GATES if (name, gate) in table.index] for name in on.looks}
    keys = [(name, gate) for name, known in gates.items() for gate in ("", *known)]  # "": the row of the name
    values = table.reindex(index=pd.MultiIndex.from_tuples(keys), columns=touches).to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    most = max(float(finite.max(initial=0)), 1e-9)
    look: Any = {"cmap": "Oranges", "vmin": 0, "vmax": 1.6 * most, "aspect": "auto"}
    ax.imshow(np.where(np.isinf(values), most, values), **look)
    for (row, column), value in np.ndenumerate(values):
        if keys[row][1]:
            ax.text(column, row, _short(value), ha="center", va="center", fontsize=_theme.SMALL)
    for row in [row for row, (_, gate) in enumerate(keys) if not gate]:
        name = folded(keys[row][0], 60, 1)
        ax.text(-0.45, row + 0.1, name, va="center", fontsize=_theme.SMALL, weight="bold")
    ax.set_xticks(range(len(touches)), touches, fontsize=_theme.SMALL, rotation=90 if narrow(ax) else 0)
    rows = [row for row, (_, gate) in enumerate(keys) if gate]
    ax.set_yticks(rows, [keys[row][1] for row in rows], fontsize=_theme.SMALL)
    ax.tick_params(length=0)
    _subtitle(ax, says(on, bool(np.isnan([line for line, (_, gate) in zip(values, keys, strict=True) if gate]).any())))
    return ax


def says(on: Panel, gaps: bool) -> str:
    """What a number is. gaps: whether a gate lacks some input."""
    few, most = on.rows["seeds"].min(), on.rows["seeds"].max()
    nets = f"{most} net{'s' if most > 1 else ''}" if few == most else f"{few} to {most} nets"
    text = f"a number: what is {lost(on.runs)}, large: bad; median of {nets}"
    return f"{text}; –: the gate has no such input" if gaps else text


def _subtitle(ax: Axes, text: str) -> None:
    """Words between the title and the map, which make room for themselves."""
    lines = textwrap.wrap(text, 50 if narrow(ax) else 110)
    ax.set_title(ax.get_title(loc="left"), pad=5 + 9 * len(lines))
    look: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom", "fontsize": _theme.SMALL}
    ax.annotate(plain("\n".join(lines)), (0, 1), (0, 3), **look)


def _short(value: float) -> str:
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞"
    return f"{round(value, 2) + 0.0:.2f}" if abs(value) < 10 else f"{value:.3g}"  # + 0: never -0.00
