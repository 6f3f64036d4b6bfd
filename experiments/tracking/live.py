"""The wandb mirror of a run record: offline unless asked otherwise, never in the way of a run.

Every run, stacked ones too, is one live wandb run below ``<study>/wandb``. Its config is the resolved configuration,
with ``gates`` (booleans that panels can split on), ``parameters`` and ``record`` (the rest of run.json); its history is
metrics.csv and, of what was found inside its net, a row of pictures; its summary has the final numbers. So the record
can be had back from wandb (analysis/records/wandb_source.py).

A server that cannot be reached, dies or answers errors costs one warning a sweep; what follows is written offline, and
``wandb sync --include-online <study>/wandb`` sends whatever has not arrived: a run that has is marked as ``wandb sync``
marks it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.config.job import Job
from experiments.config.schema import wandb_mode
from experiments.tracking import config_and_summary, failures, pictures, wandb_runs


@contextlib.contextmanager
def sweep() -> Iterator[None]:
    """While the runs of one sweep, in whatever processes, are mirrored: a server that fails is warned of once."""
    with failures.told_once():
        try:
            yield
        finally:
            wandb_runs.wait()


class Mirror:
    """One wandb run beside one record, whose listener it is. Whatever goes wrong with wandb, the record is whole."""

    def __init__(self, job: Job) -> None:
        self.run: Any = None
        self.study, self.options = job.study, job.record.wandb
        self.columns = list[str]()

    def started(self, content: Mapping[str, Any]) -> None:
        """Open the wandb run, unless the mirror is disabled."""
        mode = wandb_mode(self.options.mode)
        if mode == "disabled" or self.study is None:
            return
        try:
            described = config_and_summary.described(content, self.study)
        except PermissionError as error:  # a colleague's token; what cannot be written is told of by the record
            failures.tell_nothing_made(error, self.study)
        else:
            self.run = wandb_runs.opened(described, self.study, mode, self.options.entity)

    def row(self, row: Mapping[str, Any]) -> None:
        """One evaluation."""
        self.columns = self.columns or list(row)
        if self.run is not None:
            with contextlib.suppress(Exception):
                self.run.log({key: value for key, value in row.items() if value is not None})

    def ended(self, content: Mapping[str, Any]) -> None:
        """Final numbers to the summary, then close."""
        if self.run is not None and self.study is not None:
            folder = self.study / content["run_id"]
            mark = config_and_summary.fingerprint(folder)
            ok = content["status"] in ("finished", "diverged")
            wandb_runs.add_pictures(self.run, content["results"].get("steps", 0), pictures.of_run(folder))
            summary = config_and_summary.final_numbers(content, self.columns) | config_and_summary.inside_numbers(
                folder, content
            )
            wandb_runs.closed(self.run, self.study, summary, mark, 0 if ok else 1)
