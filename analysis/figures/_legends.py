"""Legends: the variants, and the lines and marks that mean the same for all of them."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures import _theme
from analysis.figures._text import folded


def legend(ax: Axes, looks: dict[str, _theme.Style], *marks: Line2D) -> None:
    """The variants first, then the lines and marks that mean the same for all of them."""
    variants = [
        Line2D(
            [],
            [],
            color=look.colour,
            dashes=look.dashes,
            marker=look.marker,
            markersize=_theme.MARKER,
            markeredgewidth=0,
            linewidth=_theme.LINE,
            label=folded(name),
        )
        for name, look in looks.items()
    ]
    levels = {str(line.get_label()): line for line in ax.lines if line.get_label() in ("chance", "solved")}
    ax.legend(handles=[*variants, *levels.values(), *marks])


def mark(shape: str, label: str, **look: Any) -> Line2D:
    """A legend entry for a mark that means the same for every variant."""
    return Line2D([], [], color=_theme.FAINT, marker=shape, linestyle="", label=label, **look)
