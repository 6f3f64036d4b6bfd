"""The two tidy frames that everything is computed from: one row a run, and one row a number of a curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.arms import arms
from analysis.records.read import Curves

NUMBERS = ["task.length", "task.chance", "task.solved", "parameters.layer", "parameters.total"]
NUMBERS += ["parameters.hidden_size", "results.score", "results.steps", "results.steps_to_solve"]
NUMBERS += ["results.final.eval/loss", "timing.seconds", "timing.steps_per_second"]
FILES = "task.content."


def one_name_per_file(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, in which a file has one name, the first of those it goes by, and a name is that of one file.

    A setting that names a file has its content in `task.content.` beside it, which is what makes the run.
    """
    for column in [column for column in runs.columns if column.startswith(FILES)]:
        setting = f"{arms.TASK}{column.removeprefix(FILES)}"
        known = runs[runs[column].notna()]
        several = known.groupby(setting)[column].transform("nunique") > 1
        ambiguous = known[column].isin(known.loc[several, column])
        name = known.groupby(column)[setting].transform("min")
        name = name.where(~ambiguous, name + " [" + known[column].str[:8] + "]")
        runs = runs.assign(**{setting: name.reindex(runs.index).fillna(runs[setting])})
    return runs


def frame(rows: pd.DataFrame) -> pd.DataFrame:
    """The tidy frame of runs, with the columns that this module adds."""
    rows = one_name_per_file(rows)
    runs = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *NUMBERS, "results.solved"])))
    runs = runs.astype(dict.fromkeys(NUMBERS, float)).copy()  # in one piece: many columns are slow to add to otherwise
    worst = pd.Series(np.where(runs["task.direction"] == "min", np.inf, -np.inf), runs.index)
    runs["score"] = runs["results.score"].where(runs["status"] == "finished", np.nan)
    runs["score"] = runs["score"].where(runs["status"] != "diverged", worst)
    runs["solved"] = [solved is True for solved in runs["results.solved"]]
    runs["solved"] &= runs["status"] == "finished"
    return arms.named(runs).copy()  # again, since it is put together from parts


def long(kept: pd.DataFrame, curves: Sequence[Curves]) -> pd.DataFrame:
    """One row per number. `kept` are the runs to have them of, its index their places in `curves`."""
    chosen = [(run, curves[place]) for run, place in enumerate(kept.index)]
    headers = dict.fromkeys(curve.metrics for _, curve in chosen)
    names = sorted({metric for header in headers for metric in header})
    parts = [melted([pair for pair in chosen if pair[1].metrics == header], header, names) for header in headers]
    runs, steps, metrics, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    run_id = pd.Categorical.from_codes(runs, pd.Index(kept["run_id"]))
    metric = pd.Categorical.from_codes(metrics, pd.Index(names))
    return pd.DataFrame({"run_id": run_id, "step": steps.astype(int), "metric": metric, "value": values})


def melted(chosen: Sequence[tuple[int, Curves]], header: Sequence[str], names: Sequence[str]) -> list[NDArray[Any]]:
    """The numbers of runs that have one header, without the empty cells: run, step, place in `names`, value."""
    whole = np.concatenate([curve.table for _, curve in chosen])
    runs = np.repeat([run for run, _ in chosen], [len(curve.table) for _, curve in chosen])
    places = np.array([names.index(metric) for metric in header], dtype=int)
    row, column = np.nonzero(~np.isnan(whole[:, 1:]))
    return [runs[row], whole[row, 0], places[column], whole[row, 1 + column]]
