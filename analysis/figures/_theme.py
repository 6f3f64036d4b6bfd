"""How variants look: one order, one label, one colour each, in every figure of every report.

A variant's place in FAMILIES fixes its style, whatever else is drawn. Inside a family, the variants one compares with
each other, no two share a colour, a marker or dashes, and two colours of one grey have markers and dashes unlike each
other; where two families share a colour the markers and dashes differ, so a figure also reads in grey. A variant may be
appended to a family, and need not be: one that is not listed (somebody's own, or a difference such as
`lstm[forget.feeds=xb]`) starts from a hash of its name and moves on only where another unlisted one of the same report
has taken the colour. The arms of a variant keep its colour, not its marker and dashes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.arms import order

COLUMN = 3.35  # inches: one column of a paper
PAGE = 6.9  # inches: both columns

DPI = 200  # of the PNGs
SCREEN = 100  # of those that are only looked at on a screen


INK = "#222222"
FAINT = "#767676"
PALE = "#CCCCCC"
EVENT = "#CC3311"  # what happens at a step
GATE_SHADES = "bone"  # of a gate: dark at 0, where it erases or is shut, light at 1
SIGNED_SHADES = "PuOr_r"  # of a number around 0: purple below, orange above
# Paul Tol's "muted" scheme, safe for all common forms of colour blindness; the palest stands last.
COLOURS = ("#CC6677", "#332288", "#117733", "#88CCEE", "#882255", "#44AA99", "#AA4499", "#999933", "#DDCC77")
# Markers and dashes that look alike stand side by side, and colours that are alike in grey two places apart or more: of
# two variants of a family that share their grey, neither the marker nor the dashes can be taken for the other's.
MARKERS = ("s", "D", "X", "P", "*", "^", "v", "<", ">")  # the baseline alone has "o"
SOLID = (1, 0)
ONE_DOT, TWO_DOTS = (6, 2, 1.5, 2), (6, 2, 1.5, 2, 1.5, 2)  # after each dash
DASHES = (SOLID, (10, 2), (5, 3), ONE_DOT, TWO_DOTS, (2.5, 1.5), (1, 1.2), (1, 3.5), (3, 6))

TITLE, TEXT, KEY, SMALL, TINY = 8.5, 8, 7.5, 7, 6  # letters, in points
DOT, SEED, LARGE, CROSS = 5, 18, 40, 32  # points of scatters, in square points
MARKER, LINE, THIN, EDGE = 5, 1, 0.6, 0.4  # markers on lines, lines, axes and faint lines, white edges, in points

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gates",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.titlesize": TITLE,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": THIN,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": THIN,
    "ytick.major.width": THIN,
    "legend.frameon": False,
    "legend.fontsize": KEY,
    "legend.handlelength": 3.2,  # room for a whole pattern of dashes
}


class Style(NamedTuple):
    colour: str
    marker: str
    dashes: tuple[float, ...]


@contextmanager
def applied() -> Iterator[None]:
    """Draw in this theme, whatever the reader's own matplotlib settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ ")  # the report says which letters are lacking
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def styles(runs: pd.DataFrame) -> dict[str, Style]:
    """name -> its look, in the report's order."""
    found = order.places(set(runs["variant"]))
    variants = dict(zip(runs["name"], runs["variant"], strict=True))
    looks: dict[str, Style] = {}
    arms: list[str] = []
    for name in order.rows(runs):
        variant = variants[name]
        shift = arms.count(variant)
        arms.append(variant)
        family, place = found.get(variant, (0, 0))
        if variant == order.BASELINE:
            looks[name] = Style(INK, ("o", *MARKERS)[shift % 10], DASHES[shift % 9])
        else:
            turn = (place + 2 * family + shift) % 9
            looks[name] = Style(COLOURS[place], MARKERS[turn], DASHES[turn])
    return looks


def shades(name: str, count: int = 65) -> list[str]:
    """The colours of a map of matplotlib's from its low to its high end, as #rrggbb."""
    return [mpl.colors.to_hex(colour) for colour in mpl.colormaps[name](np.linspace(0, 1, count))]


def picture(figure: Figure, dpi: int = SCREEN) -> bytes:
    """A figure as PNG, for a screen."""
    with applied():
        figure.set_dpi(dpi)
        buffer = BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write path.png, path.svg and path.pdf; the same figure gives the same bytes.

    By way of the canvases: `savefig` would draw everything a second time for each format.
    """
    with applied():
        canvas: Any = laid_out(figure)
        canvas.print_png(path.with_suffix(".png"), metadata={"Software": None})
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(path.with_suffix(".svg"), metadata={"Date": None})
        canvas = FigureCanvasPdf(figure)
        canvas.print_pdf(path.with_suffix(".pdf"), metadata={"CreationDate": None})


def save_png(figure: Figure, path: Path, about: str) -> None:
    """Write a figure as PNG alone, with a text about it in the file; the same figure gives the same bytes."""
    with applied():
        laid_out(figure).print_png(path, metadata={"Software": None, "Description": about})


def laid_out(figure: Figure) -> Any:
    """The canvas of a figure that is laid out once, not once per format."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return canvas
