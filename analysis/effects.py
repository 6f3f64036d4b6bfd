"""Every variant against the complete LSTM, on every task: what the heat map and the probability of improvement draw.

These are descriptions of a whole report; what was frozen to be decided is in `analysis/claims.py`.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis import checks, stats, theme
from analysis.claim import EQUIVALENT, Claim
from analysis.measures import difference

COLUMNS = ["task", "name", "baseline", "pairs", "scale", "effect", "low", "high", "better", "worse", "p", "p_same"]
COLUMNS += ["p_adjusted", "p_same_adjusted", "verdict"]


def against_baseline(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per task and variant that shares seeds, on the same data, with the LSTM.

    effect, low, high: the paired difference variant - LSTM, for losses the ratio variant / LSTM (`scale`), with its
    exact 95 % interval. better, worse: seeds on which the variant is. p: exact Wilcoxon, p_same: equivalence at the
    default margin; both are adjusted by Holm over the table, and make the verdict.
    """
    scored = checks.scored(runs)
    rows = []
    for task, panel in scored.groupby("task"):
        cells = {str(name): cell for name, cell in panel.groupby("name")}
        for name in cells:
            baseline = opposite(panel, name)
            if baseline is not None:
                rows.append(
                    {"task": task, "name": name, **compared(cells[name], cells[baseline]), "baseline": baseline}
                )
    found = pd.DataFrame([row for row in rows if row.get("pairs")], columns=COLUMNS)
    found = found.assign(p_adjusted=stats.holm(found["p"]), p_same_adjusted=stats.holm(found["p_same"]))
    return found.assign(verdict=[verdict(row) for _, row in found.iterrows()])


def opposite(panel: pd.DataFrame, name: str) -> str | None:
    """The row of the complete LSTM to compare `name` with: the one with its settings if there are several."""
    base = theme.baselines(panel, theme.order(panel))
    if name in base:
        return None
    suffix = name.partition(" (")[2]
    return next((row for row in base if row.partition(" (")[2] == suffix), base[0] if len(base) == 1 else None)


def compared(cell: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, object]:
    """The paired difference of two rows of one task; nothing if no seed of theirs saw the same data."""
    both = cell.merge(baseline[["seed", "data_digest"]].dropna(), on=["seed", "data_digest"])[["seed"]]
    if both.empty:
        return {}
    first, second = (rows.set_index("seed").loc[both["seed"]] for rows in (cell, baseline))
    lower = cell["task.direction"].iloc[0] == "min"
    scale = "ratio" if lower and min(first["score"].min(), second["score"].min()) > 0 else "difference"
    d = difference(first, second, Claim(metric="score", scale=scale))
    estimate = np.array(stats.paired_difference(d))
    low = np.exp(np.clip(estimate, -700, 700)) if scale == "ratio" else estimate
    margin = EQUIVALENT["score", scale]
    better = d < 0 if lower else d > 0
    return {
        "pairs": len(d),
        "scale": scale,
        **dict(zip(("effect", "low", "high"), low, strict=True)),
        "better": int(better.sum()),
        "worse": int((d != 0).sum() - better.sum()),
        "p": stats.signed_rank_p(d),
        "p_same": stats.equivalence_p(d, float(np.log(margin)) if scale == "ratio" else margin),
    }


def verdict(row: "pd.Series[Any]") -> str:
    """better, worse, same or undecided, at .05 after Holm."""
    if row["p_adjusted"] <= 1 - stats.LEVEL:
        return "better" if row["better"] > row["worse"] else "worse"
    return "same" if row["p_same_adjusted"] <= 1 - stats.LEVEL else "undecided"
