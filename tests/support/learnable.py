"""Every synthetic task's smallest useful size, and a variant that solves it there: ``make learnable`` prints the table.

Each line is trained until two successive evaluations pass the task's threshold; one that does not get there fails. The
two tasks that have no threshold must end better than their chance line.
"""

import sys
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

import experiments
from experiments.sweep.run_stack import Run

COMMON = {"variant": "lstm", "train.lr": 0.01, "model.hidden_size": 16, "train.stop_at_solved": True, "threads": 1}
SMALL = {"task.length": 10}
CHRONO = {"init": "chrono", "model.hidden_size": 32, "train.lr": 0.02, "train.steps": 4000, "train.schedule": "linear"}
CASES: dict[str, dict[str, Any]] = {
    "adding": SMALL | {"train.steps": 1000},
    "adding 1997": CHRONO | {"task": "adding", "task.layout": "'1997'", "task.length": 100},
    "multiplication": CHRONO | {"task.length": 100},
    "continual_adding": {"task.shortest": 6, "task.longest": 8, "train.steps": 3000},
    "continual_reber": {"train.steps": 1500},
    "embedded_reber": {"train.steps": 3000},
    "temporal_order": SMALL | {"train.steps": 1000},
    "continual_temporal_order": {"task.string_length": 10, "train.steps": 1000},
    "noisy_lag": CHRONO | SMALL,
    "copy": CHRONO | {"task.length": 1, "model.hidden_size": 64, "train.steps": 6000},
    "variable_copy": CHRONO | {"task.length": 2, "model.hidden_size": 64, "train.steps": 6000},
    "selective_copy": SMALL | {"task.items": 2, "task.tokens": 4, "train.steps": 1500},
    "associative_recall": {
        "task.length": 8,
        "task.symbols": 12,
        "task.pairs": 2,
        "model.hidden_size": 64,
        "train.steps": 6000,
    },
    "parity": {"task.length": 5, "model.hidden_size": 8, "train.steps": 1500, "train.lr": 0.02},
    "counting": {"train.steps": 2000},
    "timing": CHRONO | {"task.length": 200},
    "arithmetic": {"task.length": 1, "model.hidden_size": 64, "train.steps": 2000},
    "xml": {"task.length": 1, "model.hidden_size": 32, "train.steps": 1000},
}


def learn(name: str) -> Run:
    """Train one case."""
    return experiments.run(**({"task": name, "train.eval_every": 100} | COMMON | CASES[name]))


def learned(run: Run) -> bool:
    """Whether the threshold was reached, or the chance line left behind where there is no threshold."""
    task, score = run.record["task"], run.score
    if task["solved"] is not None:
        return bool(run.record["results"]["solved"])
    return score is not None and (score < task["chance"] if task["direction"] == "min" else score > task["chance"])


def main() -> int:
    """Train every case, or those named, and print the table."""
    rows, failed = [], []
    for name in tqdm(sys.argv[1:] or CASES, disable=None):
        run = learn(name)
        results, task = run.record["results"], run.record["task"]
        changed = ", ".join(f"{key}={value}" for key, value in CASES[name].items() if key != "task")
        rows.append((f"`{task['name']}`", changed, f"{task['metric']} {run.score:.3g}", results["steps_to_solve"]))
        if not learned(run):
            failed.append(name)
    print(tabulate(rows, ("task", "settings", "reached", "steps to solve"), tablefmt="github"))
    if failed:
        print(f"not learned: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
