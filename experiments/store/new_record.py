"""What run.json says of a run before it has begun."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from analysis.records import schema
from experiments.config.extensions_option import used_extensions
from experiments.config.identity import folder_name
from experiments.config.job import Job
from experiments.config.resolve import layer_parameters
from experiments.store.versions_and_sources import semantics, sources
from lstm_variants import make_cell

CARRIED = "carried from batch to batch, its gradient cut between them"


def opening(job: Job) -> dict[str, Any]:
    """Who a run is and when it started: run.json up to what is known of its network."""
    task = job.task
    return {
        "schema": schema.VERSION,
        "run_id": job.run_id,
        "arm": job.arm,
        "study": "" if job.study is None else folder_name(job.study),
        "phase": job.phase,
        "variant": job.variant.name,
        "label": job.variant.label,
        "cite": job.variant.cite,
        "task": {
            "name": job.task_name,
            "length": task.length,
            "lengths": sorted({task.length, *task.eval_lengths}),
            "metric": task.metric,
            "direction": task.direction,
            "chance": task.chance,
            "chance_loss": task.chance_loss,
            "references": {name: reference._asdict() for name, reference in task.references.items()},
            "solved": task.solved,
            "unit": task.unit,
            "content": job.contents,
        },
        "seed": job.seed,
        "config": {"said": list(job.overrides), "resolved": job.resolved, "extensions": used_extensions()},
        "status": "running",
        "error": None,
        "results": {},
        "timing": {"started": now(), "finished": None, "seconds": None, "steps_per_second": None},
    }


def network(job: Job) -> dict[str, Any]:
    """What run.json says of a run's network and code, which can be known without training."""
    cell = make_cell(job.variant.spec)
    size = layer_parameters(cell, job.task.input_size, job.hidden_size, job.model.layers)
    readout = job.task.output_size * (job.hidden_size + 1)
    return {
        "parameters": {
            "layer": size,
            "total": size + readout,
            "hidden_size": job.hidden_size,
            "reference": job.reference_parameters,
        },
        "state": CARRIED if job.task.carry else "new for every batch",
        "notes": job.init.notes(cell),
        "sources": sources(job),
        "semantics": semantics(job),
    }


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
