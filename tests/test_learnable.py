"""The tasks can be learned: three of them here, all of them by ``make learnable``."""

import pytest
from learnable import CASES, learn

from experiments.tasks import task_names

QUICK = ("temporal_order", "continual_reber", "parity")
REAL_OR_REPORTED = {"arithmetic", "xml", "sequential_digits", "sequential_mnist", "polyphonic", "char_lm", "arrays"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_task_is_solved_at_its_smallest_useful_size(name: str, full: bool) -> None:
    if not full and name not in QUICK:
        pytest.skip("minutes long: run by make learnable, or with --slow")
    assert learn(name).record["results"]["solved"]


def test_every_synthetic_task_has_its_case() -> None:
    assert {str(case.get("task", name)) for name, case in CASES.items()} == set(task_names()) - REAL_OR_REPORTED
