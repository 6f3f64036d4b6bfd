"""Training data drawn in blocks of steps: every step has its own batch, whichever step is asked for first."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_list import CASES, IDS, build, equal

from experiments.tasks.base import Batch, Task, within
from experiments.training.data import TrainingData, part, scored_as_one, side_by_side
from experiments.training.stacked import StackedBlock
from experiments.training.streams import generator

B = 3


@pytest.mark.parametrize(("name", "change"), CASES, ids=IDS)
def test_a_batch_is_a_part_of_its_block(name: str, change: Mapping[str, Any], tmp_path: Path) -> None:
    data = TrainingData(build(name, change, tmp_path), B)
    batches = [data.batch(0, step) for step in range(2 * data.steps)]
    assert len({batch.inputs.shape[1] for batch in batches}) == 1
    for batch in batches:
        steps = len(batch.inputs)
        assert batch.lengths is None or batch.lengths.max() == steps
        assert all(len(array) == steps for array in (batch.targets, batch.counts))
        assert not (batch.counts & ~batch.inside).any()
    assert not equal(batches[0], batches[1])
    assert not equal(batches[0], batches[data.steps])
    middle = data.steps + data.steps // 2
    assert equal(TrainingData(data.task, B).batch(0, middle), batches[middle])  # as a resumed run asks for it


def test_a_task_that_does_not_say_that_its_sequences_are_independent_is_drawn_step_by_step(tmp_path: Path) -> None:
    drawn = []

    class Own(Task):
        def sample(self, generator: np.random.Generator, batch_size: int, length: int) -> Batch:
            drawn.append(batch_size)
            return build("adding", {}, tmp_path).sample(generator, batch_size, length)

    data = TrainingData(Own(length=4, eval_lengths=()), B)
    expected = data.task.training_batch(generator(5, "train", 7), B)
    assert equal(data.batch(5, 7), expected)
    assert drawn == [B, B]


def test_a_task_derived_from_one_of_ours_says_itself_that_its_sequences_are_independent(tmp_path: Path) -> None:
    ours = build("adding", {}, tmp_path)
    assert TrainingData(ours, B).steps > 1
    own = type("Own", (type(ours),), {})
    settings = {field.name: getattr(ours, field.name) for field in fields(ours)}
    assert TrainingData(own(**settings), B).steps == 1
    saying = type("Saying", (own,), {"independent": True})
    assert TrainingData(saying(**settings), B).steps == TrainingData(ours, B).steps


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("changed", ["sample", "training_batch"])
def test_a_task_derived_from_one_of_ours_trains_on_what_it_draws_itself(
    changed: str, independent: bool, tmp_path: Path
) -> None:
    ours = build("continual_reber", {}, tmp_path)
    assert "training_block" in vars(type(ours))  # it has a way of its own to draw a block

    def marked(self: Task, *said: Any) -> Batch:
        batch: Batch = getattr(super(own, self), changed)(*said)
        return batch._replace(inputs=np.full_like(batch.inputs, 3))

    own = type("Own", (type(ours),), {changed: marked, "independent": independent})
    data = TrainingData(own(**{field.name: getattr(ours, field.name) for field in fields(ours)}), B)
    assert (data.batch(5, 7).inputs == 3).all()


def test_parts_are_cut_off_at_their_longest_sequence() -> None:
    lengths = np.array([2, 1, 3, 4])
    inputs = np.arange(16).reshape(4, 4)
    first, second = (part(Batch(inputs, inputs, None, lengths), number, 2) for number in range(2))
    assert first.inputs.tolist() == [[0, 1], [4, 5]]
    assert first.lengths.tolist() == [2, 1]
    assert second.inputs.tolist() == inputs[:, 2:].tolist()


def test_places_that_count_are_found_model_by_model() -> None:
    masks = [np.array([[1, 0], [0, 1]], dtype=bool), np.array([[0, 0], [1, 1], [0, 1]], dtype=bool)]
    batches = [
        Batch(np.zeros(m.shape, int), 10 * n + np.arange(m.size).reshape(m.shape), m) for n, m in enumerate(masks)
    ]
    found = StackedBlock(0, dict(enumerate(batches)), 1).step([0, 1], 0)
    assert found.rows.tolist() == [0, 3, 2, 3, 5]
    assert found.first.tolist() == [0, 2, 5]
    assert found.targets.tolist() == [0, 3, 12, 13, 15]


@pytest.mark.parametrize(("name", "change"), CASES, ids=IDS)
def test_stacked_batches_are_the_batches_of_each_seed(name: str, change: Mapping[str, Any], tmp_path: Path) -> None:
    data = TrainingData(build(name, change, tmp_path), B)
    for seeds, step in (([0, 1, 2], 0), ([2, 0, 2], 1), ([1], data.steps // 2), ([3, 1], data.steps)):
        found = data.stacked(seeds, step)
        batches = [TrainingData(data.task, B).batch(seed, step) for seed in seeds]
        assert found.inputs.shape[1] == max(len(batch.inputs) for batch in batches)
        equal_lengths = all(batch.lengths is None and len(batch.inputs) == found.inputs.shape[1] for batch in batches)
        assert (found.lengths is None) == equal_lengths
        for model, batch in enumerate(batches):
            steps, here = len(batch.inputs), slice(found.first[model], found.first[model + 1])
            lengths = np.full(B, steps) if batch.lengths is None else batch.lengths
            assert np.array_equal(found.inputs[model, :steps], batch.inputs)
            assert found.lengths is None or np.array_equal(found.lengths[model], lengths)
            assert np.array_equal(found.rows[here], np.flatnonzero(batch.counts))
            assert np.array_equal(found.targets[here], batch.targets[batch.counts])
            assert found.targets.dtype == batch.targets.dtype


def test_a_stack_that_shrinks_goes_on_with_the_data_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = TrainingData(build("adding", {}, tmp_path), B)
    data.stacked([0, 1, 2], 0)
    monkeypatch.setattr(type(data.task), "training_block", None)
    data.keep([1, 2])
    assert data.stacked([1, 2], 1).inputs.shape[0] == 2


def test_batches_scored_as_one_have_all_their_sequences() -> None:
    lengths = [np.array([1, 2]), np.array([3, 1])]
    batches = [Batch(np.ones((n.max(), 2), int), np.full((n.max(), 2), n[0]), within(n, n.max()), n) for n in lengths]
    scored = scored_as_one(batches)
    assert scored.whole.counts.sum() == 7
    assert scored.whole.targets.tolist() == [[1, 1, 3, 3], [1, 1, 3, 3], [0, 0, 3, 3]]
    assert side_by_side([b.inputs for b in batches]).shape == (2, 3, 2)
