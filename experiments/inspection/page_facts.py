"""What a page that runs a net needs to know beside its weights: how its task writes steps, and its equations."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from experiments.tasks.base import Task
from lstm_variants import CellSpec, make_cell


def about(task: Task) -> str:
    """What a task asks for, in a sentence: the first line of its module, without its name; "" if there is none."""
    first = (inspect.getdoc(sys.modules[type(task).__module__]) or "").partition("\n")[0]
    return first.partition(": ")[2] or first


def page_facts(task: Task, spec: CellSpec) -> dict[str, Any]:
    """Plain values: the task's loss, alphabets, input names and size; the cell's equations in order of computation."""
    equations = make_cell(spec).equations()
    return {
        "about": about(task),
        "loss": task.loss_kind,
        "alphabet": task.alphabet,
        "target_alphabet": task.target_alphabet,
        "input_names": list(task.input_names),
        "input_size": task.input_size,
        "equations": [{"symbol": line.symbol, "text": line.text, "remark": line.remark} for line in equations],
    }
