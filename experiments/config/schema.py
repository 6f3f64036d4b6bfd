"""The typed settings of a run outside variant and task: model, training, record. Defaults live in ``conf/``."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from experiments.config.device import DEVICES
from lstm_variants import engines

LARGEST_SEED = 2**63 - 1  # beyond, no table of runs can hold it
MOST_THREADS = 1024  # beyond, starting them fails in the middle of a run
LARGEST_SWEEP = 1_000_000  # runs; their configurations are held in memory
LARGEST_STACK = 16  # runs that share one batched program


class ConfigError(ValueError):
    """A setting that cannot be used; the message names the key, the value received and what is legal."""


def refuse(key: str, value: object, legal: str) -> ConfigError:
    """``key=value: legal``."""
    return ConfigError(f"{key}={'null' if value is None else value}: {legal}")


def _one_of(key: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise refuse(key, value, f"legal are {', '.join(legal)}")


def _at_least(key: str, value: float | None, lowest: float) -> None:
    if value is not None and not (math.isfinite(value) and value >= lowest):
        raise refuse(key, value, f"a finite number, {lowest:g} or more, is needed")


def _positive(key: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise refuse(key, value, "a finite number above 0 is needed")


@dataclass
class Model:
    """Sizes of the network."""

    hidden_size: int = MISSING
    layers: int = MISSING
    size: str = MISSING
    dropout: float = MISSING

    def check(self) -> None:
        """Refuse what is out of range, by name."""
        _at_least("model.hidden_size", self.hidden_size, 1)
        _at_least("model.layers", self.layers, 1)
        _one_of("model.size", self.size, ("hidden", "parameters"))
        if not 0 <= self.dropout < 1:
            raise refuse("model.dropout", self.dropout, "a share from 0 to below 1 is needed")


@dataclass
class Train:
    """The training protocol."""

    steps: int = MISSING
    batch_size: int = MISSING
    optimizer: str = MISSING
    lr: float = MISSING
    momentum: float = MISSING
    weight_decay: float = MISSING
    schedule: str = MISSING
    warmup: int = MISSING
    clip: float | None = MISSING
    eval_every: int = MISSING
    eval_size: int = MISSING
    stop_at_solved: bool = MISSING

    def check(self) -> None:
        """Refuse what is out of range, by name."""
        _at_least("train.steps", self.steps, 0)
        for key in ("batch_size", "eval_every", "eval_size"):
            _at_least(f"train.{key}", getattr(self, key), 1)
        _one_of("train.optimizer", self.optimizer, ("adam", "rmsprop", "sgd", "adamw"))
        _one_of("train.schedule", self.schedule, ("constant", "cosine", "linear"))
        _positive("train.lr", self.lr)
        _positive("train.clip", self.clip)
        _at_least("train.momentum", self.momentum, 0)
        _at_least("train.weight_decay", self.weight_decay, 0)
        if not 0 <= self.warmup <= self.steps:
            raise refuse("train.warmup", self.warmup, f"0 to train.steps={self.steps} is needed")


WANDB_MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}
YES, NO = ("true", "yes", "on", "1"), ("", "false", "no", "off", "0")


def wandb_mode(mode: str) -> str:
    """online, offline or disabled. ``auto`` is the environment's WANDB_MODE or WANDB_DISABLED, else offline.

    Raises:
        ConfigError: naming the variable, its value and what is legal.
    """
    if mode != "auto":
        return mode
    named, disabled = (os.environ.get(f"WANDB_{name}", "").strip() for name in ("MODE", "DISABLED"))
    if named and named not in WANDB_MODES:
        raise refuse("WANDB_MODE", named, "legal are online, offline, disabled")
    if disabled.lower() not in (*YES, *NO):
        raise refuse("WANDB_DISABLED", disabled, "legal are true, false")
    return WANDB_MODES[named] if named else "disabled" if disabled.lower() in YES else "offline"


@dataclass
class Wandb:
    """How the record is mirrored to wandb."""

    mode: str = MISSING
    entity: str | None = None


@dataclass
class Record:
    """What is kept of a run."""

    weights: bool = MISSING
    inside: bool = MISSING
    checkpoint_every: float = MISSING
    wandb: Wandb = field(default_factory=Wandb)

    def check(self) -> None:
        """Refuse what is out of range, by name."""
        _positive("record.checkpoint_every", self.checkpoint_every)
        _one_of("record.wandb.mode", self.wandb.mode, ("auto", "offline", "online", "disabled"))
        wandb_mode(self.wandb.mode)


@dataclass
class Root:
    """The whole configuration; variant, init and task are checked by the classes they build."""

    variant: dict[str, Any] = MISSING
    init: dict[str, Any] = MISSING
    task: dict[str, Any] = MISSING
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    record: Record = field(default_factory=Record)
    seed: int = MISSING
    study: str | None = MISSING
    phase: str | None = None
    engine: str = MISSING
    device: str = MISSING
    threads: int | None = None
    retry: str | None = None
    extensions: list[str] | None = None
    protocol: dict[str, Any] | None = None

    def check(self) -> None:
        """Refuse what is out of range, by name."""
        for part in (self.model, self.train, self.record):
            part.check()
        if self.study is not None and not self.study.strip():
            raise refuse("study", self.study, "a folder is needed")
        if not -LARGEST_SEED <= self.seed <= LARGEST_SEED:
            raise refuse("seed", self.seed, f"at most {LARGEST_SEED} is legal")
        _one_of("device", self.device, DEVICES)
        _one_of("engine", self.engine, engines.NAMES)
        for key, legal in (("phase", ("tune", "confirm")), ("retry", ("failed", "stale"))):
            if (value := getattr(self, key)) is not None and value not in legal:
                raise refuse(key, value, f"legal are {', '.join(legal)}, null")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise refuse("threads", self.threads, f"1 to {MOST_THREADS} is needed")
