"""What our runs say about each cell of a published table, and about what the paper says of the order of its arms.

    agrees           ours are shown to lie within the margin of what was published, Holm-adjusted p <= .05
    differs          ours are shown to lie outside it
    inconclusive     neither: not to find a difference is no agreement
    not comparable   a deviation of ours matters; what we measured is shown, and nothing is concluded
    not run          a run is missing

Trials that were published are compared with ours by the exact rank-sum test, a mean with its standard deviation by
Welch's test of means, a value alone by the exact signed-rank test of ours against it, which is weak: its own spread is
not known. Each is two one-sided tests at the margin for `agrees`, and twice the smaller of the opposite ones for
`differs`. Holm goes over the whole table, the claims about its order included.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import ttest_ind_from_stats

from analysis.arms import counted_runs
from analysis.claims import measures
from analysis.claims.claim import Claim, comparisons
from analysis.claims.comparing import decide, power
from analysis.claims.finding import Finding, NotRunError, written
from analysis.claims.frozen_study_file import SHARED, FrozenStudy
from analysis.claims.gathering import gathered, measurable, values
from analysis.records.load import Records
from analysis.replications.published import Cell, Replication
from analysis.statistics import many_comparisons, rank_sum, signed_rank
from analysis.statistics.estimates import LEVEL, median_interval
from analysis.statistics.outcomes import Outcomes

ALPHA = 1 - LEVEL
FAR = 20  # margins: beyond, an interval is infinite
MORE = 10  # times as many trials of ours: would they decide?
AGREES, DIFFERS = "agrees", "differs"
WEAK = "weak: one published value, whose own spread is not known"


@dataclass(frozen=True)
class CellVerdict:
    """A row of the table: what was published, what ours are, and what follows.

    compared: ours against theirs with the interval of that row alone, a ratio or a difference. p: after Holm, of the
    nearer side; NaN where nothing is concluded. p_of_more: before Holm, with MORE times as many trials of ours that are
    spread as these are; NaN unless trials were published.
    """

    row: str
    published: str
    ours: str
    compared: str
    margin: str
    p: float
    verdict: str
    note: str
    p_of_more: float = math.nan


def judge(records: Records, frozen: FrozenStudy) -> list[CellVerdict]:
    """The verdict on every cell of the table that a study replicates, then on every claim about its order."""
    table = Replication.model_validate(frozen.replication)
    runs = records.runs[(records.runs["study"] == frozen.study) & records.runs["status"].isin(counted_runs.COUNTED)]
    confirmed = runs[(runs["phase"] == "confirm") & runs["seed"].isin(frozen.seeds)]
    arms = {str(arm): group.set_index("seed") for arm, group in confirmed.groupby("arm")}
    rows = [_of_cell(table, cell, frozen, arms) for cell in table.cells]
    rows += [_of_claim(table, claim, frozen, arms) for claim in table.claims]
    counted = [place for place, row in enumerate(rows) if row.verdict != "not comparable"]
    adjusted = many_comparisons.holm([1.0 if math.isnan(rows[place].p) else rows[place].p for place in counted])
    for place, p in zip(counted, adjusted, strict=True):
        rows[place] = _settled(rows[place], float(p), len(counted))
    return rows


def nothing_run(table: Replication) -> list[CellVerdict]:
    """The rows of a table of which no cell can be compared, so that nothing is run."""
    blank = CellVerdict("", "", "–", "–", "–", math.nan, "not comparable", "")
    return [
        replace(blank, row=table.name(cell), published=_quoted(cell), note=table.incomparable(table.name(cell)))
        for cell in table.cells
    ]


def _settled(row: CellVerdict, p: float, count: int) -> CellVerdict:
    """A row with its p after Holm over `count` rows, and the verdict that this allows."""
    if row.verdict == "not run":
        return row
    if p <= ALPHA:
        return replace(row, p=p)
    return replace(row, p=p, verdict="inconclusive", note="; ".join(filter(None, [row.note, _wanting(row, count)])))


def _wanting(row: CellVerdict, count: int) -> str:
    """Whether more trials of ours would decide a row that is inconclusive, or published ones are wanting."""
    if math.isnan(row.p_of_more):
        return ""
    if row.p_of_more * count <= ALPHA:
        return f"{MORE} times as many trials of ours, spread as these are, would decide it"
    return f"{MORE} times as many trials of ours would not decide it: those published are too few or too spread"


def counts(rows: Sequence[CellVerdict]) -> str:
    """How many rows came to which verdict: `3 agrees, 1 inconclusive`."""
    found = pd.Series([row.verdict for row in rows]).value_counts(sort=False)
    return ", ".join(f"{count} {verdict}" for verdict, count in found.items())


def printed(row: CellVerdict) -> list[str]:
    """A row as text, the note last."""
    p = "" if math.isnan(row.p) else f"{row.p:.2g}"
    return [row.row, row.published, row.ours, row.compared, row.margin, p, row.verdict, row.note]


def frame(rows: Sequence[CellVerdict]) -> pd.DataFrame:
    """The table, a row a cell or claim."""
    return pd.DataFrame([vars(row) for row in rows])


def _of_cell(table: Replication, cell: Cell, frozen: FrozenStudy, arms: Mapping[str, pd.DataFrame]) -> CellVerdict:
    """A cell's row, its p not adjusted yet and its verdict the side that it is on."""
    name, size = table.name(cell), table.margin if cell.margin is None else cell.margin
    margin = f"factor {size:g}" if table.scale == "ratio" else f"{size:g}"
    blank = CellVerdict(name, _quoted(cell), "–", "–", margin, math.nan, "not run", "")
    reason = table.incomparable(name)
    try:
        found = _finding(table, cell, _ours(table, cell, frozen, arms))
        row = replace(blank, **vars(found))
    except NotRunError as error:
        row = replace(blank, note=str(error))
    return replace(row, p=math.nan, verdict="not comparable", note=reason) if reason else row


