"""Pages say what the archived studies say: a sentence stands as long as the verdict that it rests on is as it needs."""

import re
from pathlib import Path
from typing import ClassVar

import jinja2
import pytest
import yaml
from archived_studies import ALIKE, BETTER, CLAIM, TEMPLATE, WORSE, archived, template
from verdict_made import verdict

from analysis import answer, findings
from analysis.claims.claim import Claim, Comparison
from analysis.common.command_line import CommandError
from analysis.pages.build import Request, gather
from analysis.publishing import page
from analysis.publishing.page import between, render
from analysis.publishing.pictures import Pictures, by_arm
from analysis.publishing.sentences import words
from analysis.publishing.studies import Judged, Number, Study, opened
from analysis.records import code_versions

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "docs" / "templates"
RESULTS = ROOT / "results"
ALTERNATIVE = '{% call sentence("of the GRU", gru.open) %}Whether it has is undecided.{% endcall %}\n'
SECTION = '{% with study = study("mine"), figure = "scores" %}{% include "study.md" %}{% endwith %}\n'


def error(place: Path, results: Path, **words: bool) -> str:
    with pytest.raises(CommandError) as caught:
        render(place, results, **words)
    return str(caught.value)


def test_a_sentence_has_its_number_from_the_study_and_says_what_it_rests_on(tmp_path):
    text = render(template(tmp_path), archived(tmp_path, WORSE), held=True, findings="findings.md").text
    assert "A GRU has 9 times the loss.[^1]" in text
    assert f"[^1]: [mine](findings.md#mine): “{CLAIM}” reproduced (gru vs lstm, adding: 9 [" in text


def test_a_sentence_is_named_when_the_verdict_that_it_rests_on_is_another_one(tmp_path):
    place = template(tmp_path)
    assert "9 times" in render(place, archived(tmp_path, WORSE)).text
    for losses, word in ((BETTER, "refuted"), (ALIKE, "undecided")):
        said = error(place, archived(tmp_path / word, losses))
        needs = f"mine: '{CLAIM}' (gru) to be reproduced, and it is {word}"
        assert said == f'sentence "of the GRU" cannot stand: it needs {needs}'


def test_nothing_is_written_when_a_sentence_cannot_stand(tmp_path, capsys):
    results, out, readme = archived(tmp_path, BETTER), tmp_path / "answer.md", tmp_path / "README.md"
    template(tmp_path, name="found.md", text="{% call sentence('a', definition('cell.py')) %}It is.{% endcall %}")
    readme.write_text("Head\n<!-- found -->\nold\n<!-- /found -->\nrest\n")
    words = [f"results={results}", f"template={template(tmp_path)}", f"out={out}", f"readme={readme}"]
    assert answer.main(words) == 2
    assert 'analysis.answer: sentence "of the GRU" cannot stand' in capsys.readouterr().err
    assert not out.exists()
    assert "old" in readme.read_text()
    archived(tmp_path / "better", WORSE)
    words[0] = f"results={tmp_path / 'better' / 'results'}"
    assert answer.main(words) == 0
    assert "A GRU has 9 times" in out.read_text()
    assert readme.read_text() == "Head\n<!-- found -->\nIt is.\n<!-- /found -->\nrest\n"


def test_of_alternatives_the_one_that_fits_is_printed(tmp_path):
    place = template(tmp_path, TEMPLATE + ALTERNATIVE)
    assert "9 times" in render(place, archived(tmp_path, WORSE)).text
    assert "is undecided." in render(place, archived(tmp_path / "alike", ALIKE)).text
    assert "is undecided." in render(place, tmp_path / "nothing").text  # not run
    assert "to be reproduced, and it is refuted; or " in error(place, archived(tmp_path / "better", BETTER))


def test_two_alternatives_that_fit_are_one_too_many(tmp_path):
    place = template(tmp_path, TEMPLATE + TEMPLATE)
    assert error(place, archived(tmp_path, WORSE)) == 'sentence "of the GRU" has two alternatives that both fit'


