"""A run's ``inside.json`` and ``inside.npz`` (docs/inside.md): made from its weights, written whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from analysis.records.inside import JSON, NPZ, SCHEMA, WHO, Inside, described, digest, finite, packed
from experiments.config.job import split_of
from experiments.config.resolve import initial_values
from experiments.config.schema import Train
from experiments.inspection.all_measures import measure
from experiments.inspection.page_facts import page_facts
from experiments.inspection.subject import Subject, subject
from experiments.store.files import atomic, storing, write_json
from experiments.tasks.base import Task
from experiments.training import evaluation, torch_defaults
from experiments.training.streams import generator
from lstm_variants import CellSpec, GatedRNN, State, make_cell

VERSION = 3  # raised when a measure changes: what was found before is found anew
SEQUENCES = 64
Readout = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Trained:
    """A trained net and how it came to be.

    Attributes:
        layer, readout: the net.
        task: its task.
        resolved: the run's configuration.
        phase: tune, confirm or None: it says which split is evaluated.
        carried: the state of the streams when training ended.
    """

    layer: GatedRNN
    readout: Readout
    task: Task
    resolved: Mapping[str, Any]
    phase: str | None
    carried: State | None

    @classmethod
    def from_weights(
        cls, weights: Mapping[str, Tensor], task: Task, resolved: Mapping[str, Any], phase: str | None
    ) -> Trained:
        """The net that has a run's weights."""
        spec, readout = CellSpec.from_config(resolved["variant"]), (weights["readout_weight"], weights["readout_bias"])
        layer = GatedRNN(spec, task.input_size, readout[0].shape[1], resolved["model"]["layers"])
        layer.load_state_dict({k.removeprefix("layer."): v for k, v in weights.items() if k.startswith("layer.")})
        return cls(layer, readout, task, resolved, phase, evaluation.carried(weights))

    def untrained(self) -> GatedRNN:
        """The layer as it was before training."""
        layer, seed = self.layer, self.resolved["seed"]
        before = GatedRNN(layer.spec, layer.input_size, layer.hidden_size, layer.num_layers)
        init = initial_values(self.resolved["init"], self.task, make_cell(layer.spec), layer.hidden_size)
        before.reset_parameters(init, generator(seed, "init"))
        return before

    def subject(self, sequences: int) -> Subject:
        """The net on the first sequences of its evaluation set."""
        train, seed = Train(**self.resolved["train"]), self.resolved["seed"]
        batches = evaluation.evaluation_set(self.task, train, seed, self.task.length, split_of(self.phase))
        return subject(self.layer, self.readout, self.task, batches, sequences, self.carried, self.untrained(), seed)


@torch_defaults.defaults()
def inspected(trained: Trained, sequences: int, on_part: Callable[[str], None] = lambda part: None) -> Inside:
    """Look inside a net; what the caller has set in torch changes nothing."""
    found = measure(trained.subject(sequences), on_part)
    found.net = page_facts(trained.task, trained.layer.spec)
    if trained.task.carry and trained.carried is None:
        found.lacks.append("the carried state: an earlier version did not keep it, streams begin with the initial one")
    return found


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """16 hex digits that change with any weight."""
    hasher = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        hasher.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + tensor.contiguous().numpy().tobytes())
    return hasher.hexdigest()[:16]


def write(
    folder: Path, record: Mapping[str, Any], weights: Mapping[str, Tensor], found: Inside, sequences: int
) -> None:
    """Both files, the one that says that they are whole last."""
    kept = {f"weights/{name}": tensor.numpy() for name, tensor in weights.items()}
    arrays = packed(found.arrays | kept)
    content = {
        "schema": SCHEMA,
        **{key: record[key] for key in WHO},
        "weights": weights_digest(weights),
        "version": VERSION,
        "sequences": sequences,
        "arrays": digest(arrays),
        "lacks": found.lacks,
        "findings": found.findings,
        "net": found.net,
        "numbers": {name: None if value is None else finite(value) for name, value in found.numbers.items()},
    }
    with storing(folder.parent):
        with atomic(folder / NPZ) as file:
            file.write(arrays)
        write_json(folder / JSON, content)


def is_there(folder: Path, record: Mapping[str, Any], weights: Mapping[str, Tensor], sequences: int) -> bool:
    """Whether both files are there, whole, and of these weights and as many sequences."""
    content = described(folder, record)
    wanted = {"weights": weights_digest(weights), "version": VERSION, "sequences": sequences}
    if content is None or any(content.get(key) != value for key, value in wanted.items()):
        return False
    try:
        return digest((folder / NPZ).read_bytes()) == content.get("arrays")
    except OSError:
        return False


def forget(folder: Path) -> None:
    """Remove what was found in an earlier run of this directory."""
    for name in (JSON, NPZ):
        (folder / name).unlink(missing_ok=True)


__all__ = ["SEQUENCES", "Trained", "forget", "inspected", "is_there", "write"]
