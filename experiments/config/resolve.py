"""From a composed configuration to a validated job."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments import tasks
from experiments.config.catalogue import check_description, config_file
from experiments.config.device import device_of
from experiments.config.error_messages import explain
from experiments.config.identity import as_hashed, digest, nested_difference
from experiments.config.job import Job, NotApplicableError, run_id_of
from experiments.config.schema import ConfigError, Model, Root, refuse
from experiments.tasks import file_contents
from experiments.tasks.base import Task
from lstm_variants import Cell, CellSpec, Init, SpecError, engines, make_cell
from lstm_variants.catalogue.variant_names import describe
from lstm_variants.parameters import RULES


def resolve(config: DictConfig, overrides: Sequence[str] = (), choices: Mapping[str, str] | None = None) -> Job:
    """Validate a composed configuration.

    Args:
        config: the configuration.
        overrides: the words that it was composed from.
        choices: the file chosen of each group, if the configuration comes without Hydra's part.

    Raises:
        ConfigError, SpecError, TaskError: naming the key, the value received and what is legal.
        NotApplicableError: for a combination that makes no sense.
    """
    root = _typed(config)
    choices = choices or config.hydra.runtime.choices
    name, plain = str(choices["task"]), asdict(root)
    check_description(plain["variant"], choices["variant"])
    spec = CellSpec.from_config(plain["variant"])
    variant, cell = describe(spec), make_cell(spec)
    task = tasks.load_task(name, plain["task"])
    if root.engine != "auto":
        engines.choose(root.engine, cell, device_of(root.device), torch.float32)
    hidden_size, reference = _hidden_size(root.model, cell, task)
    try:
        spec.check_hidden_size(hidden_size)
    except SpecError as error:
        raise NotApplicableError(str(error)) from None
    resolved = {key: plain[key] for key in ("variant", "init", "task", "model", "train", "seed")}
    resolved["variant"] = {**{k: getattr(variant, k) for k in ("label", "cite")}, **spec.to_config()}
    resolved["task"] = {"name": name, **plain["task"]}
    data = file_contents(task.files)
    difference = _difference(spec, name, task, plain, data)
    return Job(
        variant=variant,
        init=initial_values(plain["init"], task, cell, hidden_size),
        task_name=name,
        task=task,
        model=root.model,
        train=root.train,
        record=root.record,
        seed=root.seed,
        study=None if root.study is None else Path(root.study),
        phase=root.phase,
        engine=root.engine,
        device=root.device,
        threads=root.threads,
        retry=root.retry,
        overrides=tuple(overrides),
        resolved=resolved,
        arm=digest(difference),
        run_id=run_id_of(name, variant, root.seed, difference),
        difference=difference,
        contents=data,
        hidden_size=hidden_size,
        reference_parameters=reference,
    )


def _typed(config: DictConfig) -> Root:
    values: dict[str, Any] = {}
    try:
        for field in fields(Root):
            node = config[field.name]
            typed = field.name in ("model", "train", "record")
            plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            values[field.name] = OmegaConf.to_object(node) if typed else plain
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    root = Root(**values)
    root.check()
    _meaningful(root)
    return root


def _meaningful(root: Root) -> None:
    """Refuse a setting that the rest of the configuration never reads."""
    rule = root.init.get("rule")
    default = config_file("init", "default")
    reads = RULES[rule].reads if rule in RULES else ()
    for key in ("value", "max_lag"):
        if key not in reads and root.init.get(key) != default[key]:
            raise refuse(f"init.{key}", root.init.get(key), f"has no meaning with init.rule={rule}")
    momentum = config_file("train", "default")["momentum"]
    if root.protocol is not None:
        raise ConfigError("protocol: this is a two-phase study: python -m experiments.study experiment=NAME")
    if root.train.optimizer != "sgd" and root.train.momentum != momentum:
        raise refuse("train.momentum", root.train.momentum, "has a meaning with train.optimizer=sgd only")


def initial_values(config: Mapping[str, Any], task: Task, cell: Cell, hidden_size: int) -> Init:
    """How a run's parameters start, from the ``init`` of its configuration.

    Raises:
        ConfigError, SpecError: naming the key, the value received and what is legal.
        NotApplicableError: if it makes no sense with the cell.
    """
    given = dict(config)
    if given.get("rule") in RULES and "max_lag" in RULES[given["rule"]].reads and given.get("max_lag") is None:
        given["max_lag"] = task.lag
    init = Init.from_config(given)
    default = config_file("init", "default")
    starts_a_gate = (init.rule, init.value) != (default["rule"], default["value"])
    starts_a_gate = starts_a_gate and RULES[init.rule].bias is not None
    init = replace(init, needs_gate=init.needs_gate or starts_a_gate)
    if reason := init.not_applicable(cell, hidden_size):
        raise NotApplicableError(reason)
    if init.recurrent != default["recurrent"] and not any("h" in parts for parts in cell.shapes(1, 1).values()):
        raise NotApplicableError(f"init.recurrent={init.recurrent} sets recurrent matrices and this variant has none")
    return init


def layer_parameters(cell: Cell, input_size: int, hidden_size: int, layers: int) -> int:
    """Parameters of L recurrent layers."""
    first = cell.parameter_count(input_size, hidden_size)
    return int(first + (layers - 1) * cell.parameter_count(hidden_size, hidden_size))


def _hidden_size(model: Model, cell: Cell, task: Task) -> tuple[int, int]:
    """The hidden size used, and the complete LSTM's parameters at ``model.hidden_size``."""
    lstm = make_cell(CellSpec.from_config())
    reference = layer_parameters(lstm, task.input_size, model.hidden_size, model.layers)
    if model.size == "hidden":
        return model.hidden_size, reference

    step = cell.spec.unit_step

    def parameters(steps: int) -> int:
        return layer_parameters(cell, task.input_size, steps * step, model.layers)

    widest = 1
    while parameters(widest) < reference and widest < reference:
        widest *= 2
    above = 1 + bisect.bisect_left(range(1, widest), reference, key=parameters)
    nearest = min((abs(parameters(steps) - reference), steps) for steps in (max(1, above - 1), above))[1]
    return nearest * step, reference


def _difference(
    spec: CellSpec, task_name: str, task: Task, plain: Mapping[str, Any], data: Mapping[str, str]
) -> dict[str, Any]:
    """What differs from the defaults, the content of a run's identity; for a file its content, not its name."""
    init, default_init = (vars(Init.from_config(c)) for c in (plain["init"], config_file("init", "default")))
    settings = {f.name: getattr(task, f.name) for f in fields(task)} | {"eval_lengths": list(task.eval_lengths)}
    settings |= data
    return {
        "variant": as_hashed(spec.difference()),
        "init": {k: v for k, v in nested_difference(init, default_init).items() if k != "needs_gate"},
        "task": {"name": task_name, **nested_difference(settings, config_file("task", task_name))},
        "model": nested_difference(plain["model"], config_file("model", "default")),
        "train": nested_difference(plain["train"], config_file("train", "default")),
    }
