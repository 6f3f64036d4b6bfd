"""A process that keeps what it frees gets no fresh pages for the same large blocks."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from experiments.allocator import keep_freed_memory
keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(48 << 18)  # 48 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(4)][-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux with glibc")
def test_freed_memory_is_used_again() -> None:
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1000  # 61,440 where every block is fresh
