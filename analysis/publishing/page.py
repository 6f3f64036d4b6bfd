"""A page from its template and the archived studies: text and pictures. The templates are Jinja's.

study(name)                                 a study: .archived, .claims, .stale ... (studies.py)
claim(study, sentence)                      one of its claims: .verdict, .of(arm, task), .size, .interval
number(study, task, arm, column)            a median over seeds
definition(file)                            what is true by what a file of this project computes
{% call sentence(name, sources...) %}       a sentence that rests on them (sentences.py)
picture(study, figure, variants, tasks)     one of the figures of a report
footnotes()                                 what the sentences so far rest on
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from analysis.claims.finding import written
from analysis.common.command_line import CommandError
from analysis.common.escaping import in_markdown
from analysis.publishing.footnotes import Definition
from analysis.publishing.pictures import Pictures
from analysis.publishing.sentences import Sentences
from analysis.publishing.studies import Study, archived, opened


@dataclass
class Page:
    """A page as it should be. studies: those that it showed or rests on."""

    text: str
    pictures: Pictures
    studies: set[str]

    def write(self, out: Path) -> None:
        """Write the page and its pictures."""
        for picture in self.pictures.chosen.values():
            picture.write(out.parent)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(self.text, encoding="utf-8")


def render(template: Path, results: Path, held: bool = False, findings: str = "") -> Page:
    """The page of a template.

    results: the folder of archives; held: whether all of its prose has to stand in sentences; findings: the page that
    footnotes link to, none unless given.
    Raises CommandError, naming the place, for a template that cannot be filled, and for a sentence that cannot stand.
    """
    pictures = Pictures(template.stem)
    asked: set[str] = set()

    def study(name: str) -> Study:
        asked.add(name)
        return opened((results / name).resolve())

    sentences = Sentences(lambda name: study(name).stale, findings)
    known = {
        "study": study,
        "archived": lambda: archived(results),
        "claim": lambda name, sentence: study(name).claim(sentence),
        "number": lambda name, task, arm, column: study(name).number(task, arm, column),
        "definition": Definition,
        "sentence": sentences.sentence,
        "footnotes": sentences.footnotes,
        "picture": lambda name, figure, variants=(), tasks=(): pictures.add(study(name), figure, variants, tasks),
    }
    text = filled(template, known)
    return Page(sentences.finished(text, held), pictures, asked)


def filled(template: Path, known: dict[str, Any]) -> str:
    """The text of a template; CommandError with the file and the line where it cannot be filled."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.globals.update(known)
    pages.filters.update(cell=in_markdown, written=written)
    try:
        return pages.get_template(template.name).render()
    except jinja2.TemplateNotFound as error:
        raise CommandError(f"{template.parent / str(error.name)}: there is no such template") from None
    except jinja2.TemplateSyntaxError as error:
        raise CommandError(f"{template.parent / str(error.name)}, line {error.lineno}: {error.message}") from None
    except jinja2.UndefinedError as error:
        raise CommandError(f"{template}: {error.message}") from None
    except TypeError as error:  # a function of ours was given what it does not take
        raise CommandError(f"{template}: {error}") from None


def folder_of_archives(name: str) -> Path:
    """What `results=` names; CommandError if there is no such folder, with which nothing would be archived."""
    if not Path(name).is_dir():
        raise CommandError(f"results={name}: there is no such folder")
    return Path(name)


def refuse_left_out(page: Page, results: Path, template: Path) -> None:
    """Raise CommandError if the folder of archives holds a study that the page does not show."""
    if left_out := [name for name in archived(results) if name not in page.studies]:
        raise CommandError(f"{results / left_out[0]} is in no section of {template}: add one")


def between(text: str, mark: str, content: str, path: Path) -> str:
    """A text with new content between `<!-- mark -->` and `<!-- /mark -->`; CommandError unless both stand there."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise CommandError(f"{path} lacks {begin} and {end}, between which sentences are written")
    return f"{before}{begin}\n{content.strip()}\n{end}{after}"
