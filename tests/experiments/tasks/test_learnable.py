"""The tasks can be learned: three of them here, all of them by ``make learnable``."""

import pytest
from learnable import CASES, learn, learned
from task_list import SYNTHETIC

QUICK = ("temporal_order", "continual_reber", "parity")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_task_is_solved_at_its_smallest_useful_size(name: str, full: bool) -> None:
    if not full and name not in QUICK:
        pytest.skip("minutes long: run by make learnable, or with --slow")
    assert learned(learn(name))


def test_every_synthetic_task_has_its_case() -> None:
    assert {str(case.get("task", name)) for name, case in CASES.items()} == set(SYNTHETIC)
