"""From what was said on the command line to validated jobs: composition, aliases, identity, errors worth reading."""

from __future__ import annotations

import bisect
import difflib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments import tasks
from experiments.config import extensions, words
from experiments.config.identity import digest, nested_difference, run_name, variant_name
from experiments.config.schema import ConfigError, Model, Record, Root, Train, refuse
from experiments.tasks._files import contents
from experiments.tasks.base import Task
from lstm_variants import CellSpec, Init, SpecError, engines, make_cell
from lstm_variants import extensions as own_files
from lstm_variants.parameters import RULES
from lstm_variants.spec import CONF, DESCRIPTION, complete_lstm

GROUPS = ("variant", "init", "task", "model", "train", "record", "experiment")
HELP = """\
One run = variant x init x task x model x train x seed; a comma or a range makes a sweep of it.

  python -m experiments.run variant=gru task=continual_reber seed=3
  python -m experiments.run -m variant=lstm,gru task=adding 'seed=range(0,5)' study=outputs/mine
  python -m experiments.run -m variant=lstm variant.forget.feeds=x,h,xh,xhb task=adding study=outputs/feeds
  python -m experiments.run experiment=demo

Run again, a command skips what is finished. What a name means:
  python -m experiments.show variant [NAME ...]      python -m experiments.show task [NAME ...]
"""
PAGE = """\
${hydra.help.header}
Groups (group=name, or group=name1,name2 with -m):
$APP_CONFIG_GROUPS

Defaults (key=value):
$CONFIG"""
PLUGINS = "hydra_plugins.gates"  # Hydra accepts a plugin by this prefix only, see launcher.register
LARGEST_STACK = 16  # runs that share one batched program


@dataclass
class Stacked:
    """What ``hydra.launcher.KEY=`` may say."""

    _target_: str = f"{PLUGINS}.StackedLauncher"
    workers: int | None = None  # processes; None: one per core
    stack: int | None = LARGEST_STACK  # runs in a stack
    dry_run: bool = False


class NotApplicableError(ConfigError):
    """A combination that makes no sense: skipped in a sweep, refused when asked for alone."""


@dataclass(frozen=True)
class Variant:
    """A spec and how it is called."""

    name: str
    label: str
    cite: str
    spec: CellSpec


@dataclass(frozen=True)
class Job:
    """One validated run."""

    variant: Variant
    init: Init
    task_name: str
    task: Task
    model: Model
    train: Train
    record: Record
    seed: int
    study: Path | None
    phase: str | None
    engine: str
    device: str
    threads: int | None
    retry: str | None
    said: tuple[str, ...]
    resolved: dict[str, Any]
    arm: str
    run_id: str
    difference: dict[str, Any]
    contents: dict[str, str]
    hidden_size: int
    reference_parameters: int

    @property
    def split(self) -> str:
        """The split of real data on which the run is evaluated."""
        return split_of(self.phase)

    @property
    def folder(self) -> Path | None:
        """The run directory, None for a run in memory."""
        return None if self.study is None else self.study / self.run_id

    def with_seed(self, seed: int, phase: str | None) -> Job:
        """The same run with another seed, in a phase of a study; as if it had been composed so."""
        said = (*self.said, f"seed={seed}", f"phase={'null' if phase is None else phase}")
        run_id = _run_id(self.task_name, self.variant, seed, self.difference)
        resolved = {**self.resolved, "seed": seed}
        return replace(self, seed=seed, phase=phase, said=said, resolved=resolved, run_id=run_id)


def split_of(phase: str | None) -> str:
    """Tuning reads the validation split, everything else the test split."""
    return "validation" if phase == "tune" else "test"


def register_schema() -> None:
    """Give Hydra the types of the root configuration, the help page, and the launcher's and sweeper's settings."""
    Plugins.instance().register(OwnFolders)
    store = ConfigStore.instance().store
    store(name="schema", node=Root)
    store(group="hydra/help", name="gates", node={"app_name": "gates", "header": HELP, "footer": "", "template": PAGE})
    store(group="hydra/launcher", name="stacked", provider="gates", node=Stacked)
    sweeper = {"_target_": f"{PLUGINS}.StudySweeper", "params": None}
    store(group="hydra/sweeper", name="study", provider="gates", node=sweeper)


