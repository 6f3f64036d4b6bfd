"""Cores, memory and devices that may be used: affinity, control groups, Slurm; whoever sizes a sweep asks."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from sweeps import ROOT, jobs

from analysis.common import resources
from experiments.config.schema import ConfigError
from experiments.sweep.plan import make_plan
from experiments.sweep.run_all import run_all
from lstm_variants import engines, make_cell

GIB = 2**30
MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   16777216 kB\n"
V1_CPU = "31 23 0:28 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY = "32 23 0:29 {top} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
V2 = "30 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


def machine(root: Path, groups: str, mounts: str, files: Mapping[str, str]) -> Path:
    """A root folder with these files of Linux."""
    known = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, "proc/meminfo": MEMINFO}
    for name, text in {**known, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def found(root: Path, **environment: str) -> tuple[int, float, float]:
    """Cores, and gigabytes: the limit and what is free."""
    answers = [ask(root, environment) for ask in (resources.memory_limit, resources.memory_free)]
    return resources.cores(root, environment), answers[0] / GIB, answers[1] / GIB


def test_without_limits_it_is_the_affinity_and_what_the_machine_has_free(tmp_path: Path) -> None:
    v2 = machine(tmp_path / "2", "0::/", V2.format(top="/"), {"cpu.max": "max 100000", "memory.max": "max"})
    assert found(v2) == (16, 32, 16)
    huge = {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "memory/memory.limit_in_bytes": "9223372036854771712"}
    v1 = machine(
        tmp_path / "1", "3:memory:/\n2:cpu,cpuacct:/", V1_CPU.format(top="/") + V1_MEMORY.format(top="/"), huge
    )
    assert found(v1) == (16, 32, 16)
    assert found(tmp_path / "nothing there")[0] == 16


@pytest.mark.parametrize(("quota", "cores"), [("400000 100000", 4), ("150000 100000", 2), ("20000 100000", 1)])
def test_a_quota_counts_a_part_of_a_core_as_a_core(tmp_path: Path, quota: str, cores: int) -> None:
    assert found(machine(tmp_path, "0::/", V2.format(top="/"), {"cpu.max": quota}))[0] == cores


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {
        "job.slice/cpu.max": "300000 100000",
        "job.slice/memory.max": f"{8 * GIB}",
        "job.slice/memory.current": f"{5 * GIB}",
        "job.slice/memory.stat": f"anon 1\ninactive_file {1 * GIB}",
        "job.slice/step/cpu.max": "max 100000",
        "job.slice/step/memory.max": "max",
        "job.slice/step/memory.high": f"{6 * GIB}",
        "job.slice/step/memory.current": f"{1 * GIB}",
    }
    assert found(machine(tmp_path, "0::/job.slice/step", V2.format(top="/"), files)) == (3, 6, 4)


def test_version_1_in_a_container_that_sees_its_own_group_as_the_topmost(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": f"{4 * GIB}",
        "memory/memory.usage_in_bytes": f"{3 * GIB}",
        "memory/memory.stat": f"total_inactive_file {GIB}",
    }
    mounts = V1_CPU.format(top="/docker/abc") + V1_MEMORY.format(top="/docker/abc") + V2.format(top="/")
    groups = "4:memory:/docker/abc\n3:cpuacct,cpu:/docker/abc\n0::/docker/abc"
    assert found(machine(tmp_path / "a", groups, mounts, files)) == (3, 4, 2)
    assert found(machine(tmp_path / "b", groups.replace("/docker/abc", "/../.."), mounts, files)) == (3, 4, 2)


def test_more_used_than_allowed_is_nothing_free(tmp_path: Path) -> None:
    files = {"memory.max": f"{GIB}", "memory.current": f"{2 * GIB}"}
    assert found(machine(tmp_path, "0::/", V2.format(top="/"), files))[2] == 0


def test_a_slurm_allocation_counts_where_nothing_is_enforced(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/", "", {})
    assert found(root, SLURM_CPUS_ON_NODE="8", SLURM_MEM_PER_NODE="2048") == (8, 2, 2)
    assert found(root, SLURM_CPUS_ON_NODE="8", SLURM_CPUS_PER_TASK="2", SLURM_MEM_PER_CPU="512") == (2, 4, 4)
    assert found(root, SLURM_MEM_PER_NODE="0") == (16, 32, 16)


def test_workers_threads_and_stacks_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = jobs(tmp_path, seeds=8)
    monkeypatch.setattr(resources, "memory_free", lambda: 4 * GIB)
    monkeypatch.setattr(resources, "cores", lambda: 6)
    plan = make_plan(many)
    assert (plan.workers, plan.todo[0].threads) == (6, 1)
    assert [make_plan(many, workers=2).todo[0].threads, make_plan(many[:1]).todo[0].threads] == [3, 6]
    monkeypatch.setattr(resources, "memory_free", lambda: GIB)
    assert make_plan(many).workers == 2
    assert make_plan(many, workers=5).workers == 5


@pytest.mark.skipif(sys.platform != "linux", reason="an affinity is Linux's")
def test_one_core_allowed_is_one_worker() -> None:
    allow = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    ask = "from analysis.common import resources; print(resources.cores())"
    command = [sys.executable, "-c", allow + ask]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "1\n"


def test_nobody_asks_the_machine_itself() -> None:
    for package in ("lstm_variants", "experiments", "analysis"):
        for path in (ROOT / package).rglob("*.py"):
            asked = [word for word in ("cpu_count", "sysconf(", "sched_getaffinity") if word in path.read_text()]
            assert not asked or path.name == "resources.py", f"{path} asks {asked}"


def test_auto_is_the_cpu_and_a_gpu_is_used_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    auto, cuda = (jobs(tmp_path, f"device={device}", seeds=1)[:1] for device in ("auto", "cuda"))
    with pytest.raises(ConfigError, match=r"^device=cuda: no CUDA device here; legal are auto, cpu$"):
        run_all(cuda, show=False)
    assert list(tmp_path.iterdir()) == []
    assert len(make_plan(cuda, here=False).todo) == 1  # a cluster's nodes may have what this machine lacks
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    (run,) = run_all(auto, workers=1, show=False)
    assert run.record["environment"]["device"] == "cpu"
    (asked_for,) = run_all(jobs(tmp_path, "device=cuda", "seed=1", seeds=1)[:1], workers=1)
    assert asked_for.status == "finished" or "CUDA" in asked_for.record["error"]  # this torch may know no GPU
    assert "device=cuda: not measured on this hardware" in capfd.readouterr().err
    cell = make_cell(cuda[0].variant.spec)
    engine = engines.choose("auto", cell, torch.device("cuda"), torch.float32)
    assert (engine.name, "not measured on this hardware" in engine.reason) == ("reference", True)
