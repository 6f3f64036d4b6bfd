"""The command line of ``run``, a Hydra application: one run, or with -m a sweep. ``plan`` and ``study`` use it too."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from analysis.common import terminal
from analysis.common.command_line import one_line
from analysis.common.terminal import as_typed, say
from experiments.config import words
from experiments.config.compose import expand_aliases
from experiments.config.error_messages import explain
from experiments.config.extensions_option import use_extensions_of
from experiments.config.hydra_setup import HELP, register_schema
from experiments.config.job import stored
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.sweep.launcher import register, stackable
from experiments.sweep.run_all import run_all
from experiments.sweep.run_stack import InterruptedRunError
from lstm_variants.gate import CONF


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
@stackable
def app(config: DictConfig) -> None:
    """One run; a sweep goes to the launcher instead."""
    hydra_config = HydraConfig.get()
    with errors_in_one_line():
        if hydra_config.mode is RunMode.RUN:
            _no_sweep(hydra_config)
        job = stored(resolve(config, hydra_config.overrides.task, hydra_config.runtime.choices))
        runs = run_all([job], workers=1)
    for run in runs:
        print(f"{run}  {job.folder}")
        if run.status == "failed":
            print(f"error: {run.record['error']}", file=sys.stderr)
            sys.exit(1)


def _no_sweep(hydra_config: HydraConf) -> None:
    """Refuse what only a sweep obeys."""
    if hydra_config.runtime.choices["hydra/launcher"] == "slurm":
        raise ConfigError("hydra/launcher=slurm: it runs sweeps; add -m")
    for word in hydra_config.overrides.hydra:
        if word.startswith(words.LAUNCHING):
            raise ConfigError(f"{word}: has a meaning in a sweep; add -m")
    if axes := hydra_config.sweeper.params:
        raise ConfigError(f"hydra.sweeper.params: {', '.join(axes)} make a sweep; add -m")


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """A user's mistake ends in one line and exit code 2."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        say(f"error: {one_line(explain(error))}")
        sys.exit(2)
    except InterruptedRunError as interrupted:
        say("interrupted: the same command goes on from the checkpoints")
        sys.exit(128 + interrupted.signum)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)


def main(arguments: list[str]) -> None:
    """The command line."""
    terminal.prepare(stdout=True)
    status: object = 0
    try:
        _main(arguments)
    except SystemExit as ended:
        status = ended.code
    if code := terminal.finished("error", status if isinstance(status, int) else 0):
        sys.exit(code)


def _main(arguments: list[str]) -> None:
    register_schema(as_typed(HELP))
    register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors come here
    with errors_in_one_line():
        flags, overrides = words.flags_and_words(arguments)
        overrides, notes = words.understood(use_extensions_of(overrides))
        words.launching(overrides)
        print("".join(f"{note}\n" for note in notes), end="", file=sys.stderr)
        sys.argv[1:] = [*flags, *expand_aliases(overrides)]
        app()
