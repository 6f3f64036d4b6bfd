"""Every module in this folder is a figure, and every one in figures/ of a folder of your own (`extensions=`): adding
one is adding a file. A figure is a module whose docstring opens with the question it answers, and that has

    LAYOUT                                  its place in a report and the sizes of its panels
    CAPTION                                 what was measured and how, for the reader of a report
    numbers(runs, curves) -> DataFrame      exactly what it draws, of all panels; empty: the figure makes no sense here
    draw(on: Panel) -> Axes                 one panel, of these numbers alone; computes nothing, saves nothing

and may have

    remark(numbers) -> str                  what to add to the caption, without a full stop; nothing: ""

`runs` and `curves` are the frames of analysis.records.load, whole. `numbers` has the columns `task` (the panel) and
`name` (the variant) at least. Modules that begin with `_` are what figures share, and are used in this folder only; the
names below are for pages, notebooks and figures of your own.

May import: analysis.common to replications.
"""

from analysis.arms.counted_runs import scored
from analysis.figures._discovery import discover, failures_named, ours, question, use_extensions
from analysis.figures._figure import Drawing, Layout, Panel
from analysis.figures._panel import draw
from analysis.figures._sheet import sheet
from analysis.figures._text import lacking
from analysis.figures._theme import (
    COLUMN,
    GATE_SHADES,
    PAGE,
    SIGNED_SHADES,
    picture,
    save,
    save_png,
    shades,
    styles,
)

__all__ = [
    "COLUMN",
    "GATE_SHADES",
    "PAGE",
    "SIGNED_SHADES",
    "Drawing",
    "Layout",
    "Panel",
    "discover",
    "draw",
    "failures_named",
    "lacking",
    "ours",
    "picture",
    "question",
    "save",
    "save_png",
    "scored",
    "shades",
    "sheet",
    "styles",
    "use_extensions",
]
