"""The archived studies -> docs/findings.md, with a picture of each.

python -m analysis.findings results=results
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.common.command_line import about, command
from analysis.publishing.page import Page, folder_of_archives, refuse_left_out, render


@dataclass
class Options:
    """Write docs/findings.md and its pictures from the archived studies: every number and verdict comes from there."""

    results: str = field(default="results", metadata=about("the folder of archives, one a study", example="results"))
    template: str = field(default="docs/templates/findings.md", metadata=about("the template of the page"))
    out: str = field(default="docs/findings.md", metadata=about("the page; its pictures stand in a folder beside it"))


def findings(template: Path, results: Path) -> Page:
    """The page; CommandError if an archived study has no section in the template."""
    page = render(template, results)
    refuse_left_out(page, results, template)
    return page


def write(options: Options) -> None:
    findings(Path(options.template), folder_of_archives(options.results)).write(Path(options.out))
    print(options.out)


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m analysis.findings", Options, write, argv)


if __name__ == "__main__":
    sys.exit(main())
