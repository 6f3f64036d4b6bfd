"""The cluster of one node that tests/slurm/start-one-node.sh starts: whether it is up, and who has it."""

import functools
import os
import re
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

START = Path(__file__).parents[1] / "slurm" / "start-one-node.sh"


@functools.cache
def answers() -> bool:
    """Whether the cluster that start-one-node.sh makes is up here; tests leave anybody else's alone."""
    name = re.findall(r"^ClusterName=.*", START.read_text(), re.MULTILINE)
    try:
        shown = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return [line.replace(" ", "") for line in shown.splitlines() if line.startswith("ClusterName")] == name


def whole_cluster() -> FileLock:
    """One test at a time has the one node, whichever process it is in."""
    return FileLock(Path(tempfile.gettempdir()) / f"gates-slurm-{os.getuid()}.lock")