@functools.cache
def _loader() -> ConfigLoaderImpl:
    Plugins.instance()
    version.setbase("1.3")
    return ConfigLoaderImpl(config_search_path=create_config_search_path(str(CONF)))


class OwnFolders(SearchPathPlugin):
    """Lets Hydra look into the user's own folders."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in extensions.conf_folders():
            search_path.append("extensions", f"file://{folder}")


def compose(overrides: Sequence[str]) -> DictConfig:
    """The configuration that command-line strings make, without a Hydra application.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    register_schema()
    try:
        config = _loader().load_configuration("config", expand_aliases(overrides), RunMode.RUN)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    return config


def use_extensions(folders: extensions.Folders | None) -> None:
    """Make the user's own folders known, in place of those before; None leaves them, but reads again what has changed.

    Raises:
        ConfigError, ExtensionError: naming the folder or file and what is wrong with it.
    """
    if extensions.use(folders):
        for cache in (_loader, _known_keys, _config_file, _variants, _aliases, _describe):
            cache.cache_clear()


def use_own_folders(words: Sequence[str]) -> list[str]:
    """Make the folders of ``extensions=`` on a command line known; the words as the rest of the program reads them.

    Raises:
        ConfigError, ExtensionError: naming the folder or file and what is wrong with it.
    """
    use_extensions(extensions.said_in(words))
    return extensions.rewritten(words)


def used_extensions() -> list[str]:
    """The user's own folders in use, for other processes and for records."""
    return [str(folder) for folder in own_files.folders()]


def _conf_folders() -> list[Path]:
    return [CONF, *extensions.conf_folders()]


def config_file(group: str, name: str) -> dict[str, Any]:
    """A YAML of a group with the files it is a diff of, plain."""
    return dict(_config_file(group, name, tuple(_conf_folders())))


@functools.cache
def _config_file(group: str, name: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    content = _one_file(group, name, folders)
    merged: dict[str, Any] = {}
    for base in content.get("defaults", []):
        if base != "_self_":
            merged = _merge(merged, config_file(group, base))
    return _merge(merged, {key: value for key, value in content.items() if key != "defaults"})


def _one_file(group: str, name: str, folders: Sequence[Path]) -> dict[str, Any]:
    """A YAML without the files that it is a diff of."""
    path = next((p for folder in folders if (p := folder / group / f"{name}.yaml").is_file()), None)
    if path is None:
        raise refuse(group, name, _not_there(group, name))
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {})


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def names(group: str) -> list[str]:
    """The files of a group."""
    return sorted({path.stem for folder in _conf_folders() for path in (folder / group).glob("*.yaml")})


@functools.cache
def _variants(folders: tuple[Path, ...]) -> dict[str, Variant]:
    files = {name: config_file("variant", name) for name in names("variant")}
    return {name: _variant(name, content) for name, content in files.items()}


def _variant(name: str, content: Mapping[str, Any]) -> Variant:
    try:
        for key in ("label", "cite"):
            if not isinstance(content.get(key), str):
                raise refuse(f"variant.{key}", content.get(key), "a text is needed")
        return Variant(name, content["label"], content["cite"], CellSpec.from_config(content))
    except (ConfigError, SpecError) as error:
        raise ConfigError(f"conf/variant/{name}.yaml: {error}") from None


def variants() -> dict[str, Variant]:
    """Every variant file, by name."""
    return _variants(tuple(_conf_folders()))


@functools.cache
def _aliases(folders: tuple[Path, ...]) -> dict[str, str]:
    files = {name: _one_file("variant", name, folders) for name in names("variant")}  # a base's aliases are its own
    pairs = [(str(alias), name) for name, content in files.items() for alias in content.get("aliases") or []]
    known = dict.fromkeys(files, "a variant's own name")
    for alias, name in pairs:
        if alias in known:
            raise ConfigError(f"conf/variant/{name}.yaml: the alias {alias} is {known[alias]} too; give it another one")
        known[alias] = f"an alias of {name}"
    return dict(pairs)


