"""The page itself: template, look, scripts and data in one file that needs no other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from analysis import figures
from analysis.explorer.nets import nets
from analysis.records.load import Records

FILE = "explorer.html"  # what it is called in a report
MOST_BYTES = 2_000_000  # of a page
SPARE = 50_000  # bytes for the names of what is left out
HERE = Path(__file__).parent
SCRIPTS = (
    *("cell", "network", "tasks", "surgery", "equations", "drawing", "tour"),
    *("state", "choosing", "editing", "controls", "pictures", "page"),
)


def page(records: Records) -> tuple[str | None, dict[str, str]]:
    """The page of every net that can be shown, None if none can; and run -> why it is not on it."""
    empty = rendered({})
    content, left_out = nets(records, MOST_BYTES - len(empty.encode()) - SPARE)
    if not content["nets"]:
        return None, left_out
    names = sorted({str(name) for name in records.runs["study"]})
    return rendered({**content, "study": ", ".join(names), "left_out": left_out}), left_out


def rendered(content: Mapping[str, Any]) -> str:
    """The page with this content."""
    source = jinja2.FileSystemLoader(HERE, encoding="utf-8")
    template = jinja2.Environment(loader=source, autoescape=True, trim_blocks=True).get_template("explorer.html")
    maps = {"gate": figures.GATE_SHADES, "signed": figures.SIGNED_SHADES, "share": "Greys"}
    colours = {name: figures.shades(shades) for name, shades in maps.items()}
    data = json.dumps({"colours": colours, **content}, ensure_ascii=True).replace("<", "\\u003c")
    return template.render(
        study=content.get("study", ""),
        style=(HERE / "explorer.css").read_text(encoding="utf-8"),
        scripts=scripts(*SCRIPTS),
        data=data,
    )


def scripts(*names: str) -> list[str]:
    """The text of some of the scripts."""
    return [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in names]
