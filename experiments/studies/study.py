"""A study as an experiment file and a command line say it, composed and checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from analysis.replications.published import Replication
from experiments.config import python_values, words
from experiments.config.compose import Composer, compose
from experiments.config.job import NotApplicableError
from experiments.config.schema import ConfigError, refuse
from experiments.studies.cells import StudyCell, key_of
from experiments.studies.decidable import check
from experiments.studies.effect_scale import check_scales
from experiments.studies.protocol import Protocol
from experiments.studies.protocol_checks import check_arms_differ, check_differences, check_overrides
from experiments.training.streams import generator


@dataclass(frozen=True)
class Study:
    """A composed two-phase study."""

    name: str
    scale: str
    folder: Path
    protocol: Protocol
    cells: list[StudyCell]
    skipped: list[str]  # the cells that make no sense, with the reason
    replication: Replication | None = None  # the published table that it runs again


def read(name: str, scale: str, overrides: Sequence[str]) -> Study | None:
    """The study of an experiment file, checked; None if the file is a plain sweep.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    chosen = words.readable(f"experiment={name}")
    config = compose([chosen, *overrides])
    if config.protocol is None:
        return None
    protocol, folder, settings = _scaled(config, scale, overrides)
    protocol.tasks = protocol.tasks or {str(config.hydra.runtime.choices.task): []}
    if protocol.factors or protocol.search:
        protocol.arms = _untuned_arms(protocol, config)
    check_differences(protocol)
    check_overrides(protocol, overrides)
    cells, skipped = cells_of(protocol, [chosen, *settings, *python_values.words({"study": folder}.items())], overrides)
    _check(protocol, cells)
    return Study(name, scale, Path(folder), protocol, cells, skipped)


def _scaled(config: DictConfig, scale: str, overrides: Sequence[str]) -> tuple[Protocol, str, list[str]]:
    """The protocol, the study's folder and the settings of all runs, at a scale."""
    protocol, folder, settings = _typed(config.protocol), str(config.study or ""), list[str]()
    if scale == "full":
        settings = protocol.full.get("settings", [])
        protocol = _typed(config.protocol, {key: value for key, value in protocol.full.items() if key != "settings"})
        folder += "" if any(word.startswith("study=") for word in overrides) else "_full"
    if not folder:
        raise refuse("study", config.study, "a two-phase study needs a folder")
    return protocol, folder, settings


def _untuned_arms(protocol: Protocol, config: DictConfig) -> dict[str, list[str]]:
    """The arms that factors or a random search make."""
    if protocol.arms or protocol.grid or (protocol.factors and protocol.search):
        raise ConfigError("protocol: arms (with a grid), factors and search exclude each other")
    if protocol.factors:
        return _combinations(protocol)
    for key in ("extension", "confirmation_seeds"):
        given = protocol.full.get(key, config.protocol.get(key))
        if given is not None:
            raise refuse(f"protocol.{key}", given, "a random search has search_runs in place of it")
    return _drawn(protocol)


def _check(protocol: Protocol, cells: Sequence[StudyCell]) -> None:
    """Refuse a study that cannot decide what it claims."""
    check(protocol, [(cell.task, cell.arm) for cell in cells])
    check_arms_differ(protocol, cells)
    check_scales(protocol.claims, list(protocol.tasks), lambda task: _direction(protocol, cells, task))
    if any(claim.metric == "memory" for claim in protocol.claims) and (trained := _trained(protocol, cells)):
        raise refuse("train.steps", trained, "metric=memory is measured on untrained networks: 0")


def _direction(protocol: Protocol, cells: Iterable[StudyCell], task: str) -> str:
    """Whether less ("min") or more ("max") of the score is better on a task."""
    cell = next(cell for cell in cells if cell.task == task)
    return str(cell.jobs([0], "confirm", protocol.points()[0])[0].task.direction)


def _trained(protocol: Protocol, cells: Iterable[StudyCell]) -> int:
    """The most training steps of a cell."""
    point = protocol.points()[0]
    return max(job.train.steps for cell in cells for job in cell.jobs([0], "confirm", point))


def _typed(node: DictConfig, changed: Mapping[str, Any] | None = None) -> Protocol:
    try:
        protocol = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Protocol), node, changed or {}))
    except OmegaConfBaseException as error:
        raise ConfigError(f"protocol.{str(error).splitlines()[0]}") from None
    assert isinstance(protocol, Protocol)
    return protocol


def _combinations(protocol: Protocol) -> dict[str, list[str]]:
    """The arms that a balanced grid of factors makes, in the order of its axes."""
    points = [dict(zip(protocol.factors, p, strict=True)) for p in itertools.product(*protocol.factors.values())]
    return {
        ", ".join(f"{key}={value}" for key, value in point.items()): python_values.words(point.items())
        for point in points
    }


def _drawn(protocol: Protocol) -> dict[str, list[str]]:
    """The arms of a random search, the same for the same knobs."""
    places = generator(0, "search").random((protocol.search_runs, len(protocol.search)))
    for key, knob in protocol.search.items():
        if not knob.low < knob.high or (knob.log and knob.low <= 0):
            raise refuse(
                f"protocol.search.{key}", f"{knob.low}..{knob.high}", "low < high is needed, above 0 for a log"
            )
    knobs = list(protocol.search.items())
    return {
        f"draw {number}": [f"{key}={knob.at(place)}" for (key, knob), place in zip(knobs, row, strict=True)]
        for number, row in enumerate(places)
    }


def cells_of(protocol: Protocol, given: Sequence[str], overrides: Sequence[str]) -> tuple[list[StudyCell], list[str]]:
    """Every arm on every task, as far as it makes sense; what the user says goes before what the file says."""
    cells, skipped = [], []
    composer = Composer(compose)
    for (task, on), (arm, changed) in itertools.product(protocol.tasks.items(), protocol.arms.items()):
        last = {key_of(word): words.readable(word) for word in (*given, *on, *changed, *overrides)}
        cell = StudyCell(
            task, arm, tuple(word for key, word in last.items() if not key.startswith("protocol")), composer
        )
        try:
            cell.jobs([0], "confirm", protocol.points()[0])
            cells.append(cell)
        except NotApplicableError as reason:
            skipped.append(f"{arm}, {task}: {reason}")
    return cells, skipped
