"""Chance lines: the best predictor without the long-range information is computed, and scores what the task says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from task_list import CASES, IDS, REAL, build, generator, pieces

from experiments.tasks.base import Array, Batch, Task

# ---- what the predictor may know at a step: an integer for each (T, B) ------------------------------------------


def nothing(batch: Batch) -> Array:
    return np.zeros(batch.counts.shape, dtype=np.int64)


def symbol(batch: Batch) -> Array:
    return batch.inputs


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
    "noisy_lag-layout=2b": nothing,
    "noisy_lag-layout=2c": nothing,
    "noisy_lag-layout=2c-distractors=4": nothing,
    "counting": symbol,
    "xml": symbol,
    "parity": symbol,
}
SEQUENCES = {"xml": 600, "copy": 2_000, "variable_copy": 2_000, "noisy_lag": 2_000, "associative_recall": 3_000}
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
        elif self.task.loss_kind == "bce":
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
        feels_the_end = changes.get("layout") != "2b"  # who does not never says x or y
        assert means[task.metric] == pytest.approx(task.chance if feels_the_end else 0, abs=0.02)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("adding", {"layout": "1997"}), ("multiplication", {}), ("continual_adding", {}), ("timing", {})],
)
def test_how_often_a_constant_comes_close(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """The constant that was close most often in one sample, tried on another."""
    task = build(name, changes, tmp_path)
    tolerance = 0.49 / 30 if name == "timing" else 0.04
    seen, fresh = (task.sample(generator(seed), 10_000, task.length) for seed in (7, 8))
    targets = np.sort(seen.targets[seen.counts].ravel())
    constants = np.linspace(targets[0], targets[-1], 601)
    close = np.searchsorted(targets, constants + tolerance) - np.searchsorted(targets, constants - tolerance)
    outputs = torch.full(fresh.targets.shape, float(constants[close.argmax()]))
    assert task.scores(outputs, fresh).means()[task.metric] == pytest.approx(task.chance, rel=0.05)


@pytest.mark.parametrize(
    ("name", "changes", "missed"),
    [("adding", {"layout": "1997"}, 0.68), ("multiplication", {}, 1 - 0.08 * (1 - np.log(0.08)))],
)
@pytest.mark.parametrize("length", [100, 500])
def test_the_first_mark_of_1997_is_not_always_known(
    name: str, changes: dict[str, Any], missed: float, length: int, tmp_path: Path
) -> None:
    """With marks at 0 and in 1..9 either may be i1: who gives the mean of both answers is not close in ``missed``."""
    task = build(name, changes | {"length": length}, tmp_path)
    batch = task.training_batch(generator(7), 20_000)
    values, marked = batch.inputs[..., 0], batch.inputs[..., 1] == 1
    second = np.where(marked, np.arange(len(marked))[:, None], 0).max(axis=0)
    first, other = values[0], values[second, np.arange(20_000)]
    answers = (0.5 + (first + other) / 4, 0.5 + other / 4) if name == "adding" else (first * other, other)
    undecided = marked[0] & (second <= 9)
    outputs = np.where(undecided, sum(answers) / 2, batch.targets[..., 0])[..., None]
    ceiling = task.scores(torch.from_numpy(outputs), batch).means()["within_.04"]
    assert ceiling == pytest.approx(1 - missed * 1.8 / (length // 2 - 2), abs=0.003)
    assert task.solved is not None
    assert (ceiling > task.solved) == (name == "multiplication" or length == 500)


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


def test_knowing_only_the_last_symbol_of_the_order(tmp_path: Path) -> None:
    for symbols, loss in ((2, np.log(2)), (3, np.log(4))):
        task = build("temporal_order", {"symbols": symbols}, tmp_path)
        assert means_of(task, lambda batch: batch.targets % 2)["loss"] == pytest.approx(loss, rel=0.01)


def test_exact_sequences_by_guessing(tmp_path: Path) -> None:
    task = build("selective_copy", {"tokens": 2, "items": 3, "length": 8}, tmp_path)
    batch = task.training_batch(generator(7), 10_000)
    guesses = torch.from_numpy(generator(8).random((*batch.targets.shape, 2)))
    assert task.chance == 1 / 8
    assert task.scores(guesses, batch).means()["exact_accuracy"] == pytest.approx(1 / 8, abs=0.01)


def test_the_end_of_a_noisy_lag(tmp_path: Path) -> None:
    """2b: who has no sense of time gives x and y 1 / 2p each, who has it and forgot the start 1 / 2."""
    task = build("noisy_lag", {"layout": "2b", "length": 10}, tmp_path)
    blind, timed = (means_of(task, known, 10_000) for known in (nothing, position))
    assert blind["end_loss"] == pytest.approx(np.log(20), rel=0.02)
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
    for digits, nats in ((3, 2.33), (8, 2.47)):
        assert build("arithmetic", {"length": digits}, tmp_path).chance_loss == pytest.approx(nats, abs=0.01)


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
