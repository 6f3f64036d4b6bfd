"""How often studies whose truth is known say what is false, from their tuning to their verdicts.

`--slow -s` makes 2,000 studies of each kind and prints the rates that docs/evidence.md states.
"""

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from simulated_studies import (
    DEVIATION,
    LOGS,
    RATES,
    RUNS,
    Design,
    content,
    draw,
    losses,
    shares,
    simulate,
    verdicts,
)

from analysis.claims.claim import Claim
from analysis.statistics import signed_rank
from experiments.studies.tuning import tuning_values

pytestmark = pytest.mark.slow

LIMIT = 0.061  # .05 and the simulation error of 2,000 studies
DECIDED = ("reproduced", "refuted")
SD = math.exp(math.sqrt(2) * DEVIATION)  # the factor in loss that is one standard deviation of a paired difference


@pytest.fixture
def count(full: bool) -> int:
    return 2000 if full else 40


def rate(design: Design, count: int, words: Collection[str] = DECIDED) -> float:
    """The share of studies with one of these words on any of their comparisons."""
    return float(np.mean([any(one.verdict in words for one in found) for found in verdicts(design, count)]))


def tolerance(rate: float, count: int) -> float:
    """What a rate of `count` studies may miss by chance: 2.3 standard errors, .011 at .05 and 2,000."""
    return 2.3 * math.sqrt(rate * (1 - rate) / count)


ALIKE = {
    "3 comparisons, 12 seeds": Design(),
    "1 comparison, 8 seeds": Design(arms=1, seeds=8),
    "8 comparisons, 12 seeds": Design(arms=8),
    "3 comparisons, 12 seeds and 12 more": Design(extension=24),
    "3 comparisons, 12 seeds, steps to solve": Design(metric="steps"),
    "3 comparisons, 12 seeds, half of all runs not solved": Design(metric="steps", budgets=(180.0,)),
    "3 comparisons, 12 seeds, a quarter of all runs diverged": Design(diverge=(0.25, 0.25)),
    "3 comparisons, 12 seeds, three quarters of all runs at an accuracy of 1": Design(ties=0.75),
    "interaction, one comparison, a factor on both tasks": Design(arms=1, tasks=2, factor=SD),
    "interaction, steps to solve, not solved in the budget of one task": Design(
        arms=1, tasks=2, metric="steps", factor=0.5, budgets=(150.0, 240.0), grid=RATES[1:]
    ),
}
SHIFTED = {
    f"{comparisons} comparison{'s' * (comparisons > 1)}, {seeds} seeds, {rise} sd a step": Design(
        arms=comparisons, seeds=seeds, shift=1, rise=rise
    )
    for comparisons, seeds in ((3, 12), (1, 12), (3, 20), (1, 20))
    for rise in (0.5, 1.0, 1.5)
}


@pytest.mark.parametrize("name", ALIKE)
def test_arms_that_are_one_variant_are_told_apart_at_the_nominal_rate(name: str, count: int) -> None:
    found = rate(ALIKE[name], count)
    print(f"\nfalse verdicts, {name}: {found:.3f} of {count} studies")
    assert found <= 0.05 + tolerance(0.05, count)


@pytest.mark.parametrize("name", SHIFTED)
def test_so_are_arms_whose_best_rates_are_a_grid_step_apart(name: str, count: int, full: bool) -> None:
    if not full and SHIFTED[name].rise != 1.0:
        pytest.skip("a rise between these is tried: --slow")
    found = rate(SHIFTED[name], count)
    print(f"\nfalse verdicts, best rates a grid step apart, {name}: {found:.3f} of {count} studies")
    assert found <= 0.05 + tolerance(0.05, count)


