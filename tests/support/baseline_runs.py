"""Makes tests/data/baseline_runs.csv, the real runs from which test_calibration.py draws its studies.

PYTHONPATH=. python tests/support/baseline_runs.py

240 runs of the complete LSTM on adding at a length of 6: 60 seeds at each of 4 learning rates, 240 steps. A row has
the learning rate, the seed, the final mean squared error, and the steps to solve (empty: not within the 240).
"""

from pathlib import Path

import experiments

FILE = Path(__file__).parents[1] / "data" / "baseline_runs.csv"
STEPS = 240
AXES = {"train.lr": [0.012, 0.024, 0.048, 0.096], "seed": range(60)}
SIZES = {"task.length": 6, "model.hidden_size": 4, "train.batch_size": 16}
BUDGET = {"train.steps": STEPS, "train.eval_every": 20, "train.eval_size": 64}


def main() -> None:
    runs = experiments.sweep(AXES, workers=2, task="adding", threads=1, **SIZES, **BUDGET)
    runs = runs.rename(columns={"train.lr": "lr"})[["lr", "seed", "score", "steps_to_solve"]]
    runs.to_csv(FILE, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
