"""Sentences of a page that each rest on verdicts or numbers, and are printed only as long as those are what they need.

    {% call sentence("the input", sees.reproduced) %}Without the input the gate cannot tell.{% endcall %}
    {% call sentence("the input", sees.open) %}Whether it needs the input is undecided.{% endcall %}

Calls of one name are alternatives, of which one has to fit: a verdict that none of them needs stops the page, by that
name. What a sentence rests on becomes a footnote.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from analysis.common.command_line import CommandError
from analysis.common.escaping import tidy
from analysis.publishing.footnotes import footnote, study_of
from analysis.publishing.studies import Needed

BEGIN, END = "\x02", "\x03"  # around each sentence while the page is made
FREE = re.compile(r"\s*$|#|>|!\[|\[\^\d+\]:|<")  # lines that need no source: titles, quotations, pictures, footnotes


@dataclass
class Sentences:
    """The sentences of one page.

    stale: study -> how many of its runs are stale; nothing where none is. findings: the page that footnotes link to;
    "" prints no footnotes.
    """

    stale: Callable[[str], str]
    findings: str = "findings.md"
    printed: set[str] = field(default_factory=set)
    unmet: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def sentence(self, name: str, *sources: Any, caller: Callable[[], str]) -> str:
        """One alternative of a sentence: its text with its footnotes, nothing where a source is not as it needs.

        sources: verdicts that it needs, numbers that it says, definitions, conditions on numbers (true or false).
        Raises CommandError, naming the sentence, where it rests on nothing or on stale runs, or two alternatives fit.
        """
        grounds = [source for source in sources if not isinstance(source, bool)]
        if not grounds:
            raise CommandError(f'sentence "{name}" rests on nothing: name a verdict, a number or a definition')
        for study in {study_of(source) for source in grounds} - {""}:
            if left_out := self.stale(study):
                raise CommandError(f'sentence "{name}" rests on {study}: {left_out}; run it again and archive it')
        failing = [str(source) for source in grounds if isinstance(source, Needed) and not source.holds]
        failing += ["a condition on its numbers, which is false"] if False in sources else []
        if failing:
            self.unmet.setdefault(name, []).extend(failing)
            return ""
        if name in self.printed:
            raise CommandError(f'sentence "{name}" has two alternatives that both fit')
        self.printed.add(name)
        marks = [self.mark(source) for source in grounds] if self.findings else []
        return f"{BEGIN}{tidy(caller())}{''.join(dict.fromkeys(marks))}{END}\n"

    def mark(self, source: Any) -> str:
        """The footnote's mark of a source."""
        text = footnote(source, self.findings)
        if text not in self.notes:
            self.notes.append(text)
        return f"[^{self.notes.index(text) + 1}]"

    def footnotes(self) -> str:
        """What all sentences so far rest on."""
        return "\n".join(f"[^{place}]: {text}" for place, text in enumerate(self.notes, 1))

    def finished(self, text: str, held: bool) -> str:
        """The page, once every sentence is printed; else CommandError, naming the sentence and what it needs.

        held: whether all prose has to stand in sentences, so that something holds it true.
        """
        for name, needs in self.unmet.items():
            if name not in self.printed:
                raise CommandError(f'sentence "{name}" cannot stand: it needs {"; or ".join(needs)}')
        free = re.sub(f"{BEGIN}[^{END}]*{END}", "", text).splitlines() if held else []
        for line in free:
            if not FREE.match(line):
                raise CommandError(f"{tidy(line)!r} is in no sentence, so that nothing holds it true")
        text = re.sub(f"{END}\\s*{BEGIN}", "\n", text)  # sentences that follow each other are one paragraph
        return re.sub("\n{3,}", "\n\n", text.replace(BEGIN, "").replace(END, "")).strip() + "\n"


def words(text: str) -> int:
    """How many words a page has, without its footnotes and pictures."""
    lines = [line for line in text.splitlines() if not re.match(r"\[\^\d+\]:|!\[", line)]
    return len(re.sub(r"\[\^\d+\]|[#>*`]", "", " ".join(lines)).split())