def expand_aliases(overrides: Sequence[str]) -> list[str]:
    """The words, checked, with papers' short names (NFG, CIFG ...) in ``variant=`` as file names.

    Raises:
        ConfigError: naming the word and what is legal.
    """
    aliases = _aliases(tuple(_conf_folders()))

    def expand(override: str) -> str:
        key, equals, value = override.partition("=")
        if key in GROUPS and (value.strip()[:1] in ("[", "{") or value.strip().lower() == "null"):
            raise refuse(key, value, "one name is needed, or with -m several separated by commas")
        if key != "variant" or not equals:
            return override
        return "variant=" + ",".join(aliases.get(name, name) for name in value.split(","))

    return [expand(override) for override in words.checked(overrides)]


class Composer:
    """The jobs of a sweep, composed once per structure; each as if it had been composed alone.

    Composing takes Hydra some 70 ms a job. Jobs that differ only in numbers, texts and truth values (``seed=1``,
    ``train.lr=.01``) share one composed configuration, in which these are set again for every job, and checked. All
    else, and whatever one word changes in what another one says, is part of the structure.

    Args:
        compose: from overrides to a configuration.
    """

    def __init__(self, compose: Callable[[list[str]], DictConfig]) -> None:
        self._compose = compose
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def job(self, overrides: Sequence[str]) -> Job:
        """Compose and validate one job.

        Raises:
            ConfigError, SpecError, TaskError, NotApplicableError: as :func:`resolve`.
        """
        try:
            config = self._composed(overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error)) from error
        return resolve(config, overrides)

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        plain = [override for override in map(words.parse, overrides) if _is_plain(override, overrides)]
        keys = {override.key_or_group for override in plain}
        structure = tuple(w if (key := words.parse(w).key_or_group) not in keys else key for w in overrides)
        base = self._bases.get(structure)
        if base is None:
            config = self._compose(list(overrides))
            if not _interpolates(config):
                self._bases[structure] = config
            return config
        for override in plain:
            OmegaConf.update(base, override.key_or_group, override.value())
        return base


def _is_plain(override: Override, overrides: Sequence[str]) -> bool:
    """Whether a word sets one number, text or truth value that no other word of the job has to do with."""
    key, value = override.key_or_group, override.value()
    if override.type is not OverrideType.CHANGE or override.package is not None or key.startswith("hydra"):
        return False
    if key in (*GROUPS, "extensions") or isinstance(value, list | dict) or "$" in str(value) or value == "???":
        return False
    others = [other for other in (words.parse(word).key_or_group for word in overrides) if words.touch(key, other)]
    return len(others) == 1


def _interpolates(config: DictConfig) -> bool:
    """Whether a value is computed from others, which may be Hydra's own of the job that was composed."""
    return "${" in OmegaConf.to_yaml(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))


def load_spec(name: str, overrides: Sequence[str] = ()) -> CellSpec:
    """The spec of a variant file with command-line changes, ``load_spec("lstm", ["variant.forget.feeds=xb"])``.

    Raises:
        ConfigError, SpecError: naming the key, the value received and what is legal.
    """
    config = compose([f"variant={name}", *overrides])
    given: Any = OmegaConf.to_container(config.variant, resolve=True)
    _described_by_its_file(given, config.hydra.runtime.choices.variant)
    return CellSpec.from_config(given)


def _described_by_its_file(variant: Mapping[str, Any], name: str) -> None:
    """Refuse a label, citation or alias that is none of the file's: records and figures would not use it."""
    file = config_file("variant", name)
    for key in DESCRIPTION:
        if variant.get(key) != file.get(key):
            legal = "belongs to a file, conf/variant/NAME.yaml; a difference from a file is called by its knobs"
            raise refuse(f"variant.{key}", variant.get(key), legal)


def describe(spec: CellSpec) -> Variant:
    """Name, label and citation of a spec: its file's, or the nearest file's with the difference."""
    return _describe(spec, tuple(_conf_folders()))


