"""Text of records and studies in the formats of a report: it shows what it says, and means nothing to the format."""

import html
import re

from analysis.common.command_line import one_line

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "|": r"\textbar{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "`": r"\textasciigrave{}",
        "[": "{[}",  # after the end of a row it would be an argument
        "*": "{*}",  # likewise
        **{letter: f"\\{letter}" for letter in "&%$#_"},
    }
)


def tidy(text: str) -> str:
    """The text on one line, with single spaces, what cannot be printed as escapes."""
    return one_line(" ".join(text.split()))


def in_markdown(text: str) -> str:
    """Text for a cell of a GitHub table or any other place of a line."""
    escaped = html.escape(tidy(text), quote=False).replace("\\", "&bsol;")
    escaped = re.sub(r"([|*`~$#]|^\[|\](?=[(\[:]))", r"\\\1", escaped)
    escaped = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", escaped)
    escaped = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", escaped)  # neither a list
    return re.sub(r"^([-+=])(?=\s|\1|$)", r"\\\1", escaped)  # nor a rule


def in_latex(text: str) -> str:
    """Text for a cell of a tabular."""
    return re.sub(r"([-',])(?=\1)", r"\1{}", tidy(text).translate(LATEX))  # a ligature would be another character
