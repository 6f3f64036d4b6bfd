"""Is a gate needed to learn, to run, or for both?"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.arms import order
from analysis.figures import _theme
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import GATES, looked, lost
from analysis.figures._layers import points
from analysis.figures._legends import legend, mark
from analysis.figures._text import folded

LAYOUT = Layout(order=270, part="Looking inside", base=2.8, together=8)
CAPTION = (
    "Across: what is lost of the task's main metric by training without a gate or a feed, against the complete LSTM. "
    "Up: what the trained LSTM loses when the same gate is fixed at that value, or the same feed replaced by its mean, "
    "without training again. Large marks: medians over the seeds that both have; small ones: seeds. Upper left: needed "
    "to run, but another net learns to do without; lower right: needed to learn only; on the line both cost the same."
)
COLUMNS = ["task", "name", "seed", "touch", "learn", "run", "learn_median", "run_median"]
ALONG: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "transform_rotates_text": True, "ha": "right"}
ALONG |= {"color": _theme.FAINT, "fontsize": _theme.SMALL}  # words along the diagonal
KNOBS = "config.resolved.variant."


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Both losses of every variant that is the LSTM without one gate or feed, seed by seed."""
    rows = looked(runs)
    parts = [part for _, panel in rows.groupby("task") for part in of_task(panel)]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat(parts, ignore_index=True)
    groups = whole.groupby(["task", "name"])
    medians = {f"{key}_median": groups[key].transform("median") for key in ("learn", "run")}
    return whole.assign(**medians)[COLUMNS]


def of_task(panel: pd.DataFrame) -> list[pd.DataFrame]:
    """One frame per variant of a task that has a counterpart in surgery."""
    base = panel[panel["variant"] == order.BASELINE]
    if base.empty or base["name"].nunique() > 1:
        return []
    worse = 1 if base["task.direction"].iloc[0] == "min" else -1
    parts = []
    for _, own in panel.groupby("name", sort=False):
        touch = counterpart(own.iloc[0], base.iloc[0])
        if touch is None or f"inside.{touch}/cost" not in base:
            continue
        pairs = own.merge(base, on="seed", suffixes=("", " of the LSTM"))
        learn = worse * (pairs["score"] - pairs["score of the LSTM"])
        cost = pairs[f"inside.{touch}/cost of the LSTM"]
        known = pairs.assign(learn=learn, run=cost, touch=touch)
        known = known[known["learn"].abs().lt(math.inf) & known["run"].abs().lt(math.inf)]
        parts.append(known[["task", "name", "seed", "touch", "learn", "run"]])
    return [part for part in parts if len(part)]


def counterpart(run: Any, base: Any) -> str | None:
    """The surgery on the LSTM that takes away what a variant lacks, if it lacks one thing only."""
    keys = [key for key in run.index if key.startswith(KNOBS) and key.count(".") == KNOBS.count(".") + 1]
    differ = {key.removeprefix(KNOBS): run[key] for key in keys if not _same(run[key], base[key])}
    gates = {key.partition(".")[0] for key in differ}
    if len(gates) != 1 or not gates <= set(GATES):
        return None
    (gate,) = gates
    knobs = {key.partition(".")[2]: value for key, value in differ.items()}
    if knobs.get("kind") == "constant" and set(knobs) <= {"kind", "value"}:
        return f"surgery/{gate}={knobs['value']:g}" if knobs.get("value") in (0, 1) else None
    if set(knobs) == {"feeds"}:
        lost = set(base[f"{KNOBS}{gate}.feeds"]) - set(knobs["feeds"])
        return f"cut/{gate}/{lost.pop()}" if len(lost) == 1 and lost <= {"x", "h"} else None
    return None


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one is None and other is None) or (one != one and other != other)


def draw(on: Panel) -> Axes:
    """A large mark per variant, a small one per seed, and the line on which both cost the same."""
    ax, rows = on.ax, on.rows
    ends = pd.concat([rows["learn"], rows["run"]])
    low, high = min(0.0, float(ends.min())), max(0.0, float(ends.max()))
    room = 0.08 * max(high - low, 1e-9)
    ax.plot([low, high], [low, high], color=_theme.PALE, linewidth=_theme.LINE, zorder=0)
    for line in (ax.axhline, ax.axvline):
        line(0, color=_theme.FAINT, linewidth=_theme.THIN, zorder=0)
    points(on, rows, "learn", "run", "seeds", s=_theme.DOT, linewidth=0, alpha=0.7)
    points(on, rows.drop_duplicates("name"), "learn_median", "run_median", "medians", s=_theme.LARGE)
    ax.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
    ax.text(high, high - room / 3, "missed as much  ", va="top", **ALONG)
    what = "the gate" if rows["touch"].str.startswith("surgery/").all() else "it"
    ax.set_xlabel(folded(f"{lost(on.runs)} by training without {what}", 40, 4))
    ax.set_ylabel(folded(f"{lost(on.runs)} by taking {what} away after training", 30, 4))
    sizes = mark("o", "large: median", markersize=6), mark("o", "small: each net", markersize=2.5)
    legend(ax, {name: look._replace(dashes=(0, 1)) for name, look in on.looks.items()}, *sizes)
    return ax
