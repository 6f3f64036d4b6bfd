"""Everything the command line does, as functions for a notebook."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from analysis.records import code_versions
from analysis.records.inside import Inside
from analysis.records.read import UnreadableError, read_curves
from experiments import tasks
from experiments.config.catalogue import completed
from experiments.config.compose import Composer, compose
from experiments.config.extensions_option import rewritten, use_extensions
from experiments.config.job import Job, NotApplicableError, distinct, split_of
from experiments.config.python_values import axis, words
from experiments.config.schema import LARGEST_SWEEP, ConfigError, Train, refuse
from experiments.inspection import files
from experiments.inspection.subject import OneModel
from experiments.store.files import read_tensors
from experiments.store.lookup import find, place, read
from experiments.store.versions_and_sources import source_files
from experiments.store.what_is_left import refuse_stale
from experiments.sweep.run_all import run_all
from experiments.sweep.run_stack import Run
from experiments.tasks import file_contents
from experiments.tasks.base import Task, TaskError
from experiments.training import evaluation, torch_defaults
from lstm_variants import CellSpec, GatedRNN, SpecError, State
from lstm_variants.extensions.user_folders import Folders
from lstm_variants.spec import flatten

IN_MEMORY = "study=null"


@dataclass
class LoadedRun:
    """A trained run read back.

    Attributes:
        layer: the trained recurrent layer.
        readout: (weight (O, H), bias (O,)).
        task: the task it was trained on.
        config: its resolved configuration.
        record: the whole run record.
        carried: what its streams had carried when training ended, fields (1, L, B, H), if its task carries a state.
    """

    layer: GatedRNN
    readout: tuple[torch.Tensor, torch.Tensor]
    task: Task
    config: dict[str, Any]
    record: dict[str, Any]
    carried: State | None = None

    @torch_defaults.defaults()
    def evaluate(self) -> dict[str, float]:
        """The metrics of the run's own last evaluation, on its own evaluation set: ``{"eval/loss": ...}``.

        They are the record's, ``record["results"]["final"]``, exactly; inside ``run.layer.clamp(...)`` they are those
        of the clamped net. (On another kind of processor than the run's the last digits may differ.)

        Raises:
            ConfigError: if the run began its evaluation with a carried state, which an earlier version did not keep.
        """
        if self.task.carry and self.carried is None and self.config["train"]["steps"]:
            raise ConfigError(
                f"{self.record['run_id']}: an earlier version made it, which did not keep the state that its streams "
                "carried; made again it can be evaluated"
            )
        train, phase = Train(**self.config["train"]), self.record["phase"]
        network = OneModel(self.layer, self.readout)
        seed = self.config["seed"]
        return evaluation.everything(network, self.task, train, seed, split_of(phase), self.carried)

    def inspect(self, sequences: int = files.SEQUENCES) -> Inside:
        """What the net does and what is lost when it is touched (docs/inside.md), measured now.

        Args:
            sequences: how many of its evaluation sequences are looked at.

        Returns:
            ``.numbers`` by name, and as frames ``.traces()``, ``.events()``, ``.units()``, ``.lags()``.

        Raises:
            ConfigError: if a gate is clamped, since surgery is part of what is measured.
        """
        if type(sequences) is not int or sequences < 1:
            raise refuse("sequences", sequences, "a whole number, 1 or more, is needed")
        if self.layer.is_tapped:
            raise ConfigError(
                "inspect: a gate of the layer is clamped; surgery on the net as it is, is part of inspect"
            )
        phase = self.record["phase"]
        trained = files.Trained(self.layer, self.readout, self.task, self.config, phase, self.carried)
        return files.inspected(trained, sequences)


def overrides(*settings: Mapping[str, Any]) -> list[str]:
    """Keyword settings as command-line strings: ``train={"steps": 5}`` and ``{"train.steps": 5}`` are the same.

    Raises:
        ConfigError: for what is given twice, and for a value that cannot arrive as it is.
    """
    return words(itertools.chain.from_iterable(part.items() for part in settings))


def _composer(settings: Mapping[str, Any]) -> Composer:
    """What composes the jobs; the extensions that the settings name are known from here on."""
    use_extensions(settings.get("extensions"))
    return Composer(compose)


def _words(*settings: Mapping[str, Any]) -> list[str]:
    """The words of a run, in memory unless a study is given."""
    listed = rewritten(overrides(*settings))
    for word in listed:
        if word.startswith("experiment=") and compose([word]).hydra.sweeper.params:
            raise ConfigError(f"{word}: is a sweep of the command line; give its axes to sweep()")
    return listed if any("study" in part for part in settings) else [*listed, IN_MEMORY]


def run(**settings: Any) -> Run:
    """Train one run, in memory unless ``study=FOLDER`` is given.

    Args:
        settings: any key of the command line: ``variant="gru"``, ``task="adding"``, ``seed=3``,
            ``train={"steps": 200}``, ``**{"variant.forget.feeds": "xb"}``. A text arrives as it stands, whatever its
            characters; numpy's, pandas' and torch's numbers and lists count as plain ones.

    Returns:
        The run: ``.score``, ``.metrics`` (a DataFrame), ``.record``.

    Raises:
        ConfigError, SpecError, TaskError: naming the key, the value received and what is legal; also for a run that
            an earlier command made and that is stale (docs/record.md).
    """
    job = _composer(settings).job(_words(settings))
    refuse_stale([job])
    ended = run_all([job], workers=1, show=False)
    return ended[0] if ended else _finished(job)


def _finished(job: Job) -> Run:
    """A run that an earlier command made."""
    record, folder = find(job), place(job)
    assert record is not None
    assert folder is not None
    try:
        curves = read_curves(folder, record["status"])
    except UnreadableError as reason:
        raise ConfigError(f"{folder}: {reason}; move it away to run this again") from None
    rows = [dict(zip(("step", *curves.metrics), row, strict=True)) for row in curves.table.tolist()]
    return Run(record, [{**row, "step": int(row["step"])} for row in rows])


def sweep(axes: Mapping[str, Any], workers: int | None = 1, **settings: Any) -> pd.DataFrame:
    """Train every combination of the axes, in memory unless ``study=FOLDER`` is given; one row a run.

    Args:
        axes: ``{"variant": ["lstm", "gru"], "train.lr": [1e-3, 1e-2], "seed": range(3)}``. An axis is anything with
            one dimension that can be iterated over; a text or a mapping is one value; sets are sorted.
        workers: processes; 1 runs here, in stacks; None takes one per core.
        settings: what all runs share.

    Returns:
        A frame with a column per axis, then score, solved, steps_to_solve, status, parameters and run_id.
        Combinations that make no sense are left out.

    Raises:
        ConfigError, SpecError, TaskError: as :func:`run`, before anything is trained; also if nothing is to run.
    """
    if workers is not None and (type(workers) is not int or workers < 1):
        raise refuse("workers", workers, "a whole number, 1 or more, or None is needed")
    points = _points(axes)
    composer, jobs, reason = _composer(settings), [], None
    for point in points:
        try:
            jobs.append((point, composer.job(_words(settings, point))))
        except NotApplicableError as why:
            reason = why
    if not jobs:
        raise NotApplicableError(f"nothing to run: none of the {len(points)} combinations makes sense: {reason}")
    distinct([job for _, job in jobs])
    refuse_stale([job for _, job in jobs])
    by_id = {r.record["run_id"]: r for r in run_all([job for _, job in jobs], workers, show=False)}
    return pd.DataFrame([_row(point, by_id.get(job.run_id) or _finished(job)) for point, job in jobs])


def _points(axes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the values of the axes."""
    if "extensions" in axes:
        raise refuse("extensions", axes["extensions"], "is no axis; all runs of a sweep share it")
    columns = {key: axis(key, values) for key, values in axes.items()}
    if (count := math.prod(map(len, columns.values()))) > LARGEST_SWEEP:
        raise ConfigError(f"{count} runs in a sweep: {LARGEST_SWEEP} at most; parts of it can share a study")
    return [dict(zip(columns, point, strict=True)) for point in itertools.product(*columns.values())]


def _row(point: Mapping[str, Any], ended: Run) -> dict[str, Any]:
    results = ended.record["results"]
    return {
        **point,
        "score": ended.score,
        "solved": results.get("solved"),
        "steps_to_solve": results.get("steps_to_solve"),
        "status": ended.status,
        "parameters": ended.record["parameters"]["layer"],
        "run_id": ended.record["run_id"],
    }


@torch_defaults.defaults()
def load_run(folder: str | Path, extensions: Folders | None = None) -> LoadedRun:
    """A run's trained layer, task and configuration, from its directory.

    Args:
        folder: the run's.
        extensions: where the folders of your own are that it needs, if no longer where its record says.

    Raises:
        ConfigError: if there is no finished run with weights, if it is stale, if they do not fit each other, or
            if the data that it was trained on have been replaced.
    """
    folder = Path(folder)
    record, weights = read(folder / "run.json"), read_tensors(folder / "weights.pt")
    if extensions is None:
        _refuse_stale(folder, code_versions.outdated_of(flatten(record)))
    gone = _use_recorded(record, extensions)
    try:
        resolved = completed(record["config"]["resolved"])
        settings = {key: value for key, value in resolved["task"].items() if key != "name"}
        task = tasks.load_task(resolved["task"]["name"], settings)
        data = record["task"].get("content", {})
        if file_contents(task.files) != data and data:
            raise ValueError(f"the files of task.{', task.'.join(data)} have been replaced since")
        spec = CellSpec.from_config(resolved["variant"])
        readout = weights["readout_weight"], weights["readout_bias"]
        sizes = (task.output_size, record["parameters"]["hidden_size"], resolved["model"]["layers"])
        numbers = {name.split(".")[2] for name in weights if name.startswith("layer.layers.")}
        if sizes != (*readout[0].shape, len(numbers)):  # before anything of that size is made
            raise ValueError("output size, hidden size and layers are others in the weights")
        engine = "reference" if record["environment"].get("engine") == "reference" else "auto"
        layer = GatedRNN(spec, task.input_size, *sizes[1:], engine=engine)
        layer.load_state_dict({k.removeprefix("layer."): v for k, v in weights.items() if k.startswith("layer.")})
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        if gone and isinstance(error, SpecError | TaskError):
            hint = f"{', '.join(gone)} is no longer there; load_run(folder, extensions=DIR) says where it is now"
            raise ConfigError(f"{folder}: {error}; made with extensions of which {hint}") from None
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{folder}: record and weights do not fit ({reason})") from None
    if extensions is not None:  # the files are not those that the record names
        inits = (resolved["init"]["rule"], resolved["init"]["recurrent"])
        name = resolved["task"]["name"]
        now = code_versions.today(spec.cell, name, settings, source_files(spec, inits, name))
        _refuse_stale(folder, code_versions.outdated(record["semantics"], now))
    return LoadedRun(layer, readout, task, resolved, record, evaluation.carried(weights))


def _refuse_stale(folder: Path, parts: Sequence[str]) -> None:
    if parts:
        raise ConfigError(
            f"{folder}: stale, another version of {' and '.join(parts)} made it; retry=stale makes it again"
        )


def _use_recorded(record: Mapping[str, Any], given: Folders | None) -> list[str]:
    """Make the user's folders known that a run was made with; those that are no longer there."""
    recorded = record["config"].get("extensions") if isinstance(record.get("config"), Mapping) else None
    recorded = [str(folder) for folder in recorded] if isinstance(recorded, list) else []
    there = [folder for folder in recorded if Path(folder).is_dir()]
    use_extensions(given if given is not None else there or None)
    return [] if given is not None else [folder for folder in recorded if folder not in there]
