"""What a trained net does, and what is lost when it is touched: python -m experiments.inspect study=outputs/demo"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from filelock import Timeout
from omegaconf import MISSING
from tqdm import tqdm

from analysis.common import resources
from analysis.common.command_line import CommandError, about, command, nearest
from analysis.common.terminal import as_typed
from analysis.records.load import directories
from experiments.api import load_run
from experiments.config.schema import ConfigError
from experiments.inspection import files
from experiments.store.files import read_tensors
from experiments.store.locks import lock
from experiments.store.lookup import read
from experiments.tasks.base import TaskError
from lstm_variants import SpecError
from lstm_variants.extensions.user_folders import ExtensionError

WORKERS = 4  # processes at most; each needs some 300 MB


@dataclass
class Options:
    """Look inside every finished run of a study that has weights, and keep what is found beside its record.

    What is measured: every gate step by step and around the task's events, how long units keep what they hold, how
    often gates are shut or open, the cell as a weighted sum, gradients by lag, what feeds a gate, and what is lost
    when a gate is fixed or a feed is cut. It goes to inside.json and inside.npz of each run (docs/inside.md); reports
    draw it. Runs that have been looked at before are left as they are.
    """

    study: str = field(default=MISSING, metadata=about("the study's folder", example="outputs/demo"))
    variant: list[str] = field(default_factory=list, metadata=about("these variants only; all unless given"))
    seed: list[int] = field(default_factory=list, metadata=about("these seeds only; all unless given"))
    sequences: int = field(
        default=files.SEQUENCES,
        metadata=about("evaluation sequences that are looked at (of a task with streams: chunks)"),
    )


def inspect(options: Options) -> None:
    """Look inside the runs, several at a time; say which could not be, and why."""
    if options.sequences < 1:
        raise CommandError(f"sequences={options.sequences}: a whole number, 1 or more, is needed")
    study = Path(options.study)
    chosen = _chosen(study, options)
    workers = max(1, min(WORKERS, resources.cores(), len(chosen)))
    outcomes = {}
    with _mapping(workers) as run_all, tqdm(total=len(chosen), unit="run", disable=None, dynamic_ncols=True) as bar:
        for folder, outcome in zip(
            chosen, run_all(partial(_outcome, sequences=options.sequences), chosen), strict=True
        ):
            outcomes[folder.name] = outcome
            bar.update()
    done, there = (sum(one == word for one in outcomes.values()) for word in ("done", "there"))
    refused = {name: why for name, why in outcomes.items() if why not in ("done", "there")}
    for name, why in refused.items():
        print(f"left out: {name}: {why}")
    print(f"{study}: looked inside {done} runs, {there} had been before, {len(refused)} left out")
    if refused and not done and not there:
        raise CommandError(f"study={study}: no run could be looked at; the first: {next(iter(refused.values()))}")
    print(as_typed(f"the figures: python -m analysis.report study={study} out=DIR"))


def _chosen(study: Path, options: Options) -> list[Path]:
    """The run directories that are asked for."""
    folders = [study / name for name in directories(study)]
    known = {folder: _who(folder) for folder in folders}
    for key, wanted, place in (("variant", options.variant, 0), ("seed", options.seed, 1)):
        there = {who[place] for who in known.values() if who}
        for value in wanted:
            if value not in there:
                raise CommandError(f"{key}={value}: no run has it{nearest(str(value), sorted(map(str, there)))}")
    chosen = [
        folder
        for folder, who in known.items()
        if who is None
        or ((not options.variant or who[0] in options.variant) and (not options.seed or who[1] in options.seed))
    ]
    if not chosen:
        raise CommandError(f"study={study}: no run has such a variant and seed")
    return chosen


def _who(folder: Path) -> tuple[str, int] | None:
    """Variant and seed of a run; None if its record cannot be read, which is told of later."""
    try:
        record = read(folder / "run.json")
    except ConfigError:
        return None
    return str(record["variant"]), int(record["seed"])


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterator[str]]]:
    """A ``map`` over so many processes; over this one alone if one will do."""
    if workers == 1:
        yield map
        return
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            yield pool.map
    except BrokenProcessPool:
        after = "what has been looked at is kept, the same command goes on; fewer sequences= need less memory"
        raise CommandError(f"a worker process was killed (out of memory?); {after}") from None


def _outcome(folder: Path, sequences: int) -> str:
    """``done``, ``there`` if it had been before, or why a run cannot be looked at."""
    try:
        with lock(folder.parent, folder.name):
            return look(folder, sequences)
    except Timeout:
        return "somebody is working on it"
    except (ConfigError, SpecError, TaskError, ExtensionError) as error:
        return str(error).removeprefix(f"{folder}: ")


def look(folder: Path, sequences: int) -> str:
    """Look inside one run.

    Raises:
        ConfigError: saying why it cannot be: no weights, stale, diverged, damaged.
    """
    record = read(folder / "run.json")
    if record["status"] != "finished":
        raise ConfigError(f"{folder}: it is {record['status']}, and only a finished run has a trained net")
    if not (folder / "weights.pt").is_file():
        raise ConfigError(f"{folder}: its weights were not kept (record.weights=false)")
    weights = read_tensors(folder / "weights.pt")
    run = load_run(folder)
    if files.is_there(folder, record, weights, sequences):
        return "there"
    trained = files.Trained.from_weights(weights, run.task, run.config, record["phase"])
    files.write(folder, record, weights, files.inspected(trained, sequences), sequences)
    return "done"


def main(argv: Sequence[str] | None = None) -> int:
    return command("python -m experiments.inspect", Options, inspect, argv)


if __name__ == "__main__":
    sys.exit(main())