FALSE = {
    "same within 2, of a factor of 2": (Design(arms=1, expect="same", factor=2.0, seeds=16), "reproduced"),
    "same within 2, of a factor of 2, a tenth of all runs diverged": (
        Design(arms=1, expect="same", factor=2.0, seeds=16, diverge=(0.1, 0.1)),
        "reproduced",
    ),
    "same within 2, a quarter of the arm's runs diverged": (
        Design(arms=1, expect="same", diverge=(0.0, 0.25), margin=2.0, factor=2.0),
        "reproduced",
    ),
    "lower, of an arm of which a quarter diverged": (Design(arms=1, expect="lower", diverge=(0.0, 0.25)), "reproduced"),
    "same within 1.5 in steps, of a factor of 1.5": (
        Design(arms=1, expect="same", metric="steps", factor=2 / 3, seeds=16),
        "reproduced",
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_claim_is_reproduced_at_the_nominal_rate(name: str, count: int) -> None:
    design, word = FALSE[name]
    found = rate(design, count, [word])
    print(f"\nfalse verdicts, {name}: {found:.3f} of {count} studies")
    assert found <= 0.05 + tolerance(0.05, count)


# Arms that have the same best loss, at rates a grid step apart, or are one variant: what each half of the rule would do
HALVES = {
    "one variant, each at its own best": (Design(), "own"),
    "best rates a grid step apart (1 sd), all at the shared rate": (Design(shift=1, rise=1.0), "shared"),
    "the same, 20 seeds": (Design(shift=1, rise=1.0, seeds=20), "shared"),
}


@pytest.mark.parametrize("name", HALVES)
def test_neither_choice_alone_keeps_to_the_rate(name: str, count: int, full: bool) -> None:
    if not full:
        pytest.skip("the rate of a few studies says nothing: --slow")
    design, choice = HALVES[name]
    found = simulate(design, count).alone(choice)
    print(f"\nfalse verdicts, {name} alone: {found:.3f} of {count} studies")
    assert found > LIMIT


def test_few_tuning_seeds_let_the_luck_of_tuning_through(count: int, full: bool) -> None:
    if not full:
        pytest.skip("the rate of a few studies says nothing: --slow")
    found = rate(replace(SHIFTED["1 comparison, 12 seeds, 1.0 sd a step"], tuning=5), count)
    print(f"\nfalse verdicts, best rates a grid step apart, 5 tuning seeds: {found:.3f} of {count} studies")
    assert found > LIMIT
    (note,) = {one.note for one in simulate(Design(arms=1, tuning=5), 1).verdicts(0)}
    assert "tuned on 5 seeds only" in note


SHARES = {
    "interactions under a fifth, there being none": ("lower", 0.0, "refuted"),
    "interactions under a fifth, of a fifth": ("lower", 0.2, "reproduced"),
    "interactions over a fifth, of a fifth": ("higher", 0.2, "reproduced"),
    "interactions under a fifth, of two fifths": ("lower", 0.4, "reproduced"),
}


@pytest.mark.parametrize("name", SHARES)
def test_planted_shares_of_interactions(name: str, count: int) -> None:
    expect, planted, word = SHARES[name]
    found = float(np.mean([one.verdict == word for one in shares(count, expect, planted)]))
    print(f"\nfalse verdicts, {name}: {found:.3f} of {count} studies")
    assert found <= 0.05 + tolerance(0.05, count)


@pytest.mark.parametrize("seeds", [8, 12, 16, 24])
def test_intervals_cover_the_truth(seeds: int, count: int) -> None:
    pairs = np.random.default_rng(7).choice(LOGS, (2, count, seeds))
    found = [signed_rank.paired_difference(d) for d in pairs[0] - pairs[1]]
    covered = float(np.mean([one.low <= 0 <= one.high for one in found]))
    print(f"\ncoverage, {seeds} seeds: {covered:.3f} of {count} studies")
    assert covered >= 0.95 - tolerance(0.95, count)


POWER = {
    "8 comparisons, 12 seeds": (Design(arms=8, factor=SD), 0.47),
    "8 comparisons, 16 seeds": (Design(arms=8, factor=SD, seeds=16), 0.67),
    "8 comparisons, 20 seeds": (Design(arms=8, factor=SD, seeds=20), 0.8),
    "1 interaction, 12 seeds, two deviations": (Design(arms=1, tasks=2, interaction=SD**2), 0.97),
}


@pytest.mark.parametrize("name", POWER)
def test_a_planted_effect_is_found(name: str, count: int, full: bool) -> None:
    if not full and name == "8 comparisons, 16 seeds":
        pytest.skip("fewer and more seeds are tried: --slow")
    design, stated = POWER[name]
    found = float(np.mean([one[0].verdict == "reproduced" if one else False for one in verdicts(design, count)]))
    print(f"\npower, {name}: {found:.3f} of {count} studies")
    assert found >= binom.ppf(0.01, count, stated) / count  # near 1 a few studies are too skewed for `tolerance`


def test_adding_seeds_until_it_is_significant_is_no_test(count: int) -> None:
    pairs = np.random.default_rng(1).choice(LOGS, (2, count, 24))
    found = [any(signed_rank.signed_rank_p(d[:n]) <= 0.05 for n in range(6, 25)) for d in pairs[0] - pairs[1]]
    print(f"\nfalse verdicts, seeds added from 6 to 24 until p <= .05: {np.mean(found):.3f} of {count} studies")
    assert np.mean(found) > LIMIT - tolerance(LIMIT, count)


def test_a_planted_edge_of_the_grid_is_marked() -> None:
    medians = np.median(RUNS[:, 0], axis=1)
    best = int(medians.argmin())
    made = simulate(Design(arms=1, grid=RATES[: best + 1][-2:], tuning=40), 1)
    assert f"tuned to the edge of the grid (train.lr={RATES[best]})" in made.verdicts(0)[0].note


def test_a_planted_leak_of_tuning_seeds_is_not_judged() -> None:
    design = Design(arms=1)
    (verdict,) = simulate(design, 1).verdicts(0, design.protocol.seeds("tune"))
    assert (verdict.verdict, verdict.reason) == ("not run", "1, t0: 0 of 12 confirmation runs")


@pytest.mark.parametrize("name", [*list(ALIKE)[:4], *list(SHIFTED)[:2]])
def test_studies_that_are_not_judged_could_not_be_decided(name: str, full: bool) -> None:
    made = simulate((ALIKE | SHIFTED)[name], 30 if full else 15)
    possible = made.may_be_decided()
    for study in np.nonzero(~possible)[0]:
        assert not any(one.verdict in DECIDED for one in made.verdicts(int(study)))


@pytest.mark.parametrize("design", [Design(), Design(metric="steps"), Design(diverge=(0.3, 0.3)), Design(ties=0.5)])
def test_points_are_measured_as_tuning_measures_them(design: Design) -> None:
    found = losses(np.random.default_rng(3), design, 1, 0, 0, 1)[:, 0]
    runs = draw(np.random.default_rng(3), design, (1, design.protocol.tuned_on), 0, 0, 1)
    frame = simulate(design, 1).table(runs, 0)
    claim = Claim(**content(design, [])["claims"][0])
    assert found == pytest.approx(list(tuning_values(frame, claim)))
