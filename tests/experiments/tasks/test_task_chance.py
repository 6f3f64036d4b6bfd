"""Chance lines: the best predictor without the long-range information is computed, and scores what the task says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from task_list import CASES, IDS, REAL, build, generator, pieces

from experiments.tasks.base import YES_OR_NO, Array, Batch, Task

# ---- what the predictor may know at a step: an integer for each (T, B) ------------------------------------------


def nothing(batch: Batch) -> Array:
    return np.zeros(batch.counts.shape, dtype=np.int64)


def symbol(batch: Batch) -> Array:
    return batch.inputs


def character(batch: Batch) -> Array:
    """Without the flag."""
    return batch.inputs[..., :-1].argmax(axis=-1)


def position(batch: Batch) -> Array:
    return np.broadcast_to(np.arange(len(batch.inputs))[:, None], batch.counts.shape)


def since_the_signal(batch: Batch) -> Array:
    return np.where(batch.targets > 0, (batch.targets > 0).cumsum(axis=0), 0)


def what_may_follow(batch: Batch) -> Array:
    """The state of a Reber string but for its first T or P."""
    assert batch.legal is not None
    legal = batch.legal.copy()
    forced = (legal.sum(axis=-1) == 1) & (legal[..., 1] | legal[..., 2])
    legal[forced, 1] = legal[forced, 2] = True
    return legal @ (2 ** np.arange(legal.shape[-1])) * 2 + forced


KNOWN: dict[str, Callable[[Batch], Array]] = {
    "continual_reber": what_may_follow,
    "embedded_reber": what_may_follow,
    "copy": position,
    "variable_copy": since_the_signal,
    "noisy_lag": position,
    "timing": position,
    "arithmetic": character,
    "noisy_lag-layout=2c": nothing,
    "noisy_lag-layout=2c-distractors=4": nothing,
    "counting": symbol,
    "xml": symbol,
    "parity": symbol,
}
SEQUENCES = {
    "timing": 30_000,
    "xml": 600,
    "copy": 2_000,
    "variable_copy": 2_000,
    "noisy_lag": 2_000,
    "associative_recall": 3_000,
}
SEQUENCES |= {"continual_reber": 1_500, "continual_temporal_order": 3_000, "sequential_digits": 3_000}


class BestPredictor:
    """Who knows ``known`` and has seen one batch: the frequencies (as logits) or the mean of the targets there."""

    def __init__(self, task: Task, batch: Batch, known: Callable[[Batch], Array]) -> None:
        self.task, self.known = task, known
        targets = batch.targets[batch.counts]
        if task.loss_kind == "cross_entropy":
            targets = np.eye(task.output_size)[targets]
        self.states, where = np.unique(known(batch)[batch.counts], return_inverse=True)
        sums = np.zeros((len(self.states), task.output_size))
        np.add.at(sums, where, targets)
        self.means = sums / np.bincount(where)[:, None]

    def outputs(self, batch: Batch) -> torch.Tensor:
        """(T, B, O)."""
        values, tiny = self.means, np.exp(-40)
        if self.task.loss_kind == "cross_entropy":
            values = np.log(values + tiny)
        elif self.task.loss_kind in YES_OR_NO:
            values = np.log(values + tiny) - np.log(1 - values + tiny)
        places = np.searchsorted(self.states, self.known(batch)).clip(max=len(self.states) - 1)
        return torch.from_numpy(values[places])


def means_of(task: Task, known: Callable[[Batch], Array], sequences: int = 4_000) -> dict[str, float]:
    """What the best predictor scores on sequences that it has not seen."""
    seen, fresh = (task.sample(generator(seed), sequences, task.length) for seed in (7, 8))
    return task.scores(BestPredictor(task, seen, known).outputs(fresh), fresh).means()


BLIND_CASES = [
    pytest.param(*case, id=name)
    for case, name in zip(CASES, IDS, strict=True)
    if case[0] not in REAL and name != "continual_adding-flag=False"  # below
]


@pytest.mark.parametrize(("name", "changes"), BLIND_CASES)
def test_chance_is_what_the_best_blind_predictor_gets(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    task = build(name, changes, tmp_path)
    case = "-".join([name, *(f"{key}={value}" for key, value in changes.items())])
    known = KNOWN.get(case, KNOWN.get(name, nothing))
    means = means_of(task, known, SEQUENCES.get(name, 10_000))
    assert means["loss"] == pytest.approx(task.chance_loss, rel=0.02)
    if task.metric in ("accuracy", "end_accuracy", "outer_accuracy", "legal_strings", "recall_accuracy"):
        assert means[task.metric] == pytest.approx(task.chance, abs=0.02)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("adding", {"layout": "1997"}), ("multiplication", {}), ("continual_adding", {})],
)
def test_how_often_a_constant_comes_close(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """The constant that was close most often in one sample, tried on another."""
    task = build(name, changes, tmp_path)
    seen, fresh = (task.sample(generator(seed), 10_000, task.length) for seed in (7, 8))
    targets = np.sort(seen.targets[seen.counts].ravel())
    constants = np.linspace(targets[0], targets[-1], 601)
    close = np.searchsorted(targets, constants + 0.04) - np.searchsorted(targets, constants - 0.04)
    outputs = torch.full(fresh.targets.shape, float(constants[close.argmax()]))
    assert task.scores(outputs, fresh).means()[task.metric] == pytest.approx(task.chance, rel=0.05)


@pytest.mark.parametrize("length", [22, 100])
@pytest.mark.parametrize(("name", "changes"), [("adding", {"layout": "1997"}), ("multiplication", {})])
def test_the_marked_values_of_1997_tell_the_target(
    name: str, changes: dict[str, Any], length: int, tmp_path: Path
) -> None:
    """Whichever of them is i1: nothing stands between a net and the threshold, and chance has its closed form."""
    task = build(name, changes | {"length": length}, tmp_path)
    batch = task.training_batch(generator(7), 50_000)
    first, second = np.moveaxis(batch.inputs, 1, 0)[np.moveaxis(batch.inputs[..., 1] == 1, 1, 0)][:, 0].reshape(-1, 2).T
    due = batch.targets[batch.counts][:, 0]
    answers = 0.5 + (first + second) / 4 if name == "adding" else first * second
    order = np.argsort(np.nonzero(batch.counts)[1])
    assert due[order] == pytest.approx(answers, abs=1e-6)
    assert due.var(dtype=np.float64) == pytest.approx(task.chance_loss, rel=0.02)
    at_zero = (batch.inputs[0, :, 1] == 1) & (batch.inputs[0, :, 0] == (0 if name == "adding" else 1))
    assert at_zero.mean() == pytest.approx(1 / 10, abs=0.005)


@pytest.mark.parametrize("length", [61, 70, 100, 200])
def test_a_clock_alone_measures_some_of_the_time(length: int, tmp_path: Path) -> None:
    """Who knows the step of the second spike, by enumeration of all first spikes and intervals."""
    task = build("timing", {"length": length}, tmp_path)
    at: dict[int, list[int]] = {}
    for first in range(length - 60):
        for interval in range(30, 61):
            at.setdefault(first + interval, []).append(interval)
    cases = 31 * (length - 60)
    squares = sum(((np.array(found) - np.mean(found)) ** 2).sum() for found in at.values())
    assert task.chance_loss == pytest.approx(squares / cases / 900)
    assert task.chance == pytest.approx(len(at) / cases) == pytest.approx((length - 30) / (31 * (length - 60)))
    if length == 70:
        means = means_of(task, position, 20_000)
        assert means["loss"] == pytest.approx(task.chance_loss, rel=0.03)


@pytest.mark.parametrize(
    ("name", "changes", "loss"), [("parity", {}, 0.633), ("counting", {}, 0.268), ("counting", {"letters": 3}, 0.322)]
)
def test_who_counts_the_steps_loses_less(name: str, changes: dict[str, Any], loss: float, tmp_path: Path) -> None:
    """Below the chance loss, that of the current symbol alone, as docs/tasks.md says."""
    task = build(name, changes, tmp_path)
    assert means_of(task, lambda batch: 10 * position(batch) + symbol(batch), 10_000)["loss"] == pytest.approx(
        loss, rel=0.02
    )
    assert task.chance_loss is not None
    assert loss < 0.95 * task.chance_loss


@pytest.mark.parametrize("length", [10, 11, 100])
def test_a_marked_last_step_helps_a_little(length: int, tmp_path: Path) -> None:
    """Who has only the last value and its mark in view: as adding's file says, below 1/6."""
    task = build("adding", {"length": length}, tmp_path)
    batch = task.training_batch(generator(7), 200_000)
    value, marked = batch.inputs[-1].T
    means = task.scores(
        torch.from_numpy(np.where(marked == 1, value + 0.5, 1)[None, :, None]), batch.at(np.array([-1]))
    )
    places = length - length // 2
    assert means.means()["loss"] == pytest.approx(1 / 6 - 1 / (12 * places), rel=0.01)


