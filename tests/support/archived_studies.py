"""Small archived studies whose scores a test has planted, and a template that rests on them."""

from pathlib import Path
from typing import Any

from planted_studies import SMALL, made
from records import write_frozen

from analysis.publishing.studies import opened
from experiments.archive import main

CLAIM = "A GRU has a higher loss."
WORSE, ALIKE, BETTER = ([factor * value for value in SMALL[:8]] for factor in (0.9, 0.1, 0.01))
TEMPLATE = """\
{% set gru = claim("mine", "A GRU has a higher loss.") %}
# Title

{% call sentence("of the GRU", gru.reproduced) %}
A GRU has {{ gru.size }} times the loss.
{% endcall %}

{{ footnotes() }}
"""


def archived(tmp_path: Path, gru: list[float], name: str = "mine", **claim: Any) -> Path:
    """Archive a study in which a GRU has these losses and an LSTM ALIKE; returns the folder of archives."""
    study, results = tmp_path / "outputs" / name, tmp_path / "results"
    _, frozen = made(study, {"lstm": ALIKE, "gru": gru}, sentence=CLAIM, metric="score", **claim)
    write_frozen(study, {**frozen, "experiment": name})
    assert main([f"study={study}", f"out={results / name}"]) == 0
    opened.cache_clear()
    return results


def template(tmp_path: Path, text: str = TEMPLATE, name: str = "answer.md") -> Path:
    path = tmp_path / "templates" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path
