"""Bars of shares of the variance."""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._axes import name_rows
from analysis.figures._text import plain


def shares(ax: Axes, rows: pd.DataFrame, faint: str) -> None:
    """A bar per row of `effect`, `share` and the `text` beside it, from the top; the effect `faint` in grey."""
    colours = [_theme.PALE if effect == faint else _theme.COLOURS[1] for effect in rows["effect"]]
    bars = ax.barh(range(len(rows)), rows["share"], color=colours, height=0.7)
    ax.bar_label(bars, [plain(text) for text in rows["text"]], padding=3, fontsize=_theme.SMALL)
    name_rows(ax, rows["effect"])
    ax.set(xlim=(0, 1.25 * max(rows["share"].max(), 0.1)), xlabel="share of the variance")
