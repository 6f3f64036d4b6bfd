"""How variants look: one order, one label, one colour each, in every figure of every report.

A variant's place in FAMILIES fixes its style, whatever else is drawn. Inside a family, the variants one compares with
each other, no two share a colour or a marker; where two families share a colour the markers and dashes differ, so a
figure also reads in grey. A variant may be appended to a family, and need not be: one that is not listed (somebody's
own, or a difference such as `lstm[forget.feeds=xb]`) starts from a hash of its name and moves on only where another
unlisted one of the same report has taken the colour. The arms of a variant keep its colour, not its marker and dashes.
"""

import functools
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from analysis.common.escaping import tidy
from analysis.records.arms import natural

COLUMN = 3.35  # inches: one column of a paper
PAGE = 6.9  # inches: both columns

DPI = 200  # of the PNGs

BASELINE = "lstm"
FAMILIES = [
    family.split()
    for family in (
        "no_forget_gate no_input_gate no_output_gate no_input_activation no_output_activation coupled_gates peephole "
        "full_gate_recurrence",
        "constant_forget fixed_forget_bias learned_decay scalar_forget refine_gate",
        "elman leaky janet mgu minlstm mingru gru_reset_before gru gru_no_reset",
        "no_hidden gates_x gates_xb gates_xh gates_none no_content_recurrence no_content_recurrence_no_output",
        "forget_hard_sigmoid forget_clipped_linear forget_elliott forget_double_sigmoid forget_tanh forget_identity "
        "forget_relu forget_exp forget_binary",
        "slim1 slim2 slim3 mut1 mut2 mut3 slstm forget_gumbel",
    )
]
UNLISTED = len(FAMILIES)  # the family of every variant that is not listed

INK = "#222222"
FAINT = "#767676"
# Paul Tol's "muted" scheme, safe for all common forms of colour blindness; the palest stands last.
COLOURS = ("#CC6677", "#332288", "#117733", "#88CCEE", "#882255", "#44AA99", "#AA4499", "#999933", "#DDCC77")
MARKERS = ("s", "^", "D", "v", "P", "<", "p", ">", "h")  # the baseline alone has "o"
WIDE = 1.6  # the breadth of a box for a letter that the font lacks, in letters
SOLID = (1, 0)
DASHES = (SOLID, (6, 2), (2, 1.5), (8, 2, 2, 2), (14, 3), (3, 3), (9, 2, 2, 2, 2, 2), (6, 6), (2, 4))

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gates",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
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


def places(variants: set[str]) -> dict[str, tuple[int, int]]:
    """variant -> (family, place in it)."""
    listed = {variant: (row, place) for row, family in enumerate(FAMILIES) for place, variant in enumerate(family)}
    found = {variant: listed[variant] for variant in variants if variant in listed}
    taken: list[int] = []
    for variant in sorted(variants - set(found) - {BASELINE}):
        start = crc32(variant.encode())
        turns = [(start + turn) % len(COLOURS) for turn in range(len(COLOURS))]
        place = min(turns, key=taken.count)
        found[variant] = (UNLISTED + taken.count(place), place)
        taken.append(place)
    return found


def order(runs: pd.DataFrame) -> list[str]:
    """The names (rows) of a report in the order in which every figure and table shows them.

    A column `place`, where there is one, comes before the order of the families: the reader asked for it.
    """
    found = places(set(runs["variant"]))
    rows = runs.assign(place=runs.get("place", 0))[["variant", "name", "place"]].drop_duplicates("name")
    ranked = [
        ((place, found.get(variant, (-1, 0)), natural(name)), name)
        for variant, name, place in rows.itertuples(index=False)
    ]
    return [name for _, name in sorted(ranked)]


def baselines(runs: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Those of the names that are the complete LSTM."""
    known = set(runs.loc[runs["variant"] == BASELINE, "name"])
    return [name for name in names if name in known]


def styles(runs: pd.DataFrame) -> dict[str, Style]:
    """name -> its look, in the report's order."""
    found = places(set(runs["variant"]))
    variants = dict(zip(runs["name"], runs["variant"], strict=True))
    looks: dict[str, Style] = {}
    arms: list[str] = []
    for name in order(runs):
        variant = variants[name]
        shift = arms.count(variant)
        arms.append(variant)
        family, place = found.get(variant, (0, 0))
        if variant == BASELINE:
            looks[name] = Style(INK, ("o", *MARKERS)[shift % 10], DASHES[shift % 9])
        else:
            turn = (place + 2 * family + shift) % 9
            looks[name] = Style(COLOURS[place], MARKERS[turn], DASHES[turn])
    return looks


def panels(runs: pd.DataFrame) -> list[str]:
    """The tasks of a report in order."""
    return sorted(set(runs["task"]), key=natural)


def lacking(texts: Iterable[str]) -> str:
    """The letters that the font of the figures lacks: PNG and PDF have boxes there."""
    known = get_font(findfont(STYLE["font.family"])).get_charmap()
    return "".join(
        sorted({letter for text in texts for letter in text if not letter.isspace() and ord(letter) not in known})
    )


@functools.lru_cache(maxsize=4096)
def breadth(text: str) -> float:
    """How broad a text is in the figures' font, in letters of ordinary prose."""
    font = get_font(findfont(STYLE["font.family"]))
    known, usual = font.get_charmap(), font.load_char(ord("a")).horiAdvance
    return sum(font.load_char(ord(x)).horiAdvance / usual if ord(x) in known else WIDE for x in text)


def plain(text: str) -> str:
    """Text for a figure: a dollar sign is a dollar sign, not the start of a formula."""
    return text.replace("$", r"\$")


def folded(text: str, width: int = 26, lines: int = 3) -> str:
    """A name on a few lines, so that a long one leaves room for what it names; the CSV of a figure has it whole.

    Its beginning and its end stay: the settings that tell arms apart stand there.
    """
    spaced = tidy(text).replace(",", ", ").replace(",  ", ", ").replace("[", " [").strip()
    parts = textwrap.wrap(spaced, max(8, int(width * min(1, len(spaced) / max(1, breadth(spaced))))))
    kept = parts if len(parts) <= lines else [*parts[: lines - 1], f"… {parts[-1]}"]
    return plain("\n".join(kept))


def save(figure: Figure, path: Path) -> None:
    """Write path.png, path.svg and path.pdf; the same figure gives the same bytes.

    By way of the canvases: `savefig` would draw everything a second time for each format.
    """
    with applied():
        figure.set_dpi(DPI)
        canvas: Any = FigureCanvasAgg(figure)
        if figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once, not once per format
        canvas.print_png(path.with_suffix(".png"), metadata={"Software": None})
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(path.with_suffix(".svg"), metadata={"Date": None})
        canvas = FigureCanvasPdf(figure)
        canvas.print_pdf(path.with_suffix(".pdf"), metadata={"CreationDate": None})
