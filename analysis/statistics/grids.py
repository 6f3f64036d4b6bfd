"""Which settings a set of runs varies, and whether they make a balanced grid or a random search."""

import numpy as np
import pandas as pd

from analysis.arms import arms
from analysis.statistics.outcomes import Array

FEEDS = ".feeds"
MOST = 4  # factors whose interactions can still be read


def responses(runs: pd.DataFrame) -> list[Array]:
    """What variance is taken of, of the runs of one task: the log of a loss, the score otherwise; shape (n,) each.

    Where runs diverged it is taken twice, at both ends of what they may be: as bad as the worst that did not, and so
    bad that nothing counts but which did.
    """
    diverged = (runs["status"] == "diverged").to_numpy()
    scores = runs["score"].to_numpy(dtype=float)
    if diverged.all():
        return [np.zeros(len(runs))]
    lower, known = runs["task.direction"].iloc[0] == "min", scores[~diverged]
    scores = np.where(diverged, known.max() if lower else known.min(), scores)
    values = np.log(scores) if lower and known.min() > 0 else scores
    return [values, diverged.astype(float)] if diverged.any() else [values]


def varied(runs: pd.DataFrame) -> list[str]:
    """The settings, the task's and the seed aside, that have several values."""
    keys = [key for key in runs.columns if key.startswith(arms.RESOLVED) and not key.startswith(arms.TASK)]
    return [key for key in keys if key not in arms.NEVER and len(arms.present(runs[key])) > 1]


def factors(runs: pd.DataFrame) -> pd.DataFrame:
    """The factors that the runs vary, as text: a gate's feeds are one for each of x, h, b; one of a kind each."""
    found: dict[str, pd.Series] = {}
    for key in varied(runs):
        short = key.removeprefix(arms.RESOLVED).removeprefix("variant.")
        values = runs[key].map(lambda value: "" if arms.missing(value) else arms.spelled(value))
        if key.endswith(FEEDS):
            gate = short.removesuffix(FEEDS)
            found |= {f"{gate}: {letter}": values.map(lambda feeds, x=letter: str(x in feeds)) for letter in "xhb"}
        else:
            found[short] = values
    kinds = {tuple(pd.factorize(values)[0]): name for name, values in reversed(found.items()) if values.nunique() > 1}
    return pd.DataFrame({name: found[name] for name in found if name in set(kinds.values())}, index=runs.index)


def searched(runs: pd.DataFrame) -> pd.DataFrame | None:
    """The numeric knobs of a random search, logs where they span decades; None unless nearly every run has its own."""
    if runs["arm"].nunique() < 0.9 * len(runs):
        return None
    keys = [key for key in varied(runs) if pd.api.types.is_numeric_dtype(runs[key]) and runs[key].nunique() > MOST]
    knobs = {
        key.removeprefix(arms.RESOLVED): np.log(runs[key]) if runs[key].max() > 10 * runs[key].min() > 0 else runs[key]
        for key in keys
    }
    return pd.DataFrame(knobs, index=runs.index).astype(float) if knobs else None
