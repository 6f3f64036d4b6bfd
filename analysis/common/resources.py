"""Cores and memory that this process may use: its affinity, its control groups' limits, its Slurm allocation.

The machine's own numbers say nothing about a container or a batch job. Whatever starts processes or threads, or sizes a
stack, asks here. Linux's files are read below ``root``; elsewhere the machine's own numbers have to do.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
MEGABYTE = 2**20


def cores(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """Cores that may be used, 1 or more; a part of a core counts as a whole one."""
    limits = [_affinity(), *(math.ceil(quota) for quota in _quotas(root)), *_slurm_cores(environment)]
    return max(1, min(limits))


def memory_limit(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """Bytes that may be used, if nobody else uses any."""
    limits = [group.limit for group in _memory_groups(root)]
    return min([_meminfo(root)["MemTotal"], *limits, *_slurm_memory(environment)])


def memory_free(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """Bytes that may be used now: what is free of the machine and of every limit, 0 or more."""
    free = [group.limit - group.used for group in _memory_groups(root)]
    return max(0, min([_meminfo(root)["MemAvailable"], *free, *_slurm_memory(environment)]))


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _slurm_cores(environment: Mapping[str, str]) -> list[int]:
    """What Slurm gave this task, or all of the job's on this node; a cluster need not bind tasks to their cores."""
    allotted = [_number(environment.get(name, "")) for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")]
    return [int(number) for number in allotted if number][:1]


def _slurm_memory(environment: Mapping[str, str]) -> list[int]:
    node = _number(environment.get("SLURM_MEM_PER_NODE", ""))
    a_core = _number(environment.get("SLURM_MEM_PER_CPU", ""))
    cpus = _number(environment.get("SLURM_CPUS_ON_NODE", "")) or 1
    megabytes = node or (a_core * cpus if a_core else None)  # 0 is all that the node has
    return [int(megabytes * MEGABYTE)] if megabytes else []


# Linux's control groups, version 1 and 2


@dataclass(frozen=True)
class _Memory:
    """A group's bytes: its limit, and what is used that cannot be had back."""

    limit: int
    used: int


def _quotas(root: Path) -> Iterator[float]:
    """Cores that each group of this process may use on average, where it is limited."""
    for folder in _groups("cpu", root):
        words = _text(folder / "cpu.max").split()
        words = words or [_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        quota, period = (_number(word) for word in (*words, "", "")[:2])
        if quota and period:
            yield quota / period


def _memory_groups(root: Path) -> Iterator[_Memory]:
    names = ("memory.max", "memory.high", "memory.limit_in_bytes")
    for folder in _groups("memory", root):
        limits = [number for name in names if (number := _number(_text(folder / name))) is not None]
        if limits:
            used = _number(_text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes")) or 0
            yield _Memory(int(min(limits)), int(used - _cached(folder)))


def _cached(folder: Path) -> float:
    """Bytes of files that the kernel keeps as long as nobody wants the memory."""
    facts = dict(line.split()[:2] for line in _text(folder / "memory.stat").splitlines() if " " in line)
    return _number(facts.get("total_inactive_file") or facts.get("inactive_file", "")) or 0


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The folder of each group of this process that has a say, and of those around it."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        controllers, place = (*line.split(":", 2)[1:], "", "")[:2]
        if controllers and controller not in controllers.split(","):
            continue
        for top, mount in _mounts(controller if controllers else "", root):
            inside = Path(place).relative_to(top) if Path(place).is_relative_to(top) else Path()
            inside = Path() if ".." in inside.parts else inside  # outside of what this container sees
            yield from (mount / part for part in (inside, *inside.parents))


def _mounts(controller: str, root: Path) -> Iterator[tuple[str, Path]]:
    """Where the groups of a controller, or with "" those of version 2, are seen: the topmost group and its folder."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = (*after.split(), "", "", "")[:3]
        wanted = kind == "cgroup" and controller in options.split(",") if controller else kind == "cgroup2"
        if wanted:
            top, folder = before.split()[3:5]
            yield top, root / folder.lstrip("/")


def _meminfo(root: Path) -> dict[str, int]:
    """The machine's MemTotal and MemAvailable."""
    lines = (line.split() for line in _text(root / "proc/meminfo").splitlines())
    found = {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if words[0].startswith("Mem")}
    total = found.get("MemTotal") or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"MemTotal": total, "MemAvailable": found.get("MemAvailable", total)}


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(text: str) -> float | None:
    """A number, 0 or more; None for ``max``, ``-1``, and what is no number."""
    return float(text) if text.isdigit() else None