def test_a_sentence_on_stale_runs_is_named_and_findings_say_it(tmp_path, monkeypatch):
    results = archived(tmp_path, WORSE)
    monkeypatch.setattr(code_versions, "TRAINER", code_versions.TRAINER + 1)
    said = error(template(tmp_path), results)
    assert said.startswith('sentence "of the GRU" rests on mine: left out: 16 stale (another version of trainer')
    place = template(tmp_path, SECTION, "findings.md")
    (place.parent / "study.md").write_text((TEMPLATES / "study.md").read_text())
    text = findings.findings(place, results).text
    assert "**Stale**: left out: 16 stale (another version of trainer made the numbers" in text
    assert "gru vs lstm, adding | **not run** |" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Prose.\n", "'Prose.' is in no sentence, so that nothing holds it true"),
        ("{% call sentence('a') %}A.{% endcall %}", 'sentence "a" rests on nothing'),
        ("{{ nothing }}", "answer.md: 'nothing' is undefined"),
        ("\n{% call %}", "answer.md, line 2: "),
        ("{{ claim('mine', 'A GRU has a lower loss.') }}", "mine has no claim 'A GRU has a lower loss.'; did you mean"),
        (
            "{{ claim('mine', 'A GRU has a higher loss.').of('gur') }}",
            "has no comparison of gur; there is gru, adding",
        ),
        ("{{ number('mine', 'adding', 'lstn', 'score') }}", "mine has no lstn on adding; did you mean lstm on adding"),
        ("{{ number('mine', 'adding', 'lstm', 'scor') }}", "mine: lstm on adding has no scor for every seed"),
        ("{{ picture('mine', 'score') }}", "picture of mine: there is no figure score; did you mean scores"),
        ("{{ picture('mine', 'memory') }}", "picture of mine: its runs have nothing that memory could draw"),
        ("{{ picture('yours', 'scores') }}", "picture of yours: it is not archived"),
        ("{{ picture('mine') }}", "missing 1 required positional argument: 'figure'"),
        ("{% include 'more.md' %}", "more.md: there is no such template"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told_in_one_line(text, said, tmp_path):
    assert said in error(template(tmp_path, text), archived(tmp_path, WORSE), held=True)


def test_a_condition_on_numbers_chooses_a_sentence(tmp_path):
    number = "{% set loss = number('mine', 'adding', 'gru', 'score') %}\n"
    more = "{% call sentence('a', loss, loss.value > 0.5) %}More than a half, {{ loss }}.{% endcall %}\n"
    less = "{% call sentence('a', loss, loss.value <= 0.5) %}Less.{% endcall %}\n"
    results = archived(tmp_path, WORSE)
    assert "More than a half, 0.9" in render(template(tmp_path, number + more + less), results, held=True).text
    assert "a condition on its numbers, which is false" in error(template(tmp_path, number + less), results)


def test_words_are_those_of_the_sentences():
    text = "# Two words\n> three more words\n\nFour words *stand here*.[^1]\n![a picture](a.png)\n[^1]: a long note\n"
    assert words(text) == 2 + 3 + 4


def test_an_answer_has_no_more_words_than_one_reads(tmp_path):
    text = "{% call sentence('a', definition('cell.py')) %}" + "word " * 601 + "{% endcall %}"
    with pytest.raises(CommandError, match=r"the page has 601 words, 600 at most"):
        answer.answer(template(tmp_path, text), tmp_path)


@pytest.mark.parametrize("command", [findings.main, answer.main])
def test_a_folder_that_is_not_there_is_told_and_nothing_is_written(command, tmp_path, capsys):
    assert command([f"results={tmp_path / 'no'}", f"out={tmp_path / 'page.md'}"]) == 2
    assert "no: there is no such folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_readme_without_the_marks_is_refused(tmp_path):
    assert between("a\n<!-- m -->\nb\n<!-- /m -->\nc", "m", "new\n", Path("R")) == "a\n<!-- m -->\nnew\n<!-- /m -->\nc"
    with pytest.raises(CommandError, match=r"README\.md lacks <!-- found -->"):
        between("text", "found", "new", Path("README.md"))


@pytest.mark.slow
def test_findings_are_the_same_bytes_twice_and_every_archived_study_is_in_them(tmp_path):
    results = archived(tmp_path, [*ALIKE[:4], *WORSE[4:]])
    place = template(tmp_path, SECTION + SECTION.replace("mine", "yours"), "findings.md")
    (place.parent / "study.md").write_text((TEMPLATES / "study.md").read_text())
    made = []
    for folder in ("first", "second"):
        opened.cache_clear()
        assert (
            findings.main([f"results={results}", f"template={place}", f"out={tmp_path / folder / 'findings.md'}"]) == 0
        )
        files = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
        made.append({str(path.relative_to(tmp_path / folder)): path.read_bytes() for path in files})
    assert made[0] == made[1]
    assert set(made[0]) == {"findings.md", "findings/mine-scores.png"}
    text = made[0]["findings.md"].decode()
    assert "| A GRU has a higher loss. | gru vs lstm, adding | **undecided** |" in text
    assert re.search(
        r"- gru vs lstm, adding, undecided\. To decide it: about \d+ seeds, by the spread of these 8", text
    )
    assert "Not archived yet: this study has no results here." in text
    archived(tmp_path, WORSE, "another")
    with pytest.raises(CommandError, match=r"results/another is in no section of .*findings\.md: add one"):
        findings.findings(place, results)


def test_no_number_is_typed_into_a_template():
    pages = jinja2.Environment()
    for path in sorted(TEMPLATES.glob("*.md")):
        data = "".join(value for _, kind, value in pages.lex(path.read_text()) if kind == "data")
        typed = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)", re.sub(r"\(.*?\)", "", data)))
        assert typed <= {"0", "1", "95"}, f"{path.name}: {sorted(typed)}"  # what a gate may be, and the interval


