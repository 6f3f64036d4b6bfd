"""What a two-phase study is: its arms, grid, seeds and claims, said in one YAML and checked before anything runs.

    # @package _global_
    # python -m experiments.study experiment=NAME
    study: outputs/NAME
    train: {steps: 2000}
    protocol:
      arms:                                     # a name, and what it changes
        lstm: []
        no forget gate: [variant=no_forget_gate]
      tasks:                                    # likewise; one task without changes may be left out
        adding: [task=adding, task.length=50]
      grid: {train.lr: [.002, .005, .01, .02]}  # tuned for every arm on every task
      tuning_seeds: 12                          # per point of the grid; as many as confirmation seeds unless given
      confirmation_seeds: 12                    # fresh ones
      extension: null                           # 24: more seeds if the first 12 leave a comparison undecided
      claims:
        - sentence: Without a forget gate the loss is higher.
          source: Gers et al. 2000
          metric: score                         # analysis/verdicts.py says what there is
          expect: higher
          baseline: lstm
          arms: [no forget gate]
          margin: null                          # of `same` 2 in loss, 1.5 in steps, .02 in accuracy, or a `reason:`
      full:                                     # what scale=full changes: settings, and keys of this block
        settings: [train.steps=20000]
        confirmation_seeds: 16

For claims about shares of variance, in place of arms and grid: `factors`, a balanced grid of untuned arms, or `search`,
a random one of `search_runs` settings, each with a seed of its own:

      search: {train.lr: {low: .001, high: 1, log: true}, model.hidden_size: {low: 8, high: 64, log: true, whole: true}}
      search_runs: 200
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from analysis.claims import claim as claimed
from analysis.claims import verdicts
from analysis.claims.claim import Claim
from analysis.statistics.aggregates import ENOUGH_RUNS
from analysis.statistics.many_comparisons import seeds_needed
from analysis.statistics.shares import INTERACTIONS
from experiments.config import python_values, words
from experiments.config.compose import Composer, compose
from experiments.config.job import Job, NotApplicableError
from experiments.config.schema import ConfigError, refuse
from experiments.studies.scales import check_scales
from experiments.training.streams import generator

DIFFERENCES = ("variant", "init", "task", "model", "train")  # what may tell arms, tasks and points of a grid apart
FIRST_TUNING_SEED = 1_000_000  # confirmation seeds count from 0 and stay below it
FEWEST_TUNING_SEEDS = {"score": 5, "loss": 5, "steps": 8, "solved": 8, "memory": 0, "share": 0}


@dataclass
class Knob:
    """A setting of a random search: uniform between low and high, or its log; a whole number if `whole`."""

    low: float = MISSING
    high: float = MISSING
    log: bool = False
    whole: bool = False

    def at(self, place: float) -> float | int:
        """The value at a place in [0, 1)."""
        if self.log:
            value = math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + place * (self.high - self.low)
        return round(value) if self.whole else float(f"{value:.6g}")


@dataclass
class Protocol:
    """The `protocol:` block of an experiment file."""

    claims: list[Claim] = MISSING
    arms: dict[str, list[str]] = field(default_factory=dict)
    tasks: dict[str, list[str]] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    factors: dict[str, list[Any]] = field(default_factory=dict)
    search: dict[str, Knob] = field(default_factory=dict)
    search_runs: int = ENOUGH_RUNS
    tuning_seeds: int | None = None
    confirmation_seeds: int = 12
    extension: int | None = None
    full: dict[str, Any] = field(default_factory=dict)

    def claim(self, task: str) -> Claim:
        """What the arms are tuned for on a task: the first claim about it, else the first claim."""
        about = (claim for claim in self.claims if not claim.tasks or task in [*claim.tasks, claim.against])
        return next(about, self.claims[0])

    @property
    def fewest(self) -> tuple[int, str]:
        """The fewest tuning seeds that may be given, and the metric that asks for them."""
        return max((FEWEST_TUNING_SEEDS[metric], metric) for metric in {self.claim(task).metric for task in self.tasks})

    @property
    def tuned_on(self) -> int:
        """Seeds per point of the grid. With fewer than there are confirmation seeds, the luck of tuning is found."""
        if self.tuning_seeds is not None or not self.grid:
            return self.tuning_seeds or 0
        return max(self.confirmation_seeds, self.fewest[0])

    def points(self) -> list[dict[str, Any]]:
        """Every point of the tuning grid."""
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]

    def seeds(self, phase: str, first: int = 0) -> list[int]:
        """The seeds of a phase: ``tune``, ``confirm`` or ``extend``; no two phases share one.

        first: the first one of the confirmation, where those below have been used.
        """
        if phase == "tune":
            return list(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + self.tuned_on))
        count = self.search_runs if self.search else self.confirmation_seeds
        last = first + (self.extension or 0)
        return list(range(first, first + count)) if phase == "confirm" else list(range(first + count, last))


@dataclass(frozen=True)
class Cell:
    """One arm on one task: the words that say it."""

    task: str
    arm: str
    said: tuple[str, ...]
    composer: Composer

    def jobs(self, seeds: Sequence[int], phase: str, settings: Mapping[str, Any]) -> list[Job]:
        """The runs of this cell at one point of the grid, one per seed."""
        job = self.composer.job([*self.said, *python_values.words(settings.items()), "protocol=null"])
        return [job.with_seed(seed, phase) for seed in seeds]


@dataclass(frozen=True)
class Study:
    """A composed two-phase study."""

    name: str
    scale: str
    folder: Path
    protocol: Protocol
    cells: list[Cell]
    skipped: list[str]  # the cells that make no sense, with the reason


def read(name: str, scale: str, overrides: Sequence[str]) -> Study | None:
    """The study of an experiment file, checked; None if the file is a plain sweep.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    chosen = words.readable(f"experiment={name}")
    config = compose([chosen, *overrides])
    if config.protocol is None:
        return None
    protocol, folder = _typed(config.protocol), str(config.study or "")
    settings = protocol.full.get("settings", []) if scale == "full" else []
    if scale == "full":
        changed = {key: value for key, value in protocol.full.items() if key != "settings"}
        protocol = _typed(config.protocol, changed)
        folder += "" if any(word.startswith("study=") for word in overrides) else "_full"
    if not folder:
        raise refuse("study", config.study, "a two-phase study needs a folder")
    protocol.tasks = protocol.tasks or {str(config.hydra.runtime.choices.task): []}
    if protocol.factors or protocol.search:
        if protocol.arms or protocol.grid or (protocol.factors and protocol.search):
            raise ConfigError("protocol: arms (with a grid), factors and search exclude each other")
        for key in ("extension", "confirmation_seeds") if protocol.search else ():
            said_so = protocol.full.get(key, config.protocol.get(key))
            if said_so is not None:
                raise refuse(f"protocol.{key}", said_so, "a random search has search_runs in place of it")
        protocol.arms = _combinations(protocol) if protocol.factors else _drawn(protocol)
    _differences(protocol)
    _undone_by_none(protocol, overrides)
    cells, skipped = _cells(protocol, [chosen, *settings, *python_values.words({"study": folder}.items())], overrides)
    check(protocol, [(cell.task, cell.arm) for cell in cells])
    _each_of_its_own(protocol, cells)
    check_scales(protocol.claims, list(protocol.tasks), lambda task: _direction(protocol, cells, task))
    if any(claim.metric == "memory" for claim in protocol.claims) and (trained := _trained(protocol, cells)):
        raise refuse("train.steps", trained, "metric=memory is measured on untrained networks: 0")
    return Study(name, scale, Path(folder), protocol, cells, skipped)