@functools.cache
def _describe(spec: CellSpec, folders: tuple[Path, ...]) -> Variant:
    known = _variants(folders)
    name = variant_name(spec, {n: v.spec for n, v in known.items()})
    if name in known:
        return known[name]
    base = known[name.partition("[")[0]]
    return Variant(name, name, base.cite, spec)


def resolve(config: DictConfig, said: Sequence[str] = (), choices: Mapping[str, str] | None = None) -> Job:
    """Validate a composed configuration.

    Args:
        config: the configuration.
        said: the words that it was composed from.
        choices: the file chosen of each group, if the configuration comes without Hydra's part.

    Raises:
        ConfigError, SpecError, TaskError: naming the key, the value received and what is legal.
        NotApplicableError: for a combination that makes no sense.
    """
    root = _typed(config)
    choices = choices or config.hydra.runtime.choices
    name, plain = str(choices["task"]), asdict(root)
    _described_by_its_file(plain["variant"], choices["variant"])
    spec = CellSpec.from_config(plain["variant"])
    variant, cell = describe(spec), make_cell(spec)
    task = tasks.load_task(name, plain["task"])
    if root.engine != "auto":
        engines.choose(root.engine, cell, torch.device("cpu" if root.device == "auto" else root.device), torch.float32)
    hidden_size, reference = _hidden_size(root.model, cell, task)
    resolved = {key: plain[key] for key in ("variant", "init", "task", "model", "train", "seed")}
    resolved["variant"] = {**{k: getattr(variant, k) for k in ("label", "cite")}, **spec.to_config()}
    resolved["task"] = {"name": name, **plain["task"]}
    data = contents(task.files)
    difference = _difference(spec, name, task, plain, data)
    return Job(
        variant=variant,
        init=_init(plain["init"], task, cell, hidden_size),
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
        said=tuple(said),
        resolved=resolved,
        arm=digest(difference),
        run_id=_run_id(name, variant, root.seed, difference),
        difference=difference,
        contents=data,
        hidden_size=hidden_size,
        reference_parameters=reference,
    )


def _run_id(task_name: str, variant: Variant, seed: int, difference: Mapping[str, Any]) -> str:
    return run_name(task_name, variant.name, seed, digest({**difference, "seed": seed}))


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


def stored(job: Job) -> Job:
    """The job, unless it is one in memory, of which a command would leave nothing.

    Raises:
        ConfigError: if it names no folder.
    """
    if job.study is None:
        raise refuse("study", None, "a folder is needed; in memory, runs are made from Python: experiments.run")
    return job


def distinct(jobs: Sequence[Job]) -> None:
    """Refuse the jobs of a sweep if two are one run in spite of what was said: only one would be done.

    Raises:
        ConfigError: naming the key and its values.
    """
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.run_id, job)
        for key in ("study", "phase", "engine", "device", "threads", "retry", "record"):
            mine, theirs = getattr(job, key), getattr(other, key)
            if mine != theirs:
                raise refuse(key, f"{theirs},{mine}", f"is no axis: {job.run_id} is one run with either")


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


def _init(config: Mapping[str, Any], task: Task, cell: Any, hidden_size: int) -> Init:
    given = dict(config)
    if given.get("rule") in RULES and "max_lag" in RULES[given["rule"]].reads and given.get("max_lag") is None:
        given["max_lag"] = task.lag
    init = Init.from_config(given)
    default = config_file("init", "default")
    starts_a_gate = (init.rule, init.value) != (default["rule"], default["value"])
    init = replace(init, needs_gate=init.needs_gate or starts_a_gate)
    if reason := init.not_applicable(cell, hidden_size):
        raise NotApplicableError(reason)
    if init.recurrent != default["recurrent"] and not any("h" in parts for parts in cell.shapes(1, 1).values()):
        raise NotApplicableError(f"init.recurrent={init.recurrent} sets recurrent matrices and this variant has none")
    return init


def layer_parameters(cell: Any, input_size: int, hidden_size: int, layers: int) -> int:
    """Parameters of L recurrent layers."""
    first = cell.parameter_count(input_size, hidden_size)
    return int(first + (layers - 1) * cell.parameter_count(hidden_size, hidden_size))