@dataclass(frozen=True)
class Compared:
    """Ours against what a cell publishes."""

    p: float
    verdict: str
    ours: str
    compared: str
    note: str
    p_of_more: float


def _quoted(cell: Cell) -> str:
    if cell.trials:
        middle = median_interval(cell.trials)
        reach = f"{written(min(cell.trials))} to {written(max(cell.trials))}"
        return f"{written(middle.median)} ({reach}, {len(cell.trials)} trials)"
    spread = "" if cell.sd is None else f" ± {written(cell.sd)}"
    return f"{written(float(cell.value or 0.0))}{spread}{'' if cell.n is None else f' (n={cell.n})'}"


def _ours(table: Replication, cell: Cell, frozen: FrozenStudy, arms: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Our runs of a cell, one row per seed; NotRunError if one is missing."""
    known = [one for one in frozen.at(SHARED)["cells"] if (one["task"], one["arm"]) == (cell.task, cell.arm)]
    if not known:
        raise NotRunError("not a part of what is run")
    return values(arms, known[0], frozen.seeds)


def _finding(table: Replication, cell: Cell, runs: pd.DataFrame) -> Compared:
    claim = Claim(metric=table.metric, scale="difference")
    measurable(claim, runs)
    plain = measures.measured(runs, claim, measures.budget(runs))
    if table.ceiling is not None:
        plain = Outcomes(plain.low, np.where(plain.low >= table.ceiling, math.inf, plain.high))
    inside, outside, estimate, note = _tests(table, cell, plain)
    many = Outcomes(np.tile(plain.low, MORE), np.tile(plain.high, MORE))
    more = min(_tests(table, cell, many)[:2]) if cell.trials else math.nan
    least, most, low, high = (power(value) if table.scale == "ratio" else value for value in estimate)
    shown = Finding(1.0, "", least, most, low, high, floor=0.0 if table.scale == "ratio" else -math.inf)
    compared = f"{shown.size} [{written(low)}, {written(high)}]"
    p, verdict = (inside, AGREES) if inside <= outside else (outside, DIFFERS)
    notes = [note, *_cautions(runs, plain)]
    return Compared(p, verdict, _median(plain), compared, "; ".join(filter(None, notes)), more)


def _tests(
    table: Replication, cell: Cell, ours: Outcomes
) -> tuple[float, float, tuple[float, float, float, float], str]:
    """p of inside the margin and of outside it, the estimate with its interval on the scale, and what to know of it."""
    margin = table.margin_of(cell)
    if cell.sd is not None:
        return *_of_means(table, cell, ours), "a test of means, as the mean and its spread were published"
    x, published = ours, np.array(cell.numbers)
    if table.scale == "ratio":
        if (ours.low < 0).any():
            raise NotRunError("a ratio needs values of 0 or more: scale=difference")
        x, published = ours.log(), np.log(published)
    if cell.trials:
        tests = (rank_sum.equivalence_p(x, published, margin), rank_sum.outside_p(x, published, margin))
        return *tests, rank_sum.shift(x, published), ""
    d = Outcomes(x.low - published, x.high - published)
    estimate = (*signed_rank.pseudomedian(d), *signed_rank.paired_difference(d)[1:])
    return signed_rank.equivalence_p(d, margin), signed_rank.outside_p(d, margin), estimate, WEAK


def _of_means(table: Replication, cell: Cell, ours: Outcomes) -> tuple[float, float, tuple[float, float, float, float]]:
    """Welch's tests of our mean against the published one, moved by the margin to either side."""
    if not (ours.exact.all() and np.isfinite(ours.low).all() and len(ours) > 1):
        raise NotRunError("a mean needs two runs or more that did not diverge")
    if table.scale == "ratio" and ours.low.mean() <= 0:
        raise NotRunError("a ratio needs a mean above 0: scale=difference")
    x, value, sd, n = ours.low, float(cell.value or 0.0), float(cell.sd or 0.0), int(cell.n or 0)

    def p(step: float, side: str) -> float:
        ratio = table.scale == "ratio"
        mean, spread = (value * math.exp(step), sd * math.exp(step)) if ratio else (value + step, sd)
        own = (float(x.mean()), float(x.std(ddof=1)), len(x))
        found = ttest_ind_from_stats(*own, mean, spread, n, equal_var=False, alternative=side).pvalue
        return 1.0 if math.isnan(found) else float(found)

    margin = table.margin_of(cell)
    inside = max(p(-margin, "greater"), p(margin, "less"))
    outside = min(1.0, 2 * min(p(margin, "greater"), p(-margin, "less")))
    centre = math.log(x.mean() / value) if table.scale == "ratio" else x.mean() - value
    low = _end(lambda step: p(step, "greater") - ALPHA / 2, centre, centre - FAR * margin)
    high = _end(lambda step: p(step, "less") - ALPHA / 2, centre, centre + FAR * margin)
    return inside, outside, (centre, centre, low, high)


def _end(test: Callable[[float], float], centre: float, far: float) -> float:
    """Where a one-sided test that does not reject at the centre begins to; infinite if it does not before `far`."""
    return float(brentq(test, centre, far)) if test(far) < 0 < test(centre) else math.copysign(math.inf, far - centre)


def _median(ours: Outcomes) -> str:
    """Our median with its interval; from a bound on, at least that."""
    middle = median_interval(ours.low)
    least = "" if ours.exact.all() else "at least "
    return f"{least}{written(middle.median)} [{written(middle.low)}, {written(middle.high)}], n={len(ours)}"


def _cautions(runs: pd.DataFrame, ours: Outcomes) -> list[str]:
    diverged, bounds = int((runs["status"] == "diverged").sum()), int((~ours.exact).sum())
    return [
        *([f"{diverged} of {len(runs)} diverged"] if diverged else []),
        *([f"{bounds} of {len(runs)} known as a bound only"] if bounds else []),
    ]


def _of_claim(table: Replication, claim: Claim, frozen: FrozenStudy, arms: Mapping[str, pd.DataFrame]) -> CellVerdict:
    """A claim's row: it agrees if every comparison of it does, and differs if one is shown to be the opposite."""
    wanted = comparisons([claim], list(frozen.tasks))
    size = f"factor {claim.size:g}" if claim.scale == "ratio" else f"{claim.size:g}"
    margin = size if claim.expect == "same" else "direction"
    blank = CellVerdict(claim.sentence, claim.source, "–", "–", margin, math.nan, "not run", "")
    matters = [d for d in table.deviations if d.matters and not d.cells]
    if matters:
        return replace(blank, verdict="not comparable", note="; ".join(f"{d.what} ({d.reason})" for d in matters))
    try:
        study = frozen.at(SHARED)
        found = [decide(one, gathered(arms, study, one, frozen.seeds), study) for one in wanted]
    except NotRunError as error:
        return replace(blank, note=str(error))
    sizes = [f"{one.arm}: {finding.size}" for one, finding in zip(wanted, found, strict=True)]
    notes = [note for finding in found for note in [*finding.notes, finding.reason]]
    p, side = _together(found)
    shown = f"{claim.scale} to {claim.baseline}: {', '.join(sizes)}"
    return replace(blank, ours=shown, p=p, verdict=side, note="; ".join(dict.fromkeys(filter(None, notes))))


def _together(found: Sequence[Finding]) -> tuple[float, str]:
    """The p and the side of several comparisons at once: all hold, or one of them is refuted."""
    against = [finding.p for finding in found if finding.side == "refuted"]
    if against:
        return min(1.0, len(found) * min(against)), DIFFERS
    return max(finding.p for finding in found), AGREES