def _direction(protocol: Protocol, cells: Iterable[Cell], task: str) -> str:
    """Whether less ("min") or more ("max") of the score is better on a task."""
    cell = next(cell for cell in cells if cell.task == task)
    return str(cell.jobs([0], "confirm", protocol.points()[0])[0].task.direction)


def _trained(protocol: Protocol, cells: Iterable[Cell]) -> int:
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


def _differences(protocol: Protocol) -> None:
    """Refuse what can be no difference between the runs of a study.

    Raises:
        ConfigError: naming the word.
    """
    said = [(f"protocol.tasks.{task}", word) for task, on in protocol.tasks.items() for word in on]
    said += [(f"protocol.arms.{arm}", word) for arm, changed in protocol.arms.items() for word in changed]
    said += [("protocol.grid", f"{key}={values}") for key, values in protocol.grid.items()]
    for where, word in said:
        if _key(word).partition(".")[0].partition("/")[0] not in DIFFERENCES:
            raise ConfigError(f"{where}: {word}: runs of a study differ in {', '.join(DIFFERENCES)} only")
    for key, values in [*protocol.grid.items(), *protocol.factors.items()]:
        if not values:
            raise refuse(f"{key}", values, "no values, so there is nothing to run")


def _each_of_its_own(protocol: Protocol, cells: Iterable[Cell]) -> None:
    """Refuse two arms that are one: their comparison would say nothing.

    Raises:
        ConfigError: naming the two.
    """
    known: dict[tuple[str, str], str] = {}
    for cell in [] if protocol.search else cells:
        (job,) = cell.jobs([0], "confirm", protocol.points()[0])
        if (other := known.setdefault((cell.task, job.arm), cell.arm)) != cell.arm:
            raise ConfigError(f"protocol.arms: {other} and {cell.arm} are the same runs on {cell.task}")


