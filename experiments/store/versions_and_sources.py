"""Which versions of the code a run rests on, and which files of the user's own."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.records.code_versions import Version, today
from experiments.config.job import Job
from lstm_variants import CellSpec
from lstm_variants.extensions import user_folders


def semantics(job: Job) -> dict[str, Version]:
    """The versions of cell, task and trainer: a change of one alters results."""
    return today(job.variant.spec.cell, job.task_name, job.resolved["task"], sources(job))


def sources(job: Job) -> dict[str, str]:
    """The user's own files that a run rests on, see :func:`source_files`."""
    return source_files(job.variant.spec, (job.init.rule, job.init.recurrent), job.task_name)


def source_files(spec: CellSpec, inits: Sequence[str], task: str) -> dict[str, str]:
    """The user's own files, one a line, of a task, and of a cell with its activations and its initialisation."""
    used = {spec.squash, *(spec[slot].activation for slot in spec.learned)}
    cell = [("cells", spec.cell), *(("activations", name) for name in sorted(used))]
    cell += [("inits", name) for name in dict.fromkeys(inits)]
    files = {"cell": cell, "task": [("tasks", task)]}
    found = {
        part: [str(path) for what in named for path in user_folders.sources(*what)] for part, named in files.items()
    }
    return {part: "\n".join(paths) for part, paths in found.items() if paths}