@pytest.mark.parametrize("name", ["findings", "answer"])
def test_the_pages_of_this_project_are_those_of_its_archives(name):
    make = {"findings": findings.findings, "answer": answer.answer}[name]
    made = make(TEMPLATES / f"{name}.md", RESULTS)
    assert (ROOT / "docs" / f"{name}.md").read_text() == made.text, f"run make {name}"
    image = pytest.importorskip("PIL.Image")
    for path, picture in made.pictures.chosen.items():
        with image.open(ROOT / "docs" / path) as drawn:
            said = drawn.info["Description"]
        assert said == f"numbers {picture.digest}", f"docs/{path} shows other numbers: run make {name}"
    shown = {path.name for path in (ROOT / "docs" / name).glob("*.png")}
    assert shown == {Path(path).name for path in made.pictures.chosen}


def test_the_head_of_the_readme_is_what_the_archives_say():
    path = ROOT / "README.md"
    assert answer.readme(path, TEMPLATES / "answer.md", RESULTS) == path.read_text(), "run make answer"


class Decided(Judged):
    """A claim of which every comparison is one."""

    def of(self, arm: str, task: str = "") -> "Decided":
        return self


class Finished(Study):
    """A study in which every claim has the verdict of `words`, reproduced unless it says another."""

    words: ClassVar[dict[str, str]] = {}
    archived = True
    stale = ""
    claims: ClassVar[list[Judged]] = []

    def claim(self, sentence: str) -> Judged:
        claim = Claim(sentence=sentence, source="", expect="higher", baseline="lstm", arms=["gru"])
        known = verdict(sentence=sentence, verdict=self.words.get(sentence, "reproduced"))
        return Decided(self.name, sentence, ((Comparison(claim, "adding", "gru"), known),), ("",))

    def number(self, task: str, arm: str, column: str) -> Number:
        return Number(self.name, column, 0.5, 0.4, 0.6, 12)


def claims() -> list[tuple[str, str]]:
    """(study, sentence) of every claim that the answer rests on."""
    return re.findall(r'claim\("(\w+)", "([^"]+)"\)', (TEMPLATES / "claims.md").read_text())


def claimed() -> list[str]:
    return [sentence for _, sentence in claims()]


def test_the_studies_claim_what_the_answer_rests_on():
    for name, sentence in claims():
        path = ROOT / "conf" / "experiment" / f"{name}.yaml"
        known = yaml.safe_load(path.read_text())["protocol"]["claims"] if path.exists() else []
        assert sentence in [claim["sentence"] for claim in known] or not path.exists(), name


def test_every_study_of_this_project_has_a_section_in_the_findings():
    shown = set(re.findall(r'section\("(\w+)"', (TEMPLATES / "findings.md").read_text()))
    files = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    assert {name for name, said in files.items() if "protocol" in said} - shown == set()


def test_a_picture_shows_arms_at_the_shared_point_by_their_names(tmp_path):
    study = Study("mine", gather(Request([str(archived(tmp_path, WORSE) / "mine")])))
    cells = [cell.model_copy(update={"arm": f"the {cell.arm}"}) for cell in study.frozen.cells]
    runs = by_arm(study.runs, study.frozen.model_copy(update={"cells": cells}))
    assert dict(zip(runs["variant"], runs["name"], strict=True)) == {"lstm": "the lstm", "gru": "the gru"}
    assert len(by_arm(study.runs, study.frozen.model_copy(update={"cells": cells[:1]}))) == 8


@pytest.mark.parametrize("word", ["reproduced", "refuted", "undecided", "not run"])
def test_the_answer_has_words_for_a_verdict_or_names_the_sentence_that_falls_with_it(word, monkeypatch):
    monkeypatch.setattr(page, "opened", lambda folder: Finished(folder.name))
    monkeypatch.setattr(Pictures, "add", lambda *args: "![a picture](a.png)")
    monkeypatch.setattr(Finished, "words", dict.fromkeys(claimed(), "undecided"))
    answer.answer(TEMPLATES / "answer.md", RESULTS)
    assert len(claimed()) > 10
    for sentence in claimed():
        monkeypatch.setattr(Finished, "words", {sentence: word})
        for name, findings_page in (("answer.md", "findings.md"), ("found.md", "")):
            text = outcome(TEMPLATES / name, findings_page)
            if word == "refuted" and text.startswith('sentence "'):
                assert " cannot stand: it needs " in text
            elif name == "found.md":
                assert len(text.splitlines()) == 3
            else:
                assert 100 < words(text) <= answer.WORDS


def outcome(place: Path, findings_page: str) -> str:
    """The page, or why there is none."""
    try:
        return render(place, RESULTS, held=True, findings=findings_page).text
    except CommandError as error:
        return str(error)
