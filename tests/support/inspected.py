"""Nets to look inside: every variant on short sequences, nothing at zero, float64."""

from typing import Any

import torch
from family import fill
from task_list import defaults, generator

from experiments.inspection.subject import Subject, subject
from experiments.tasks import load_task
from experiments.tasks.base import Task
from lstm_variants import CellSpec, GatedRNN, load
from lstm_variants.cell import state_type

H, SEQUENCES = 3, 6


def task_of(name: str, **changes: Any) -> Task:
    return load_task(name, {**defaults(name), **changes})


def filled(spec: CellSpec, task: Task, layers: int = 1, hidden: int = H, seed: int = 0, scale: float = 0.6) -> GatedRNN:
    layer = GatedRNN(spec, task.input_size, hidden, layers, engine="reference", dtype=torch.float64)
    fill(layer, seed, scale)
    return layer


def looked_at(variant: str | CellSpec = "lstm", task: Task | None = None, layers: int = 1, **options: Any) -> Subject:
    """A variant with random weights on a task's evaluation set; a carried state is random too."""
    task = task or task_of("adding", length=9)
    layer = filled(load(variant) if isinstance(variant, str) else variant, task, layers, **options)
    rng = torch.Generator().manual_seed(1)
    readout = (
        torch.randn(task.output_size, layer.hidden_size, generator=rng, dtype=torch.float64),
        torch.randn(task.output_size, generator=rng, dtype=torch.float64),
    )
    batches = task.evaluation_batches(generator(), SEQUENCES, 2 * SEQUENCES, task.length, "test")
    carried = None
    if task.carry:
        fields = {
            name: torch.rand(1, layers, SEQUENCES, layer.hidden_size, generator=rng, dtype=torch.float64)
            for name in ("h", "c", *layer.cell.state_fields)
        }
        carried = state_type(layer.cell.state_fields)(**fields)
    return subject(layer, readout, task, batches, carried=carried, untrained=layer)
