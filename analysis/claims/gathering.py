"""The runs that a comparison is made of, and whether they can be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.claim import Claim, Comparison
from analysis.claims.finding import NotRunError
from analysis.claims.measures import LOSS, MEMORY, budget, column, measured
from analysis.records import inside

Arms = Mapping[str, pd.DataFrame]  # the confirmation runs of each arm by its identity, one row per seed
Cells = Mapping[
    tuple[str, str], pd.DataFrame
]  # the runs by task and the arm's name, one row per seed, seeds in one order


def gathered(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison, seeds: Sequence[int]) -> dict[Any, Any]:
    """The runs that a comparison is made of; NotRunError if one is missing.

    frozen: `cells` says which identity an arm has on a task.
    """
    cells = cells_of(frozen, comparison)
    if not frozen.get("search"):
        return {(cell["task"], cell["arm"]): values(arms, cell, seeds) for cell in cells}
    found = {(cell["task"], cell["arm"]): arms[cell["identity"]] for cell in cells if cell["identity"] in arms}
    if len(found) < len(cells):
        raise NotRunError(f"{comparison.task}: {len(found)} of {len(cells)} runs of the search")
    return found


def cells_of(frozen: Mapping[str, Any], comparison: Comparison) -> list[Mapping[str, Any]]:
    """What was frozen for every arm on every task that a comparison is about; NotRunError if a part is missing."""
    claim = comparison.claim
    cells = [cell for cell in frozen["cells"] if cell["task"] in (comparison.task, claim.against)]
    if claim.metric == "share":
        return [cell for cell in cells if cell["task"] == comparison.task]
    wanted = [(task, arm) for task in tasks_of(comparison) for arm in (comparison.arm, claim.baseline)]
    known = {(cell["task"], cell["arm"]): cell for cell in cells}
    if absent := [key for key in wanted if key not in known]:
        raise NotRunError(f"{absent[0][1]}, {absent[0][0]}: not a part of the study")
    return [known[key] for key in wanted]


def tasks_of(comparison: Comparison) -> list[str]:
    return [comparison.task, *([comparison.claim.against] if comparison.claim.against else [])]


def values(arms: Arms, cell: Mapping[str, Any], seeds: Sequence[int]) -> pd.DataFrame:
    """The runs of an arm on a task, one row per seed in the order of `seeds`."""
    found = arms.get(cell["identity"])
    if found is None or len(found) < len(seeds):
        place, count = f"{cell['arm']}, {cell['task']}", 0 if found is None else len(found)
        raise NotRunError(f"{place}: {count} of {len(seeds)} confirmation runs")
    return pd.DataFrame(found.loc[list(seeds)])


def identities(frozen: Mapping[str, Any], comparison: Comparison) -> set[str]:
    """The arms whose runs a comparison is made of."""
    return {cell["identity"] for cell in cells_of(frozen, comparison)}


def same_data(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Raise NotRunError unless the runs of each seed saw the same data."""
    differs = first["data_digest"].isna() | (first["data_digest"] != second["data_digest"])
    if differs.any():
        seeds = ", ".join(str(seed) for seed in first.index[differs])
        raise NotRunError(f"the runs of seed {seeds} did not see the same data")


def measurable(claim: Claim, *arms: pd.DataFrame) -> None:
    """Raise NotRunError unless the claim's metric has a value for every run, and a ratio where one is asked for."""
    for runs in arms:
        if claim.metric == "solved":
            continue
        if claim.scale == "ratio" and claim.metric == "score" and runs["task.direction"].iloc[0] == "max":
            metric = runs.get("task.metric", pd.Series(["score"])).iloc[0]
            raise NotRunError(f"a ratio of {metric}, of which more is better, is no scale: scale=difference")
        name = {"memory": MEMORY, "loss": LOSS}.get(claim.metric)
        if name and not (name in runs and (runs[name].notna() | (runs["status"] == "diverged")).all()):
            raise NotRunError(
                "dc_T / dc_0 was not measured: train.steps=0" if name == MEMORY else "the loss was not recorded"
            )
        if claim.found:
            lacking = np.isnan(column(runs, inside.COLUMN + claim.found)) & (runs["status"] != "diverged").to_numpy()
            if lacking.any():
                raise NotRunError(
                    f"no {claim.metric}: python -m experiments.inspect finds it, where the variant has it"
                )
        if claim.scale == "ratio" and (measured(runs, claim, budget(runs)).low < 0).any():
            raise NotRunError(f"a ratio of {claim.metric} needs values of 0 or more: scale=difference")