def test_who_sees_the_second_value_comes_close_more_often(tmp_path: Path) -> None:
    """Without the end flag the sum is due at the second mark, its value in view."""
    task = build("continual_adding", {"flag": False}, tmp_path)
    batch = task.training_batch(generator(7), 5_000)
    means = task.scores(torch.from_numpy(batch.inputs[..., :1] + 0.5), batch).means()
    assert means["loss"] == pytest.approx(task.chance_loss, rel=0.02)
    assert means["within_.04"] == pytest.approx(task.chance, rel=0.05)


@pytest.mark.parametrize("name", ["copy", "variable_copy"])
def test_recall_at_chance(name: str, tmp_path: Path) -> None:
    task = build(name, {}, tmp_path)
    means = means_of(task, since_the_signal, 2_000)
    assert means["recall_loss"] == pytest.approx(np.log(8), rel=0.005)
    assert not task.is_solved(means)


def values_given(batch: Batch) -> Array:
    """Which values stand in the pairs of an associative recall, each sequence a number of its own."""
    values = np.sort(batch.inputs[1:8:2], axis=0)
    return np.broadcast_to((values * 200 ** np.arange(4)[:, None]).sum(axis=0), batch.counts.shape)


@pytest.mark.parametrize(
    ("name", "changes", "known"),
    [
        ("temporal_order", {}, lambda batch: batch.targets % 2),
        ("temporal_order", {"symbols": 3}, lambda batch: batch.targets % 2),
        ("continual_temporal_order", {"string_length": 10}, lambda batch: batch.targets % 2),
        ("associative_recall", {}, values_given),
    ],
)
def test_a_shortcut_reaches_its_reference_line(
    name: str, changes: dict[str, Any], known: Callable[[Batch], Array], tmp_path: Path
) -> None:
    task = build(name, changes, tmp_path)
    (reference,) = task.references.values()
    batch = task.training_batch(generator(7), 3_000)
    means = task.scores(BestPredictor(task, batch, known).outputs(batch), batch).means()
    assert means["loss"] == pytest.approx(reference.loss, rel=0.02)
    assert task.chance is not None
    assert task.chance < reference.score
    if name != "associative_recall":  # whose ties in one sequence are told apart by the best of them
        assert means["accuracy"] == pytest.approx(reference.score, abs=0.02)


