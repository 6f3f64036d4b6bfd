"""The footnotes of a generated page: what study, verdict, number or code a sentence rests on."""

from dataclasses import dataclass
from typing import Any

from analysis.claims.finding import written
from analysis.common.escaping import in_markdown
from analysis.publishing.studies import Needed, Number


@dataclass(frozen=True)
class Definition:
    """A sentence that is true by what the code computes. where: the file that computes it."""

    where: str


def study_of(source: Any) -> str:
    """The study that a source is from, nothing for a definition."""
    if isinstance(source, Needed):
        return source.claim.study
    return source.study if isinstance(source, Number) else ""


def footnote(source: Any, findings: str) -> str:
    """What a sentence rests on, in Markdown. findings: the page with the studies."""
    if isinstance(source, Definition):
        return f"By definition: [{source.where}](../{source.where})."
    link = f"[{study_of(source)}]({findings}#{study_of(source)})"
    if isinstance(source, Number):
        spread = f"[{written(source.low)}, {written(source.high)}]"
        return f"{link}: {in_markdown(source.of)}, median {source} {in_markdown(spread)} of {source.seeds} seeds."
    rows = [
        f"{pair.text}: {found.size} [{written(found.low)}, {written(found.high)}]"
        + (f", {found.verdict}: {found.reason}" if found.reason else "")
        for pair, found in source.claim.pairs
    ]
    said = f"“{in_markdown(source.claim.sentence)}” {source.claim.verdict}"
    return f"{link}: {said}" + (f" ({in_markdown('; '.join(rows))})." if rows else ".")