def _undone_by_none(protocol: Protocol, overrides: Sequence[str]) -> None:
    """Refuse words of which others leave nothing: each arm, task, point of the grid and seed stays what it is called.

    Raises:
        ConfigError: naming the word.
    """
    grid = [f"{key}=..." for key in protocol.grid]
    for (task, on), (arm, changed) in itertools.product(protocol.tasks.items(), protocol.arms.items()):
        own = [(f"protocol.tasks.{task}", word) for word in on] + [(f"protocol.arms.{arm}", word) for word in changed]
        own += [("protocol.grid", word) for word in grid]
        for place, (where, word) in enumerate(own):
            if before := next((there for there, other in own[:place] if _key(other) == _key(word)), None):
                raise ConfigError(f"{where}: {word} is said in {before} too")
    fixed = [*protocol.grid, "seed", *(["task"] if any(protocol.tasks.values()) else [])]
    fixed += [_key(word) for changed in protocol.arms.values() for word in changed]
    for word in overrides:
        if any(words.overlap(_key(word), key) for key in fixed):
            raise ConfigError(f"{word}: the study's own arms, tasks, grid and seeds say this")


def _key(word: str) -> str:
    return word.partition("=")[0]


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


def _cells(protocol: Protocol, said: Sequence[str], overrides: Sequence[str]) -> tuple[list[Cell], list[str]]:
    """Every arm on every task, as far as it makes sense; what the user says goes before what the file says."""
    cells, skipped = [], []
    composer = Composer(compose)
    for (task, on), (arm, changed) in itertools.product(protocol.tasks.items(), protocol.arms.items()):
        last = {_key(word): words.readable(word) for word in (*said, *on, *changed, *overrides)}
        cell = Cell(task, arm, tuple(word for key, word in last.items() if not key.startswith("protocol")), composer)
        try:
            cell.jobs([0], "confirm", protocol.points()[0])
            cells.append(cell)
        except NotApplicableError as reason:
            skipped.append(f"{arm}, {task}: {reason}")
    return cells, skipped


def check(protocol: Protocol, cells: Sequence[tuple[str, str]]) -> None:
    """Refuse a study that could not decide its claims, or whose claims name what is not there."""
    for claim in protocol.claims:
        _check_claim(claim, protocol)
    if not protocol.claims:
        raise refuse("protocol.claims", [], "a study needs a claim")
    wanted = claimed.comparisons(protocol.claims, list(protocol.tasks))
    for one in wanted:
        arms = list(protocol.arms) if one.claim.metric == "share" else [one.arm, one.claim.baseline]
        if absent := [arm for arm in arms if (one.task, arm) not in cells]:
            raise ConfigError(f"protocol.claims: {absent[0]} on {one.task} makes no sense or is no part of the study")
    _check_seeds(protocol, len(wanted))


