"""10,000 synthetic runs: read within 15 s, from the cache within 2 s, the whole report within 60 s and 2 GiB."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import records

ROOT = Path(__file__).parents[3]
LOAD = "import time; from analysis.records.load import load; t = time.perf_counter(); r = load(['{}']); "
LOAD += "print(len(r.runs), time.perf_counter() - t)"
LIMITS = {"cold": 15.0, "cached": 2.0, "report": 60.0}  # seconds
GIBIBYTE = 2**20  # in kB


def load(study: Path) -> tuple[int, float]:
    command = [sys.executable, "-c", LOAD.format(study)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count, seconds = done.stdout.split()
    return int(count), float(seconds)


def write(study: Path, seeds: int) -> int:
    """20 variants on 5 tasks, each tuned over 5 rates on 10 seeds and reported on `seeds`: 100 (50 + seeds) runs."""
    variants = ["lstm", *(f"cell{number}" for number in range(19))]
    for task in range(5):
        known = {"task__name": f"task{task}", "config__resolved__task": {"name": f"task{task}", "length": 50}}
        for variant in variants:
            for seed in range(50):
                rate = (0.001, 0.003, 0.01, 0.03, 0.1)[seed % 5]
                same = {"arm": f"{task}{variant}{seed % 5}", "run_id": f"tune-{task}-{variant}-{seed}"}
                records.write(study, variant, seed=seed // 5, phase="tune", train__lr=rate, **known, **same)
            for seed in range(100, 100 + seeds):
                same = {"arm": f"{task}{variant}2", "run_id": f"confirm-{task}-{variant}-{seed}"}
                records.write(study, variant, seed=seed, phase="confirm", train__lr=0.01, **known, **same)
    return 100 * (50 + seeds)


@pytest.mark.slow
def test_ten_thousand_runs_are_within_the_budget(tmp_path, full):
    if not full:
        pytest.skip("10,000 runs are written and read with --slow")
    study = tmp_path / "study"
    count = write(study, seeds=50)
    time.sleep(1.1)
    cold, cached = load(study), load(study)
    command = [sys.executable, "-m", "analysis.report", f"study={study}", f"out={tmp_path / 'out'}"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    measured = {"cold": cold[1], "cached": cached[1], "report": seconds, "kB": usage.ru_maxrss, "cpu": usage.ru_utime}
    print(json.dumps(measured))
    assert status == 0
    assert cold[0] == cached[0] == count == 10_000
    assert {name: measured[name] for name in LIMITS if measured[name] > LIMITS[name]} == {}
    assert usage.ru_maxrss < 2 * GIBIBYTE
