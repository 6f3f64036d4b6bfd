"""A study that was frozen by earlier code and says the same is the same study."""

from experiments.studies.changed_yaml import with_blocks


def test_a_gate_that_was_said_to_be_shared_is_one_block() -> None:
    then = {"variant.input.shared": False, "variant.forget.shared": True, "task.length": 4}
    assert with_blocks(then) == {"variant.input.block": 1, "variant.forget.block": "all", "task.length": 4}


def test_an_arm_that_came_later_keeps_its_block() -> None:
    then = {"variant.input.shared": False, "variant.forget.shared": False, "variant.forget.block": 2}
    assert with_blocks(then) == {"variant.input.block": 1, "variant.forget.block": 2}
