"""Claims: what a study was frozen to decide, and the verdict on it from the run records.

A study's `study.json` (written before its first confirmation run) holds the claims, what they compare and on which
seeds; nothing else decides. A comparison of two arms has one value per seed: d = arm - baseline (of logs for a ratio).

    reproduced   d lies on the claimed side of the bound, Holm-adjusted exact p <= alpha; "same": inside the margin
    refuted      the same for the other side; "same": outside the margin
    undecided    neither
    not run      a confirmation run of the comparison is missing, or the pairs did not see the same data

Holm goes over all comparisons of the study. A study with a declared extension looks twice, each time at half the alpha.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import MISSING

from analysis import aggregates, checks, stats
from analysis.commandline import CommandError
from analysis.runs import Records
from analysis.stats import Array, Estimate

SCHEMA = 1
FILE = "study.json"
ALPHA = 0.05
METRICS = ("score", "loss", "steps", "solved", "share")
SCALES, EXPECTATIONS = ("ratio", "difference"), ("higher", "lower", "same")
EQUIVALENT = {("score", "ratio"): 2.0, ("loss", "ratio"): 2.0, ("steps", "ratio"): 1.5, ("score", "difference"): 0.02}
LOSS, BUDGET = "results.final.eval/loss", "config.resolved.train.steps"
INTERACTIONS = "interactions"


@dataclass
class Claim:
    """A sentence that a study can decide.

    sentence, source: what is claimed, and who says so.
    metric: `score` (the task's main metric at the end), `loss` (at the end, infinite for a diverged run), `steps` (to
        solve), `solved` (or not), `share` (of the variance over a balanced grid of settings, explained by `knob`).
    scale: `ratio` (arm / baseline) or `difference` (arm - baseline, in the metric's unit).
    baseline, arms: names of arms of the study; every one of `arms` is compared with the baseline, on each of `tasks`.
    against: a task; the claim is then about the change between it and `tasks`: the interaction of arm and task.
    knob: for `share`: a factor of the study, or `interactions` for all that main effects leave.
    expect: `higher`, `lower` or `same`.
    margin: the bound. `higher` and `lower`: the least factor (default 1) or difference (0); `same`: the largest
        (default: a factor of 2 in score, 1.5 in steps, a difference of .02).
    """

    sentence: str = MISSING
    source: str = MISSING
    expect: str = MISSING
    metric: str = "score"
    scale: str = "ratio"
    baseline: str = ""
    arms: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    against: str | None = None
    knob: str | None = None
    margin: float | None = None

    @property
    def bound(self) -> float:
        """The margin in the unit of d: a log for a ratio."""
        if self.margin is None:
            size = EQUIVALENT[self.metric, self.scale] if self.expect == "same" else float(self.scale == "ratio")
        else:
            size = self.margin
        size = math.log(size) if self.scale == "ratio" else size
        return -size if self.expect == "lower" and self.metric != "share" else size


@dataclass(frozen=True)
class Verdict:
    """What the runs say about one comparison of a claim.

    estimate, low, high: the difference (`unit` says of what; a ratio is arm / baseline) with its paired interval at
    .95; p_adjusted: the exact p after Holm, for the side that is nearer. NaN where nothing was run.
    """

    sentence: str
    source: str
    study: str
    verdict: str
    estimate: float
    low: float
    high: float
    p_adjusted: float
    comparison: str
    note: str
    unit: str


class Comparison(NamedTuple):
    """One of the k comparisons of a study: an arm against the claim's baseline on a task, or a knob on a task."""

    claim: Claim
    task: str
    arm: str

    @property
    def text(self) -> str:
        if self.claim.metric == "share":
            return f"{self.arm}, {self.task}"
        against = f" against {self.claim.against}" if self.claim.against else ""
        return f"{self.arm} vs {self.claim.baseline}, {self.task}{against}"


class Paired(NamedTuple):
    """The values of one comparison: d per seed, its estimate on the claim's scale, and what a reader should know."""

    d: Array
    p: float  # exact, of the nearer side
    side: str  # the verdict if p is small enough
    shown: Estimate
    notes: list[str]


Arms = Mapping[str, pd.DataFrame]  # the confirmation runs of each arm by its identity, one row per seed


class NotRunError(Exception):
    """Why a comparison cannot be made yet."""


def read(folder: str | Path) -> dict[str, Any] | None:
    """The frozen decisions of a study folder; None if it has none. Raises CommandError if they cannot be used."""
    path = Path(folder) / FILE
    try:
        frozen = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    if not isinstance(frozen, dict) or frozen.get("schema") != SCHEMA:
        raise CommandError(f"{path} has another schema than {SCHEMA}: it was written by another version")
    return frozen


def judge(records: Records, frozen: Mapping[str, Any]) -> list[Verdict]:
    """The verdict on every comparison of a study, in the order in which the claims state them.

    records: the runs of the study, and perhaps of others; frozen: the content of its study.json.
    """
    wanted = comparisons([Claim(**claim) for claim in frozen["claims"]], list(frozen["tasks"]))
    runs = records.runs[(records.runs["study"] == frozen["study"]) & records.runs["status"].isin(checks.COUNTED)]
    extension = list(frozen["extension"])
    alpha = ALPHA / 2 if extension else ALPHA
    first = look(runs, frozen, wanted, list(frozen["seeds"]), alpha)
    if not extension or all(verdict.verdict != "undecided" for verdict in first):
        return first
    second = look(runs, frozen, wanted, [*frozen["seeds"], *extension], alpha)
    return [later(one, two) for one, two in zip(first, second, strict=True)]


def later(first: Verdict, second: Verdict) -> Verdict:
    """The second look settles what the first left undecided, once its runs are there."""
    return second if first.verdict == "undecided" and second.verdict != "not run" else first


def overall(verdicts: Sequence[Verdict]) -> str:
    """The verdict on a claim from those on its comparisons: it is reproduced only if every one of them is."""
    words = {verdict.verdict for verdict in verdicts} or {"not run"}
    return next((word for word in ("refuted", "not run", "undecided") if word in words), "reproduced")


def comparisons(claims: Iterable[Claim], tasks: Sequence[str]) -> list[Comparison]:
    """Every comparison that the claims ask for, a task at a time."""
    return [
        Comparison(claim, task, arm)
        for claim in claims
        for task in claim.tasks or [task for task in tasks if task != claim.against]
        for arm in ([str(claim.knob)] if claim.metric == "share" else claim.arms)
    ]


def look(
    runs: pd.DataFrame, frozen: Mapping[str, Any], wanted: Sequence[Comparison], seeds: Sequence[int], alpha: float
) -> list[Verdict]:
    """The verdicts on some seeds; a comparison that is not run keeps its place in Holm's count, with p = 1."""
    found: list[Paired | str] = []
    confirmed = runs[(runs["phase"] == "confirm") & runs["seed"].isin(seeds)]
    arms = {str(arm): group.set_index("seed") for arm, group in confirmed.groupby("arm")}
    for comparison in wanted:
        try:
            found.append(paired(arms, frozen, comparison, seeds))
        except NotRunError as reason:
            found.append(str(reason))
    adjusted = stats.holm([1.0 if isinstance(one, str) else one.p for one in found])
    return [
        verdict(frozen, comparison, one, float(p), alpha)
        for comparison, one, p in zip(wanted, found, adjusted, strict=True)
    ]


def verdict(frozen: Mapping[str, Any], comparison: Comparison, found: Paired | str, p: float, alpha: float) -> Verdict:
    claim = comparison.claim
    if isinstance(found, str):
        word, note, p, shown = "not run", found, math.nan, Estimate(math.nan, math.nan, math.nan)
    else:
        word, shown = found.side if p <= alpha else "undecided", found.shown
        note = "; ".join([*found.notes, *edges(frozen, comparison)])
    study, counted = str(frozen["study"]), unit(frozen, comparison)
    return Verdict(claim.sentence, claim.source, study, word, *shown, p, comparison.text, note, counted)


def paired(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison, seeds: Sequence[int]) -> Paired:
    """The differences of a comparison and what they say; raises NotRunError if a run is missing or unpaired."""
    claim = comparison.claim
    if claim.metric == "share":
        return by_rank(shares(arms, frozen, comparison, seeds), claim, [])
    first = values(arms, frozen, comparison.task, comparison.arm, seeds)
    second = values(arms, frozen, comparison.task, claim.baseline, seeds)
    same_data(first, second)
    notes = cautions(claim, {comparison.arm: first, claim.baseline: second})
    if claim.metric == "solved":
        return by_sign(first["solved"], second["solved"], claim, notes)
    d = difference(first, second, claim)
    if claim.against:
        one, two = (values(arms, frozen, claim.against, name, seeds) for name in (comparison.arm, claim.baseline))
        same_data(one, two)
        d = d - difference(one, two, claim)
    return by_rank(d, claim, notes)


def values(arms: Arms, frozen: Mapping[str, Any], task: str, arm: str, seeds: Sequence[int]) -> pd.DataFrame:
    """The runs of an arm on a task, one row per seed in the order of `seeds`."""
    identity = cell(frozen, task, arm)["identity"]
    found = arms.get(identity)
    if found is None or len(found) < len(seeds):
        raise NotRunError(f"{arm}, {task}: {0 if found is None else len(found)} of {len(seeds)} confirmation runs")
    return pd.DataFrame(found.loc[list(seeds)])


def cell(frozen: Mapping[str, Any], task: str, arm: str) -> Mapping[str, Any]:
    """What was frozen for an arm on a task: its settings, what tuning chose and the arm's identity."""
    for one in frozen["cells"]:
        if (one["task"], one["arm"]) == (task, arm):
            return dict(one)
    raise NotRunError(f"{arm}, {task}: not a part of the study")


def same_data(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Raise NotRunError unless the runs of each seed saw the same data."""
    differs = first["data_digest"].isna() | (first["data_digest"] != second["data_digest"])
    if differs.any():
        seeds = ", ".join(str(seed) for seed in first.index[differs])
        raise NotRunError(f"the runs of seed {seeds} did not see the same data")


def difference(first: pd.DataFrame, second: pd.DataFrame, claim: Claim) -> Array:
    """d per seed, shape (n,): first - second, of logs for a ratio; two runs that are both worse than any score tie."""
    one, two = (on_scale(measured(arm, claim, budget(first, second)), claim) for arm in (first, second))
    with np.errstate(invalid="ignore"):
        d: Array = np.where(one == two, 0.0, one - two)
    largest = np.max(np.abs(d[np.isfinite(d)]), initial=1.0)
    return np.clip(np.nan_to_num(d), -2 * largest, 2 * largest)


def on_scale(values: Array, claim: Claim) -> Array:
    """Values of the claim's metric as its differences take them: logs for a ratio (of steps they are logs already)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) if claim.scale == "ratio" and claim.metric != "steps" else values


def measured(runs: pd.DataFrame, claim: Claim, steps: float) -> Array:
    """The claim's metric, shape (n,): the score, the loss, or steps to solve within `steps` (their log for a ratio)."""
    if claim.metric == "score":
        return runs["score"].to_numpy(dtype=float)
    if claim.metric == "loss":
        return runs[LOSS].where(runs["status"] == "finished", math.inf).to_numpy(dtype=float)
    logs = stats.log_steps(runs["results.steps_to_solve"].where(runs["solved"]), steps)
    return logs if claim.scale == "ratio" else np.exp(logs)


def budget(*arms: pd.DataFrame) -> float:
    """The training steps that every run of these had."""
    return min(float(arm[BUDGET].min()) for arm in arms)


def by_rank(d: Array, claim: Claim, notes: list[str]) -> Paired:
    """The verdict of the signed ranks of d."""
    bound = claim.bound
    if claim.expect == "same":
        inside, outside = stats.equivalence_p(d, bound), stats.outside_p(d, bound)
        side, p = ("reproduced", inside) if inside <= outside else ("refuted", outside)
    else:
        p = stats.signed_rank_p(d, bound)
        above = stats.signed_rank_p(d, bound, "greater") <= stats.signed_rank_p(d, bound, "less")
        side = "reproduced" if above == (claim.expect == "higher") else "refuted"
    shown = stats.paired_difference(d)
    if claim.scale == "ratio":
        shown = Estimate(*(math.exp(min(value, 700)) for value in shown))
    return Paired(d, p, side, shown, notes)


def by_sign(first: "pd.Series[Any]", second: "pd.Series[Any]", claim: Claim, notes: list[str]) -> Paired:
    """The verdict of McNemar's test on solved or not."""
    shown = stats.solve_difference(first, second)
    side = "reproduced" if (shown.value > 0) == (claim.expect == "higher") else "refuted"
    d = first.to_numpy(dtype=float) - second.to_numpy(dtype=float)
    return Paired(d, stats.mcnemar_p(first, second), side, shown, notes)


def shares(arms: Arms, frozen: Mapping[str, Any], comparison: Comparison, seeds: Sequence[int]) -> Array:
    """The share of the variance of the log score that a knob explains over the study's grid, one per seed."""
    factors: Mapping[str, list[Any]] = frozen["factors"]
    cells = [one for one in frozen["cells"] if one["task"] == comparison.task]
    table = np.stack([values(arms, frozen, comparison.task, one["arm"], seeds)["score"] for one in cells])
    grids = np.log(table).T.reshape(len(seeds), *map(len, factors.values()))
    found = [dict(zip(factors, aggregates.main_shares(grid), strict=True)) for grid in grids]
    whole = comparison.arm == INTERACTIONS
    return np.array([1 - sum(one.values()) if whole else one[comparison.arm] for one in found])


def cautions(claim: Claim, arms: Mapping[str, pd.DataFrame]) -> list[str]:
    """What to know about the runs of a comparison: diverged ones, and budgets that cut steps off."""
    notes = []
    for name, runs in arms.items():
        diverged, unsolved = int((runs["status"] == "diverged").sum()), int((~runs["solved"]).sum())
        if diverged:
            notes.append(f"{name}: {diverged} of {len(runs)} diverged")
        if claim.metric == "steps" and unsolved:
            least = ", so its steps are a lower bound" if 2 * unsolved >= len(runs) else ""
            notes.append(f"{name}: {unsolved} of {len(runs)} unsolved at {budget(runs):.0f} steps{least}")
    return notes


def edges(frozen: Mapping[str, Any], comparison: Comparison) -> list[str]:
    """Marks an arm whose best tuned value is the last of the grid: a wider grid might have served it better."""
    marks = []
    for name in (comparison.arm, comparison.claim.baseline):
        chosen = [one for one in frozen["cells"] if (one["task"], one["arm"]) == (comparison.task, name)]
        at = [f"{key}={one['chosen'][key]}" for one in chosen for key in one["edge"]]
        if at:
            marks.append(f"{name}: tuned to the edge of the grid ({', '.join(at)})")
    return marks


def unit(frozen: Mapping[str, Any], comparison: Comparison) -> str:
    """What the estimate of a comparison counts."""
    claim = comparison.claim
    if claim.metric == "share":
        return "share of variance"
    score = next((one["unit"] for one in frozen["cells"] if one["task"] == comparison.task), "score")
    what = {"score": score, "loss": "loss", "steps": "steps to solve", "solved": "solve rate"}[claim.metric]
    return f"{claim.scale} {'of' if claim.scale == 'ratio' else 'in'} {what}"