def _check_claim(claim: Claim, protocol: Protocol) -> None:
    legal = {"metric": claimed.METRICS, "scale": claimed.SCALES, "expect": claimed.EXPECTATIONS}
    for key, known in legal.items():
        if getattr(claim, key) not in known:
            raise refuse(f"protocol.claims.{key}", getattr(claim, key), f"legal are {', '.join(known)}")
    _check_names("tasks", [*claim.tasks, *([claim.against] if claim.against else [])], protocol.tasks)
    if claim.metric == "share":
        _check_share(claim, protocol)
    else:
        _check_names("arms", [*claim.arms, claim.baseline], protocol.arms)
    if claim.metric in ("solved", "share") and claim.scale != "difference":
        raise refuse("protocol.claims.scale", claim.scale, f"metric={claim.metric} takes scale=difference")
    if claim.metric == "solved" and (claim.expect == "same" or claim.margin):
        raise refuse("protocol.claims.metric", "solved", "solve rates can be shown to differ, not to be the same")
    if not claim.arms and claim.metric != "share":
        raise refuse("protocol.claims.arms", [], "an arm to compare with the baseline is needed")
    margins = (claim.metric, claim.scale) in claimed.EQUIVALENT or claim.margin is not None
    if claim.expect == "same" and not (margins and claim.bound > 0):
        raise refuse("protocol.claims.margin", claim.margin, "a factor above 1 or a difference above 0 is needed")


def _check_share(claim: Claim, protocol: Protocol) -> None:
    if not protocol.factors and not protocol.search:
        raise refuse("protocol.claims.metric", "share", "factors or a search are needed")
    if protocol.search and claim.knob == INTERACTIONS:
        legal = "over a random search the forest makes interactions by itself; a grid of factors can show them"
        raise refuse("protocol.claims.knob", claim.knob, legal)
    if protocol.search and claim.expect == "same":
        raise refuse("protocol.claims.expect", "same", "a share over a random search is higher or lower than a margin")
    interactions = [INTERACTIONS] if protocol.factors else []
    _check_names("knob", [claim.knob], [*protocol.factors, *protocol.search, *interactions])


def _check_names(key: str, names: Iterable[str | None], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise refuse(f"protocol.claims.{key}", name, f"legal are {', '.join(known)}")


def _check_seeds(protocol: Protocol, comparisons: int) -> None:
    """Refuse seed counts that tune too little, or with which every verdict would read undecided."""
    if protocol.grid and protocol.tuned_on < protocol.fewest[0]:
        legal = f"{protocol.fewest[0]} or more are needed to tune for {protocol.fewest[1]}"
        raise refuse("protocol.tuning_seeds", protocol.tuned_on, legal)
    if protocol.extension is not None and protocol.extension <= protocol.confirmation_seeds:
        legal = f"more than the {protocol.confirmation_seeds} confirmation seeds are needed"
        raise refuse("protocol.extension", protocol.extension, legal)
    if protocol.search:
        if protocol.search_runs < ENOUGH_RUNS:
            legal = f"fewer than {ENOUGH_RUNS} runs can only read undecided"
            raise refuse("protocol.search_runs", protocol.search_runs, legal)
        return
    alpha = verdicts.ALPHA / 2 if protocol.extension else verdicts.ALPHA
    needed = seeds_needed(comparisons, alpha)
    if not needed <= (protocol.extension or protocol.confirmation_seeds) < FIRST_TUNING_SEED:
        legal = f"with {comparisons} comparisons at {alpha:g}, fewer than {needed} seeds can only read undecided"
        key = "extension" if protocol.extension else "confirmation_seeds"
        raise refuse(f"protocol.{key}", getattr(protocol, key), legal)
