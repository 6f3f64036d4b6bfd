"""A process that keeps what it frees gets no fresh pages for the same large blocks."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from experiments.training.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(48 << 18)  # 48 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(4)][-1])
"""


def faults(memory: str) -> int:
    run = subprocess.run([sys.executable, "-c", FAULTS, memory], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux with glibc")
def test_freed_memory_is_used_again() -> None:
    fresh = faults("give back")
    if fresh < 1000:  # 61,440 where every page is of 4 kB
        pytest.skip("pages are so large here that fresh blocks have few faults too")
    assert faults("keep") < fresh / 10