def _hidden_size(model: Model, cell: Any, task: Task) -> tuple[int, int]:
    """The hidden size used, and the complete LSTM's parameters at ``model.hidden_size``."""
    lstm = make_cell(CellSpec.from_config())
    reference = layer_parameters(lstm, task.input_size, model.hidden_size, model.layers)
    if model.size == "hidden":
        return model.hidden_size, reference

    def parameters(size: int) -> int:
        return layer_parameters(cell, task.input_size, size, model.layers)

    widest = 1
    while parameters(widest) < reference and widest < reference:
        widest *= 2
    above = 1 + bisect.bisect_left(range(1, widest), reference, key=parameters)
    return min((abs(parameters(size) - reference), size) for size in (max(1, above - 1), above))[1], reference


def _difference(
    spec: CellSpec, task_name: str, task: Task, plain: Mapping[str, Any], data: Mapping[str, str]
) -> dict[str, Any]:
    """What differs from the defaults, the content of a run's identity; for a file its content, not its name."""
    init, default_init = (vars(Init.from_config(c)) for c in (plain["init"], config_file("init", "default")))
    settings = {f.name: getattr(task, f.name) for f in fields(task)} | {"eval_lengths": list(task.eval_lengths)}
    settings |= data
    return {
        "variant": spec.difference(),
        "init": {k: v for k, v in nested_difference(init, default_init).items() if k != "needs_gate"},
        "task": {"name": task_name, **nested_difference(settings, config_file("task", task_name))},
        "model": nested_difference(plain["model"], config_file("model", "default")),
        "train": nested_difference(plain["train"], config_file("train", "default")),
    }


def explain(error: BaseException) -> str:
    """One line for a mistake that Hydra found: the key, the value received, what is legal."""
    text = str(error)
    cause = error.__cause__ or error
    if found := re.search(r"Could not find '([^']*)/([^'/]*)'", text):
        group, name = found.groups()
        hydras = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        return f"{group}={name}: {_not_there(group, name, hydras)}"
    if found := re.search(r"Could not override '([^']+)'", text):
        below = re.search(r"full_key: (\S+)", str(cause))  # of a mapping, the key in it
        key = below[1] if below and below[1].startswith(f"{found[1]}.") else found[1]
        return f"{key}: unknown key; {_nearest(key, _siblings(key))}"
    if found := re.search(r"full_key: (\S+)", str(cause)):
        return f"{found[1]}: {str(cause).splitlines()[0]}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _not_there(group: str, name: str, hydras: Sequence[str] = ()) -> str:
    if group == "task" and (file := tasks.own_file(name)):
        return f"{file} needs its settings in {file.parents[1] / 'conf' / 'task' / file.stem}.yaml"
    return _nearest(name, names(group) or hydras)


def _nearest(name: str, legal: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, legal, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}legal are {', '.join(legal)}"


def _siblings(key: str) -> list[str]:
    """The legal keys beside a key."""
    parent = key.rpartition(".")[0]
    known = _launcher_keys() if parent == "hydra.launcher" else _known_keys()
    if not any(name.startswith(f"{parent}.") for name in known):
        parent = ""
    depth = parent.count(".") + 2 if parent else 1
    beside = {".".join(name.split(".")[:depth]) for name in known if not parent or name.startswith(f"{parent}.")}
    return sorted(beside)


def _launcher_keys() -> list[str]:
    store, group = ConfigStore.instance(), "hydra/launcher"
    nodes = [store.load(f"{group}/{name}").node for name in store.list(group)]
    return [f"hydra.launcher.{key}" for node in nodes for key in map(str, node) if key != "_target_"]


@functools.cache
def _known_keys() -> list[str]:
    config = OmegaConf.to_container(_loader().load_configuration("config", [], RunMode.RUN))
    assert isinstance(config, dict)
    flat = nested_difference({str(k): v for k, v in config.items() if k != "hydra"}, {})
    return sorted({*flat, *GROUPS, *(f"variant.{key}" for key in [*complete_lstm(), *DESCRIPTION])})