def test_what_was_given_does_not_bind_what_is_asked(tmp_path: Path) -> None:
    """Any one of the values that occurred is right in 1/k of the queries."""
    task = build("associative_recall", {}, tmp_path)
    batch = task.training_batch(generator(7), 5_000)
    for pair in range(4):
        guess = np.broadcast_to(np.eye(128)[batch.inputs[2 * pair + 1]], (*batch.counts.shape, 128))
        accuracy = task.scores(torch.from_numpy(guess.copy()), batch).means()["accuracy"]
        assert accuracy == pytest.approx(task.references["values without their keys"].score, abs=0.01)


def test_exact_sequences_by_guessing(tmp_path: Path) -> None:
    task = build("selective_copy", {"tokens": 2, "items": 3, "length": 8}, tmp_path)
    batch = task.training_batch(generator(7), 10_000)
    guesses = torch.from_numpy(generator(8).random((*batch.targets.shape, 2)))
    assert task.chance == 1 / 8
    assert task.scores(guesses, batch).means()["exact_accuracy"] == pytest.approx(1 / 8, abs=0.01)


def test_the_end_of_a_noisy_lag(tmp_path: Path) -> None:
    """2b: who does not count gives x and y 1 / 2p each and never says them, who counts and forgot the start 1 / 2."""
    task = build("noisy_lag", {"layout": "2b", "length": 10}, tmp_path)
    blind, timed = (means_of(task, known, 10_000) for known in (nothing, position))
    assert blind["loss"] == pytest.approx(np.log(10) + np.log(2) / 10, rel=0.01)
    assert blind["end_loss"] == pytest.approx(np.log(20), rel=0.02)
    assert blind["end_accuracy"] == 0
    assert timed["loss"] == pytest.approx(task.chance_loss, rel=0.01)
    assert timed["end_loss"] == pytest.approx(np.log(2), rel=0.01)
    assert timed["end_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_floor_of_the_reber_tasks(tmp_path: Path) -> None:
    """Who knows the automaton and the first T or P."""
    for name, floor in (("continual_reber", 7 / 12), ("embedded_reber", 7 / 11)):
        task = build(name, {}, tmp_path)
        batch = task.training_batch(generator(7), 3_000)
        assert batch.legal is not None
        outputs = torch.where(torch.from_numpy(batch.legal), 0.0, -40.0)
        assert task.scores(outputs, batch).means()["loss"] == pytest.approx(floor * np.log(2), rel=0.01)


def test_arithmetic_lines_of_the_papers_sizes(tmp_path: Path) -> None:
    for digits, nats, accuracy in ((3, 2.00, 0.397), (8, 2.28, 0.215)):
        task = build("arithmetic", {"length": digits}, tmp_path)
        assert task.chance_loss == pytest.approx(nats, abs=0.01)
        assert task.chance == pytest.approx(accuracy, abs=0.002)


# ---- real data: the constant of the training targets ------------------------------------------------------------


def test_chance_of_text_is_its_alphabet(tmp_path: Path) -> None:
    task = build("char_lm", {}, tmp_path)
    letters = len(set("the quick brown fox jumps over the lazy dog; "))
    assert (task.chance_loss, task.chance) == (np.log(letters), np.log2(letters))


def test_chance_of_music_is_how_often_each_key_sounds(tmp_path: Path) -> None:
    task = build("polyphonic", {}, tmp_path)
    steps = [set(step) for piece in pieces()["train"] for step in piece[1:]]
    shares = np.array([sum(note in step for step in steps) / len(steps) for note in range(21, 109)])
    seen = shares[(shares > 0) & (shares < 1)]
    assert task.chance_loss == pytest.approx(-(seen * np.log(seen) + (1 - seen) * np.log(1 - seen)).sum())


def test_chance_of_arrays_is_measured_on_the_training_targets(tmp_path: Path) -> None:
    task = build("arrays", {}, tmp_path)
    content = np.load(tmp_path / "own.npz")
    rows = content["split"] == "train"
    inside = np.arange(7) < content["lengths"][rows][:, None]
    shares = np.bincount(content["targets"][rows][inside]) / inside.sum()
    assert task.chance_loss == pytest.approx(-(shares * np.log(shares)).sum())
    assert task.chance == shares.max()
