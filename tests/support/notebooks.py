"""Notebooks run from their first cell to their last; `python tests/support/notebooks.py docs/tour.ipynb` writes one."""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def executed(path: Path, folder: Path) -> NotebookNode:
    """A notebook as its cells make it, without what they showed before; it runs in a folder."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(folder)}}, record_timing=False)
    client.execute(env={**os.environ, "IPYTHONDIR": str(folder / ".ipython")})
    notebook.metadata.pop("language_info", None)  # the version of Python that happened to run it
    return notebook


def shown(cell: NotebookNode) -> list[tuple[str, str]]:
    """(kind, text) of what a cell shows; of a picture, that there is one."""
    found = []
    for output in cell.get("outputs", []):
        data = {"text/plain": output["text"]} if output.output_type == "stream" else output.get("data", {})
        kind = "image/png" if "image/png" in data else "text/plain"
        found.append((kind, "" if kind == "image/png" else data[kind]))
    return found


def main() -> int:
    """Execute the notebooks that are named and write them anew."""
    for path in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "docs").mkdir()
            nbformat.write(executed(path, Path(folder) / "docs"), path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
