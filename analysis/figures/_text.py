"""Names and other text in a figure: folded, as broad as its font makes them, and never taken for a formula."""

import functools
import textwrap
from collections.abc import Iterable

from matplotlib.font_manager import findfont, get_font

from analysis.common.escaping import tidy
from analysis.figures._theme import STYLE

WIDE = 1.6  # the breadth of a box for a letter that the font lacks, in letters


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
