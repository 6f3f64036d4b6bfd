"""Published tables: what their file may say, and the verdict on a cell whose truth is planted."""

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.claims.frozen_study_file import FrozenStudy
from analysis.records.load import Records
from analysis.replications import published_verdicts
from analysis.replications.published import replication
from analysis.replications.published_verdicts import CellVerdict

SEEDS = list(range(20))
TABLE: dict[str, Any] = {
    "paper": "somebody",
    "table": "one",
    "quoted": "numbers",
    "margin": 1.5,
    "reason": "a test",
    "seeds": len(SEEDS),
    "tasks": {"short": ["task=adding"]},
    "arms": {"a": [], "b": ["variant=gru"]},
    "cells": [{"arm": "a", "trials": [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.0, 1.03, 0.97]}],
}


def changed(*keys: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


CLAIM = {"sentence": "b is worse.", "source": "s", "expect": "higher", "baseline": "a", "arms": ["b"], "metric": "loss"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("mergin", to=2), "mergin: there is no such key; did you mean margin?"),
        (lambda content: content.pop("paper"), "paper is missing"),
        (changed("margin", to=1), "margin: 1: a factor above 1 is needed"),
        (changed("margin", to="x"), "margin='x': "),
        (changed("seeds", to=0), "seeds=0: "),
        (changed("seeds", to=2.5), "seeds=2.5: "),
        (changed("cells", to=[]), "cells, or claims, are needed"),
        (changed("cells", 0, "arm", to="c"), "cells.0.arm: c; there is a, b"),
        (changed("cells", 0, "armm", to="a"), "cells.0.armm: there is no such key; did you mean arm?"),
        (changed("cells", 0, "trials", to=[math.nan]), "cells.0.trials.0: a finite number is needed"),
        (changed("cells", 0, "trials", to=[0.0]), "cells.0: a ratio needs values above 0: scale=difference"),
        (changed("cells", 0, "value", to=1.0), "cells.0: trials, or a value, is needed"),
        (changed("cells", 0, to={"arm": "a", "value": 1.0, "sd": 0.1}), "cells.0: sd needs n"),
        (changed("cells", 0, to={"arm": "a", "value": 1.0, "sd": -0.1, "n": 3}), "cells.0: sd: "),
        (changed("cells", 0, "margin", to=0.5), "cells.0.margin: 0.5: a factor above 1 is needed"),
        (lambda content: content["cells"].append(content["cells"][0]), "cells: a is there twice"),
        (changed("claims", to=[CLAIM | {"arms": ["c"]}]), "claims.0.arms: c; there is a, b"),
        (changed("claims", to=[CLAIM | {"basis": "a"}]), "claims.0.basis: there is no such key"),
        (changed("claims", to=[CLAIM | {"metric": "share"}]), "claims.0.metric: share; legal are score, loss, steps"),
        (changed("deviations", to=[{"what": "w"}]), "deviations.0.reason is missing"),
        (changed("deviations", to=[{"what": "w", "reason": "r", "cells": ["c"]}]), "deviations.0.cells: c; there is a"),
    ],
)
def test_what_a_file_may_not_say_is_named(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    content = copy.deepcopy(TABLE)
    change(content)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        replication(content)


def judged(table: dict[str, Any], **arms: Any) -> list[CellVerdict]:
    """The verdicts on a table, given the final losses of each arm by seed."""
    content = replication(table).model_dump(mode="json")
    cells = [{"task": "short", "arm": arm, "identity": f"id-{arm}"} for arm in arms]
    tasks, names = {"short": ["task=adding"]}, {"a": [], "b": []}
    frozen = FrozenStudy(
        study="mine", claims=[], tasks=tasks, arms=names, seeds=SEEDS, cells=cells, replication=content
    )
    rows = [
        {
            "study": "mine",
            "phase": "confirm",
            "status": "diverged" if math.isinf(loss) else "finished",
            "seed": seed,
            "arm": f"id-{arm}",
            "score": loss,
            "solved": False,
            "results.steps_to_solve": math.nan,
            "results.final.eval/loss": loss,
            "config.resolved.train.steps": 100,
            "task.direction": "min",
            "task.metric": "loss",
            "task.chance": 10.0,
            "task.chance_loss": 10.0,
            "data_digest": f"data {seed}",
        }
        for arm, losses in arms.items()
        for seed, loss in enumerate(losses)
    ]
    return published_verdicts.judge(Records(pd.DataFrame(rows), pd.DataFrame(), []), frozen)


def around(value: float, seed: int = 0) -> Any:
    return value * np.exp(np.random.default_rng(seed).normal(0, 0.05, len(SEEDS)))


@pytest.mark.parametrize(
    ("ours", "verdict"), [(1.0, "agrees"), (1.3, "agrees"), (1.5, "inconclusive"), (3.0, "differs"), (0.3, "differs")]
)
def test_trials_are_compared_with_ours_at_the_margin(ours: float, verdict: str) -> None:
    (row,) = judged(TABLE, a=around(ours))
    assert row.verdict == verdict
    assert row.margin == "factor 1.5"
    assert (row.p <= 0.05) == (verdict != "inconclusive")
    assert float(row.compared.split()[0]) == pytest.approx(ours, rel=0.05)


def test_no_difference_found_is_no_agreement() -> None:
    """Three trials that spread a lot are neither like ours nor unlike them."""
    few = changed_table(cells=[{"arm": "a", "trials": [0.1, 1.0, 10.0]}])
    (row,) = judged(few, a=around(1.0))
    assert row.verdict == "inconclusive"
    assert "would not decide it" in row.note


def test_a_row_that_more_of_our_trials_would_decide_says_so() -> None:
    """Twelve of ours lie within the margin and eight beyond it; theirs are many and alike."""
    ours = np.repeat([1.0, 1.7], [12, 8])
    many = changed_table(cells=[{"arm": "a", "trials": [1.0, 1.01, 0.99] * 20}])
    (row,) = judged(many, a=ours)
    assert row.verdict == "inconclusive"
    assert row.p_of_more <= 0.05
    assert row.note.endswith("spread as these are, would decide it")


def changed_table(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(TABLE) | changes


def test_a_value_alone_is_weak_and_says_so() -> None:
    (row,) = judged(changed_table(cells=[{"arm": "a", "value": 1.0}]), a=around(1.1))
    assert (row.verdict, row.note) == ("agrees", published_verdicts.WEAK)
    (row,) = judged(changed_table(cells=[{"arm": "a", "value": 1.0}]), a=around(2.0))
    assert (row.verdict, row.note) == ("differs", published_verdicts.WEAK)


@pytest.mark.parametrize("scale", ["ratio", "difference"])
def test_a_mean_with_its_spread_is_compared_by_means(scale: str) -> None:
    cells = [{"arm": "a", "value": 1.0, "sd": 0.1, "n": 10}]
    table = changed_table(cells=cells, scale=scale, margin=1.5 if scale == "ratio" else 0.5)
    (near,), (far,) = judged(table, a=around(1.1)), judged(table, a=around(2.5))
    assert (near.verdict, far.verdict) == ("agrees", "differs")
    wide = changed_table(cells=[cells[0] | {"sd": 2.0, "n": 3}], scale=scale)
    assert judged(wide, a=around(1.1))[0].verdict == "inconclusive"
    (lost,) = judged(table, a=[math.inf, *around(1.1)[1:]])
    assert (lost.verdict, lost.note) == ("not run", "a mean needs two runs or more that did not diverge")


def test_diverged_runs_count_as_the_worst_and_bounds_as_bounds() -> None:
    half = np.where(np.arange(len(SEEDS)) < 12, math.inf, around(1.0))
    (row,) = judged(TABLE, a=half)
    assert row.verdict == "inconclusive"
    assert "12 of 20 diverged" in row.note
    (row,) = judged(changed_table(ceiling=1.2), a=np.where(np.arange(len(SEEDS)) < 12, 1.2, around(1.0)))
    assert row.verdict == "inconclusive"
    assert "12 of 20 known as a bound only" in row.note


def test_a_deviation_that_matters_leaves_nothing_to_conclude() -> None:
    deviations = [{"what": "no dropout", "reason": "not built", "matters": True}]
    (row,) = judged(changed_table(deviations=deviations), a=around(1.0))
    assert (row.verdict, row.note) == ("not comparable", "no dropout (not built)")
    assert math.isnan(row.p)
    assert "n=20" in row.ours


def test_holm_goes_over_the_table_and_a_row_that_is_not_run_keeps_its_place() -> None:
    cells = [{"arm": "a", "trials": [0.9, 1.0, 1.1]}, {"arm": "b", "trials": [0.9, 1.0, 1.1]}]
    first, second = judged(changed_table(cells=cells), a=around(1.0), b=around(1.0, 1))
    (alone,) = judged(changed_table(cells=cells[:1]), a=around(1.0))
    assert first.p == second.p == pytest.approx(2 * alone.p)
    first, second = judged(changed_table(cells=cells), a=around(1.0), b=around(1.0, 1)[:19])
    assert first.p == pytest.approx(2 * alone.p)
    assert (second.verdict, second.note) == ("not run", "b, short: 19 of 20 confirmation runs")


@pytest.mark.parametrize(("b", "verdict"), [(2.0, "agrees"), (0.5, "differs")])
def test_a_claim_about_the_order_is_a_row_of_the_table(b: float, verdict: str) -> None:
    row = judged(changed_table(claims=[CLAIM]), a=around(1.0), b=around(b, 1))[-1]
    assert (row.row, row.verdict, row.margin) == ("b is worse.", verdict, "direction")


def test_how_many_rows_came_to_what() -> None:
    rows = judged(changed_table(claims=[CLAIM]), a=around(1.0), b=around(2.0, 1))
    assert published_verdicts.counts(rows) == "2 agrees"
