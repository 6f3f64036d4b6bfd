"""Strips of one sequence one above the other, from the top down: maps, bars, letters, marks at events."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.figures import _theme
from analysis.figures._inside import narrow
from analysis.figures._text import plain

GAP = 0.35  # between two strips; a letter of the input is about 1 high
OFTEN = 0.4  # of the steps: an event that happens at more of them is not marked
KINDS = {"start": "v", "due": "D", "end": "s"}  # the last word of an event's name -> its shape, for every task
SHAPES = ("o", "^", "P", "X")  # of the other events of a task, in their order
ENOUGH = 0.25  # of the most that a unit holds: less is next to nothing


@dataclass
class Strips:
    """Strips on one axes, so many steps long. y: where the next one begins; labels: y -> what a strip is called."""

    ax: Axes
    steps: int
    y: float = 0.0
    labels: dict[float, str] = field(default_factory=dict)

    def box(self, height: float, label: str) -> None:
        """Frame a strip that has been drawn, name it, and go on below it."""
        self.frame(self.y, height, _theme.FAINT, 0.5, "strip")
        self.labels[self.y + height / 2] = label
        self.y += height + GAP

    def frame(self, y: float, height: float, colour: str, width: float, gid: str) -> None:
        look: Any = {"fill": False, "edgecolor": colour, "linewidth": width, "gid": gid}
        self.ax.add_patch(Rectangle((-0.5, y), self.steps, height, **look))

    def map(self, table: NDArray[Any], height: float, label: str, **look: Any) -> None:
        """A map of (rows, steps)."""
        place = (-0.5, self.steps - 0.5, self.y + height, self.y)
        self.ax.imshow(table, aspect="auto", interpolation="nearest", extent=place, **look)
        self.box(height, label)

    def unit(self, kept: NDArray[Any], erased: NDArray[Any], label: str) -> None:
        """Bars of what one unit holds as a step begins, the part that the step erases dark; arrows where it forgets."""
        height, room = 5.0, 1.7  # room for arrows and words
        most = max(float((kept + erased).max()), 1e-12)
        scale, bottom, at = (height - room) / most, self.y + height, np.arange(self.steps)
        edge: Any = {"width": 0.8, "edgecolor": _theme.INK, "linewidth": 0.3}
        self.ax.bar(at, -scale * kept, bottom=bottom, color=_theme.shades(_theme.GATE_SHADES)[56], gid="kept", **edge)
        self.ax.bar(at, -scale * erased, bottom=bottom - scale * kept, color=_theme.INK, gid="erased", **edge)
        self.arrows(forgetting(kept, erased), bottom - scale * (kept + erased) - 0.1)
        self.box(height, label)

    def arrows(self, steps: NDArray[Any], heads: NDArray[Any]) -> None:
        """An arrow down at each of these steps, and once what they say. heads: (T,) where an arrow would end."""
        shape = {"arrowstyle": "-|>", "color": _theme.EVENT, "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
        for step in steps:
            self.ax.annotate("", (step, heads[step]), (step, self.y + 1), arrowprops={**shape, "mutation_scale": 5})
        if len(steps):
            text, at = ("forgets here", steps[0]) if len(steps) == 1 else ("at each arrow: forgets here", 0)
            left = at < 0.7 * self.steps
            look: Any = {"color": _theme.EVENT, "fontsize": _theme.SMALL, "weight": "bold", "va": "top", "zorder": 4}
            look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            look["ha"] = "left" if left else "right"
            self.ax.text(at + (-0.4 if left else 0.4), self.y + 0.15, text, **look)

    def letters(self, texts: list[str], label: str) -> None:
        """A letter a step, as large as there is room."""
        size = min(7.0, 72 * 0.75 * self.ax.get_figure(root=True).get_figwidth() / self.steps / 0.62)  # type: ignore[union-attr]
        for step, text in enumerate(texts):
            look: Any = {"ha": "center", "va": "center", "fontsize": size, "family": "monospace"}
            self.ax.text(step, self.y + 0.6, plain(text), **look)
        self.labels[self.y + 0.55] = label
        self.y += 1.2

    def events(self, happens: dict[str, NDArray[Any]], bottom: float) -> None:
        """A mark on top at each event, with a thin line down; events that happen at most steps are left out."""
        rare = {name: steps for name, steps in happens.items() if 0 < len(steps) <= OFTEN * self.steps}
        for name, shape in shapes(list(rare)).items():
            steps = rare[name]
            self.ax.vlines(steps, 0, bottom, color=_theme.EVENT, linewidth=0.3, alpha=0.45, zorder=3)
            look: Any = {"s": 16, "color": _theme.EVENT, "clip_on": False, "linewidths": 0}
            self.ax.scatter(steps, [-0.5] * len(steps), marker=shape, label=plain(name), **look)

    def key(self) -> None:
        """What the marks at events mean, above them: each panel has its own, as its events are its task's."""
        handles, names = self.ax.get_legend_handles_labels()
        if names:
            columns = min(len(names), 2 if narrow(self.ax) else 4)
            self.ax.set_ylim(top=-1.1 - 0.9 * math.ceil(len(names) / columns))
            look: Any = {"loc": "upper left", "bbox_to_anchor": (0, 1), "ncols": columns}
            look |= {"handlelength": 1, "handletextpad": 0.3, "columnspacing": 1.5, "borderpad": 0, "borderaxespad": 0}
            self.ax.add_artist(Legend(self.ax, handles, list(map(str, names)), fontsize=_theme.SMALL, **look))


def forgetting(kept: NDArray[Any], erased: NDArray[Any]) -> NDArray[Any]:
    """The steps that erase more than half of what the unit holds, where that is not next to nothing."""
    held = kept + erased
    steps: NDArray[Any] = np.nonzero((erased > kept) & (held >= ENOUGH * held.max()))[0]
    return steps


def by_own_largest(table: NDArray[Any]) -> NDArray[Any]:
    """Each row of (rows, steps) as shares of its own largest magnitude; a row of zeros stays so."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    shares: NDArray[Any] = table / np.where(largest > 0, largest, 1)
    return shares


def shapes(names: list[str]) -> dict[str, str]:
    """The mark of each event: a start, an end and what is due look the same in every task; at most as many as shapes.

    Of two of a kind the second takes the next free shape.
    """
    found: dict[str, str] = {}
    free = iter(SHAPES)
    for name in names:
        kind = KINDS.get(name.rpartition(" ")[2])
        shape = kind if kind and kind not in found.values() else next(free, None)
        if shape:
            found[name] = shape
    return found


def values(rows: pd.DataFrame, name: str) -> NDArray[Any]:
    """The numbers of a row of the sequence, (T,)."""
    found: NDArray[Any] = rows[rows["row"] == name].sort_values("step")["value"].to_numpy()
    return found
