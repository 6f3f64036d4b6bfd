"""Tables and numbers as text, Markdown, LaTeX and CSV."""

import math
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from analysis.common.escaping import in_latex, in_markdown, tidy


def number(value: float) -> str:
    """Three significant digits; a score that no chance level bounds is no number."""
    if math.isnan(value):
        return "–"
    return "diverged" if math.isinf(value) else f"{value:.3g}"


def plain(table: pd.DataFrame) -> str:
    return tabulate(strings(table), headers=header(table), tablefmt="simple", disable_numparse=True)


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table; text from records cannot end a cell or start HTML."""
    rows = [[in_markdown(text) for text in row] for row in strings(table)]
    titles = [in_markdown(text) for text in header(table)]
    return tabulate(rows, headers=titles, tablefmt="github", disable_numparse=True)


def latex(table: pd.DataFrame) -> str:
    """A booktabs tabular."""
    head, *rows = [" & ".join(map(in_latex, row)) + r" \\" for row in (header(table), *strings(table))]
    lines = [rf"\begin{{tabular}}{{{'l' * len(header(table))}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}", ""])


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """A CSV file with every text on one line."""
    texts = {
        column: table[column].map(lambda value: tidy(value) if isinstance(value, str) else value)
        for column in map(str, table)
        if not pd.api.types.is_numeric_dtype(table[column])
    }
    table.assign(**texts).to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def strings(table: pd.DataFrame) -> list[list[str]]:
    return [[str(name), *map(str, values)] for name, values in zip(table.index, table.to_numpy(), strict=True)]


def header(table: pd.DataFrame) -> list[str]:
    return ["variant", *map(str, table.columns)]


def texts(table: pd.DataFrame) -> list[list[str]]:
    """A frame as text: nothing for what is missing, whole numbers without a point, others to three digits."""
    return [[text(value) for value in row] for row in table.astype(object).to_numpy()]


def text(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else number(value)
    return tidy(str(value))
