"""One curve per arm, over its seeds: what is mirrored beside the runs, for viewers that draw a sample of them only."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.arms import counted_runs
from analysis.records.load import Records
from analysis.statistics import estimates

STATISTICS = ("mean", "median", "low", "high", "n")


class ArmCurve(NamedTuple):
    """The runs of one arm and phase together.

    rows: one per step at which any of them was evaluated: `step`; `<metric>/<statistic>` over the runs that
    have a value there (a diverged run has none after it diverged; n says how many have); `solved/share`, the
    share of all runs that had solved the task by then. low ... high is the interval of the median at .95, from 6 runs
    on; below that the range (analysis/tests.py).
    """

    first: "pd.Series[Any]"  # one of its runs
    records: list[str]  # study folder / run folder of each of them
    rows: list[dict[str, float]]
    summary: dict[str, Any]


def of_arms(records: Records) -> Iterator[ArmCurve]:
    """Every arm with a run that counts, in the order of its name."""
    scored = counted_runs.scored(records.runs)
    values = records.curves.astype({"run_id": object, "metric": object})
    for _, runs in scored.groupby(["task", "name", "arm", scored["phase"].fillna("")], sort=True):
        yield of_arm(runs, values[values["run_id"].isin(set(runs["run_id"]))])


def of_arm(runs: pd.DataFrame, curves: pd.DataFrame) -> ArmCurve:
    """The runs of one arm, and their curves."""
    rows: dict[int, dict[str, float]] = {}
    for key, group in curves.groupby(["step", "metric"], sort=True):
        step, metric = int(group["step"].iloc[0]), list(key)[1]
        numbers = over_seeds(group["value"].to_numpy(float))
        row = rows.setdefault(step, {"step": step})
        row.update({f"{metric}/{name}": value for name, value in numbers.items()})
    solved_at = runs["results.steps_to_solve"].where(runs["solved"], np.inf)
    for step, row in rows.items():
        row["solved/share"] = float((solved_at <= step).mean())
    return ArmCurve(runs.iloc[0], sorted(runs["record"]), list(rows.values()), summarised(runs))


def over_seeds(values: "np.ndarray[Any, np.dtype[np.float64]]") -> dict[str, float]:
    """One value per seed, put together."""
    spread = estimates.median_interval(values)
    return {
        "mean": float(values.mean()),
        "median": spread.median,
        "low": spread.low,
        "high": spread.high,
        "n": len(values),
    }


def summarised(runs: pd.DataFrame) -> dict[str, Any]:
    """The scores of an arm; a diverged run is worse than every other, and what it makes infinite is left out."""
    found = {f"score_{name}": value for name, value in over_seeds(runs["score"].to_numpy(float)).items()}
    diverged = int((runs["status"] == "diverged").sum())
    counts = {"solve_rate": float(runs["solved"].mean()), "diverged_runs": diverged, "runs": len(runs)}
    return counts | {name: value for name, value in found.items() if np.isfinite(value)}
