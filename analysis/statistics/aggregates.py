"""Statistics over many tasks, and shares of variance over many settings: pure functions on arrays and frames."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.statistics.outcomes import Array

ENOUGH_RUNS, ENOUGH_FIT = 200, 0.8  # runs and out-of-bag R2 from which on importances are read
TREES = 32  # of the forest of a functional ANOVA
GROUPS = 10  # of the jackknife of an importance


class Importance(NamedTuple):
    """How much of the variance of a random search each knob explains, if the model fits well enough to say."""

    shares: dict[str, float]
    fit: float  # out-of-bag R2
    decided: bool


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """The chance that a run of the first arm scores above one of the second, on average over tasks; a tie counts half.

    A diverged run is -inf: below all that are finite, and another one tells nothing of which is better: a tie.

    first, second: shapes (seeds, tasks) and (other seeds, tasks) (Agarwal et al. 2021, rliable).
    """
    a, b = matrix(first, "probability_of_improvement"), matrix(second, "probability_of_improvement")
    above, below = a[:, None], b[None]
    return float(((above > below) + 0.5 * (above == below)).mean())


def matrix(values: ArrayLike, asked: str) -> Array:
    """The values as a float array (seeds, tasks); ValueError if it has another shape or a NaN."""
    x = np.asarray(values, dtype=float)
    if x.ndim != 2 or not x.size or np.isnan(x).any():
        raise ValueError(f"{asked} takes scores of shape (seeds, tasks), got shape {x.shape}")
    return x


def anova(runs: pd.DataFrame, response: str, factors: Sequence[str]) -> pd.DataFrame:
    """Exact analysis of variance of a balanced grid, with every interaction; the seeds of a cell are its replicates.

    runs: one row a run with the columns `response` and `factors` (taken as categories). Returns one row per effect
    (`a`, `b`, `a × b`) and `residual`: df, share (of the total sum of squares), F, p. Raises ValueError unless every
    combination has the same number of runs, at least two (Montgomery, Design and Analysis of Experiments, 5;
    statsmodels anova_lm).
    """
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    cells = runs.groupby(list(factors)).size()
    combinations = int(np.prod([runs[factor].nunique() for factor in factors]))
    if len(cells) != combinations or cells.nunique() != 1 or cells.iloc[0] < 2:
        raise ValueError(f"a balanced grid is needed: {len(cells)} of {combinations} cells, with {set(cells)} runs")
    plain = pd.DataFrame({f"f{i}": pd.factorize(runs[name])[0] for i, name in enumerate(factors)})
    plain["y"] = np.asarray(runs[response], dtype=float)
    table = anova_lm(ols("y ~ " + " * ".join(f"C(f{i})" for i in range(len(factors))), plain).fit(), typ=2)
    named = {f"C(f{i})": name for i, name in enumerate(factors)}
    table.index = pd.Index([" × ".join(named.get(p, "residual") for p in row.split(":")) for row in table.index])
    shares = table["sum_sq"] / table["sum_sq"].sum()
    return pd.DataFrame({"df": table["df"].astype(int), "share": shares, "F": table["F"], "p": table["PR(>F)"]})


def replicated_shares(table: ArrayLike) -> list[float]:
    """Shares of the variance over a replicated balanced grid: each factor's alone, then that of their interactions.

    table: shape (seeds, levels of the first factor, levels of the second, ...), two seeds at least. The variances of
    the level means and of the cell means are freed of what the seeds add to them, so that they are 0 on average where
    there is no effect (they may fall below it); what all shares leave of 1 is the seed's. Zeros where nothing varies.
    (Montgomery, Design and Analysis of Experiments, 5; seeds are blocks: what a seed adds to all cells is no noise.)
    """
    x = np.asarray(table, dtype=float)
    whole, means, levels = float(x.var()), x.mean(axis=0), x.shape[1:]
    if not whole:
        return [0.0] * (len(levels) + 1)
    left = x - means - x.mean(axis=tuple(range(1, x.ndim)), keepdims=True) + x.mean()
    noise = float((left**2).sum()) / ((len(x) - 1) * (means.size - 1)) / (len(x) * means.size)  # per degree of freedom
    others = [tuple(axis for axis in range(means.ndim) if axis != factor) for factor in range(means.ndim)]
    raw = [float(means.mean(axis=axes).var()) for axes in others]
    freedom = [count - 1 for count in levels]
    effects = [*raw, float(means.var()) - sum(raw)]
    freedom.append(means.size - 1 - sum(freedom))
    return [(effect - df * noise) / whole for effect, df in zip(effects, freedom, strict=True)]


def importance(runs: pd.DataFrame, response: str, knobs: Sequence[str], seed: int = 0) -> Importance:
    """Shares of variance over a random search: undecided below 200 runs or an out-of-bag R2 of .8.

    runs: one row a run of one task, with the numeric columns `response` and `knobs` (logs where drawn so). A share is
    that of a knob alone. What the shares leave of 1 is no measure of interactions: the forest makes some by
    itself. Raises ImportError without optuna.
    """
    from sklearn.ensemble import RandomForestRegressor

    x, y = runs[list(knobs)].to_numpy(dtype=float), runs[response].to_numpy(dtype=float)
    fit = float(RandomForestRegressor(200, oob_score=True, random_state=seed).fit(x, y).oob_score_)
    shares = functional_anova(x, y, knobs, seed, TREES)
    return Importance(shares, fit, len(y) >= ENOUGH_RUNS and fit >= ENOUGH_FIT)


def importance_without(
    runs: pd.DataFrame, response: str, knobs: Sequence[str], seed: int = 0
) -> list[dict[str, float]]:
    """The shares of `importance` without each of GROUPS tenths of the runs: what `stats.jackknife` takes."""
    x, y = runs[list(knobs)].to_numpy(dtype=float), runs[response].to_numpy(dtype=float)
    groups = np.arange(len(y)) % GROUPS
    kept = [groups != group for group in range(GROUPS)]
    return [functional_anova(x[rows], y[rows], knobs, seed, TREES) for rows in kept]


def functional_anova(x: Array, y: Array, knobs: Sequence[str], seed: int, trees: int) -> dict[str, float]:
    """The share of the variance that each knob explains alone, of finished runs x (runs, knobs), y (runs,).

    Functional ANOVA of a random forest (Hutter, Hoos & Leyton-Brown 2014; optuna, the extra `importance`).
    """
    shares = forest_shares(np.ascontiguousarray(x).tobytes(), np.ascontiguousarray(y).tobytes(), len(y), seed, trees)
    return dict(zip(knobs, shares, strict=True))


@functools.lru_cache(maxsize=64)  # the comparisons of a study ask for the same shares
def forest_shares(x: bytes, y: bytes, runs: int, seed: int, trees: int) -> list[float]:
    """What `functional_anova` computes, of the same arrays as bytes."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    points, values = np.frombuffer(x).reshape(runs, -1), np.frombuffer(y).tolist()
    knobs = [f"{place:03}" for place in range(points.shape[1])]
    ranges: dict[str, optuna.distributions.BaseDistribution] = {
        knob: optuna.distributions.FloatDistribution(low, high)
        for knob, low, high in zip(knobs, points.min(0).tolist(), points.max(0).tolist(), strict=True)
    }
    settings = [dict(zip(knobs, point, strict=True)) for point in points.tolist()]
    trials = [
        optuna.create_trial(params=point, distributions=ranges, value=value)
        for point, value in zip(settings, values, strict=True)
    ]
    study = optuna.create_study()
    study.add_trials(trials)
    found = optuna.importance.FanovaImportanceEvaluator(seed=seed, n_trees=trees).evaluate(study)
    return [float(found[knob]) for knob in knobs]
