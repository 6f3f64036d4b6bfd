"""The archived studies -> docs/answer.md, and the three sentences at the head of the README.

python -m analysis.answer results=results
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.common.command_line import CommandError, about, command
from analysis.publishing.page import Page, between, folder_of_archives, render
from analysis.publishing.sentences import words

WORDS = 600  # at most
HEAD = "found"  # the template of the README's sentences, beside that of the answer, and their mark in the README


@dataclass
class Options:
    """Write docs/answer.md and the head of the README from the archived studies.

    Each sentence names the verdicts that it needs. Where one is another by now nothing is written, and the sentence is
    named: it needs other words, or an alternative for that verdict (docs/templates/answer.md).
    """

    results: str = field(default="results", metadata=about("the folder of archives, one a study", example="results"))
    template: str = field(default="docs/templates/answer.md", metadata=about("the template of the page"))
    out: str = field(default="docs/answer.md", metadata=about("the page; its pictures stand in a folder beside it"))
    readme: str = field(default="README.md", metadata=about("the README, in which three sentences are replaced"))


def answer(template: Path, results: Path) -> Page:
    """The page; CommandError if a sentence cannot stand, or there are too many words."""
    page = render(template, results, held=True, findings="findings.md")
    if (count := words(page.text)) > WORDS:
        raise CommandError(f"{template}: the page has {count} words, {WORDS} at most")
    return page


def readme(path: Path, template: Path, results: Path) -> str:
    """The README with its sentences as the studies have them; CommandError if one of them cannot stand."""
    sentences = render(template.with_stem(HEAD), results, held=True).text
    return between(path.read_text(encoding="utf-8"), HEAD, sentences, path)


def write(options: Options) -> None:
    template, results = Path(options.template), folder_of_archives(options.results)
    page, text = answer(template, results), readme(Path(options.readme), template, results)
    page.write(Path(options.out))
    Path(options.readme).write_text(text, encoding="utf-8")
    print(f"{options.out}: {words(page.text)} words\n{options.readme}")


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.answer", Options, write, argv)


if __name__ == "__main__":
    sys.exit(main())
