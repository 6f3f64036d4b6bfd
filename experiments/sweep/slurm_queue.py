"""What Slurm's own commands say: its partitions, its limits, and which tasks hold which runs of a study."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.config.identity import slug
from experiments.config.schema import ConfigError
from experiments.store.files import write_json

FOLDER = ".slurm"  # in a study's folder: which task holds which runs, submitit's files, the tasks' logs


@dataclass(frozen=True)
class Queued:
    """A task in Slurm's queue.

    Attributes:
        name: as Slurm writes it, ``12_3``.
        state: PENDING, RUNNING, COMPLETING ...
        reason: why it waits.
        run_ids: the runs that it holds.
    """

    name: str
    state: str
    reason: str
    run_ids: list[str]


def ask(*command: str) -> str:
    """What one of Slurm's commands prints.

    Raises:
        ConfigError: if it is not there or fails, in its own last words.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{command[0]}: {last_line(error.stderr)}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{command[0]}: {error}") from None


def last_line(text: str) -> str:
    """What a command that failed said in the end."""
    return (text.strip().splitlines() or ["failed without a word"])[-1]


def partitions() -> list[str]:
    """The names of the cluster's partitions."""
    return sorted(set(ask("sinfo", "--noheader", "--format=%R").split()))


def largest_array() -> int:
    """Tasks that an array of this cluster may have."""
    lines = (line.partition("=") for line in ask("scontrol", "show", "config").splitlines())
    return max(1, int({key.strip(): value for key, _, value in lines}["MaxArraySize"]))


def job_name(study: Path) -> str:
    """How the tasks of a study are called in the queue."""
    return f"gates-{slug(study.resolve().name)}"


def hold(study: Path, tasks: Mapping[str, Sequence[str]]) -> None:
    """Write down which tasks of a new job hold which runs."""
    job = next(iter(tasks)).partition("_")[0]
    write_json(study / FOLDER / f"{job}.json", tasks)


def queue(study: Path) -> list[Queued]:
    """The tasks of a study that wait, run or end, whoever submitted them.

    Raises:
        ConfigError: if Slurm does not answer.
    """
    tasks, held = [], dict[str, dict[str, list[str]]]()
    for line in ask("squeue", "--noheader", "--array", f"--name={job_name(study)}", "--format=%i|%T|%r").splitlines():
        name, state, reason = line.strip().split("|")
        job = name.partition("_")[0]
        held.setdefault(job, _held(study, job))
        if name in held[job]:
            tasks.append(Queued(name, state, reason, held[job][name]))
    return tasks


def _held(study: Path, job: str) -> dict[str, list[str]]:
    try:
        return dict(json.loads((study / FOLDER / f"{job}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def summary(tasks: Collection[Queued]) -> str:
    """How many tasks are in which state, and why they wait."""
    counts = Counter(f"{t.state.lower()} ({t.reason})" if t.state == "PENDING" else t.state.lower() for t in tasks)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
