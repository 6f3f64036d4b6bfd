"""What holds for every task: the contract, bit by bit, and how tasks are found and refused."""

import doctest
import hashlib
import importlib
import random
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from task_list import CARRIED, CASES, CONF, IDS, REAL, SYNTHETIC, TASKS, WRITERS, build, defaults, equal

from experiments.config.extensions_option import use_extensions
from experiments.tasks import load_task, task_names
from experiments.tasks.base import Batch, Scores, Task, TaskError, joined
from experiments.training.streams import generator

B = 6


@pytest.fixture(params=CASES, ids=IDS)
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    name, changes = request.param
    return build(name, changes, tmp_path)


def outputs_for(task: Task, batch: Batch, seed: int = 0) -> torch.Tensor:
    own = torch.Generator().manual_seed(seed)
    return torch.randn(*batch.targets.shape[:2], task.output_size, generator=own)


# ---- the contract -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_the_example_that_opens_the_file_is_what_the_task_does(name: str, tmp_path: Path) -> None:
    """``file`` in an example writes the user's file."""
    module = importlib.import_module(f"experiments.tasks.{name}")
    assert module.__doc__ is not None
    assert module.__doc__.split("\n")[2].startswith(">>> ")
    result = doctest.testmod(module, extraglobs={"file": partial(WRITERS[name], tmp_path)} if name in REAL else {})
    assert result.attempted >= 1
    assert result.failed == 0


def test_sizes_and_types_fit(task: Task) -> None:
    batch = task.training_batch(generator(0, "train"), B)
    steps, width = batch.inputs.shape[:2]
    symbols, classes = batch.inputs.ndim == 2, batch.targets.ndim == 2
    assert batch.inputs.dtype == (np.int64 if symbols else np.float32)
    assert batch.targets.dtype == (np.int64 if classes else np.float32)
    assert batch.inputs.shape == ((steps, width) if symbols else (steps, width, task.input_size))
    assert batch.targets.shape == ((steps, width) if classes else (steps, width, task.output_size))
    assert classes == (task.loss_kind == "cross_entropy")
    assert not symbols or (batch.inputs.min() >= 0 and batch.inputs.max() < task.input_size)
    assert not classes or (batch.targets.min() >= 0 and batch.targets.max() < task.output_size)
    assert batch.counts.shape == (steps, width)
    assert batch.counts.any()
    assert width == (B * task.length if getattr(task, "reset_at", None) else B)  # a sequence of each string
    if batch.lengths is not None:
        assert batch.mask is not None
        assert batch.lengths.shape == (width,)
        assert batch.lengths.max() == steps
        assert not batch.counts[np.arange(steps)[:, None] >= batch.lengths].any()
    if batch.legal is not None:
        assert batch.legal.shape == (steps, width, task.output_size)
        assert batch.legal[(*np.nonzero(batch.counts), batch.targets[batch.counts])].all()


def test_equal_seed_stream_and_step_give_equal_bits_and_others_do_not(task: Task) -> None:
    def drawn(seed: int, stream: str, step: int) -> Batch:
        return task.training_batch(generator(seed, stream, step), B)

    first = drawn(1, "train", 5)
    assert equal(first, drawn(1, "train", 5))
    for other in ((2, "train", 5), (1, "noise", 5), (1, "train", 6)):
        assert any(not equal(drawn(*other[:2], other[2] + k), drawn(1, "train", 5 + k)) for k in range(5))


def test_no_global_generator_is_drawn_from(task: Task) -> None:
    def states() -> list[Any]:
        return [repr(np.random.get_state()), torch.get_rng_state().tolist(), random.getstate()]  # noqa: NPY002

    before = states()
    batch = task.training_batch(generator(0, "train"), B)
    task.evaluation_batches(generator(0, "evaluation"), B, 2 * B, task.length, "test")
    task.scores(outputs_for(task, batch), batch)
    assert states() == before


def test_evaluation_is_fixed_and_apart_from_training(task: Task) -> None:
    sets = [task.evaluation_batches(generator(0, "evaluation"), B, 3 * B, task.length, "test") for _ in range(2)]
    assert all(equal(one, other) for one, other in zip(*sets, strict=True))
    training = task.training_batch(generator(0, "train"), B)
    assert not equal(sets[0][0], training)


def test_loss_and_scores_agree_and_are_differentiable(task: Task) -> None:
    batch = task.training_batch(generator(0, "train"), B)
    outputs = outputs_for(task, batch).requires_grad_()
    loss = task.loss(outputs, batch)
    (gradient,) = torch.autograd.grad(loss, outputs)
    scores = task.scores(outputs, batch)
    assert loss.item() == pytest.approx(scores.means()["loss"], rel=1e-5)
    assert gradient.isfinite().all()
    assert not gradient[~torch.from_numpy(batch.counts)].any()
    assert all(isinstance(value, float) for value in scores.means().values())


def test_padding_changes_nothing(task: Task) -> None:
    """Neither what stands in padding and uncounted steps, nor more padding, reaches loss or metrics."""
    batch = task.training_batch(generator(0, "train"), B)
    outputs = outputs_for(task, batch)
    more = 3

    def longer(values: Any, fill: Any) -> Any:
        return np.concatenate([values, np.full((more, *values.shape[1:]), fill, dtype=values.dtype)])

    padded = Batch(
        longer(batch.inputs, 0),
        longer(
            np.where(batch.counts.reshape(batch.counts.shape + (1,) * (batch.targets.ndim - 2)), batch.targets, 1), 1
        ),
        longer(batch.counts, False),
        np.full(batch.counts.shape[1], len(batch.inputs)) if batch.lengths is None else batch.lengths,
        None if batch.legal is None else longer(batch.legal, True),
    )
    noisy = torch.where(torch.from_numpy(batch.counts)[..., None], outputs, 1e6)
    noisy = torch.cat([noisy, torch.full((more, *outputs.shape[1:]), -1e6)])
    assert task.loss(noisy, padded) == task.loss(outputs, batch)
    assert task.scores(noisy, padded) == task.scores(outputs, batch)


def test_steps_that_nobody_counts_may_be_left_out(task: Task) -> None:
    batch = task.training_batch(generator(0, "train"), B)
    outputs = outputs_for(task, batch)
    steps = np.flatnonzero(batch.counts.any(axis=1))
    assert task.scores(outputs[torch.from_numpy(steps)], batch.at(steps)) == task.scores(outputs, batch)


def test_the_main_metric_is_measured_and_judged(task: Task) -> None:
    batch = task.training_batch(generator(0, "train"), B)
    metrics = task.scores(outputs_for(task, batch), batch).means()
    if task.metric not in metrics:
        metrics |= task.probe(lambda asked: outputs_for(task, asked), generator(0, "probe"))
    assert task.metric in metrics
    assert task.direction in ("min", "max")
    assert task.lag >= 1
    assert task.unit
    if task.solved is None:
        assert not task.is_solved(metrics)
    else:
        assert task.chance is not None
        assert (task.solved < task.chance) == (task.direction == "min")
        assert task.is_solved(metrics | {"loss": 0.0, task.metric: task.solved})
        assert not task.is_solved(metrics | {"loss": task.chance, task.metric: task.chance})


def test_an_example_is_aligned(task: Task) -> None:
    lines = task.example(seed=3).split("\n")
    assert lines[-1].startswith("target")
    assert len({len(line) for line in lines}) == 1


def test_carried_streams_are_exact(tmp_path: Path) -> None:
    """One long stream gives what its chunks give with the state carried and the padding held."""
    from family import SPECS

    from lstm_variants import GatedRNN

    small = {"xml": {"length": 1}, "continual_temporal_order": {"length": 2, "string_length": 10}}
    for name in CARRIED:
        task = build(name, small.get(name, {"length": 2}), tmp_path)
        layer = GatedRNN(SPECS["lstm"], task.input_size, 5).double()
        chunks = [task.training_batch(generator(0, "train", step), 3) for step in range(3)]
        shown = [
            torch.eye(task.input_size, dtype=torch.float64)[torch.from_numpy(chunk.inputs)]
            if chunk.inputs.ndim == 2
            else torch.from_numpy(chunk.inputs).double()
            for chunk in chunks
        ]
        state = None
        for chunk, x in zip(chunks, shown, strict=True):
            assert chunk.lengths is not None
            _, state = layer(x, state, torch.from_numpy(chunk.lengths))
        for stream in range(3):
            parts = [
                x[: c.lengths[stream], stream] for c, x in zip(chunks, shown, strict=True) if c.lengths is not None
            ]
            _, whole = layer(torch.cat(parts)[:, None])
            torch.testing.assert_close(state.c[:, stream], whole.c[:, 0])
            torch.testing.assert_close(state.h[:, stream], whole.h[:, 0])


@pytest.mark.parametrize("name", SYNTHETIC)
def test_an_evaluation_length_is_used(name: str, tmp_path: Path) -> None:
    task = build(name, {"layout": "2c"} if name == "noisy_lag" else {}, tmp_path)
    longer = 2 * task.length
    short, long = (
        task.evaluation_batches(generator(0, "evaluation"), B, B, length, "test")[0] for length in (task.length, longer)
    )
    assert len(long.inputs) > len(short.inputs)


def test_scores_add_up() -> None:
    scores = Scores(loss=(1.0, 2))
    scores.add({"loss": (3.0, 6), "accuracy": (1.0, 4)})
    assert scores.means() == {"loss": 0.5, "accuracy": 0.25}


def test_pieces_are_laid_end_to_end() -> None:
    pieces, lengths = np.array([[1, 2, 9], [3, 9, 9], [4, 5, 6], [7, 9, 9]]), np.array([2, 1, 3, 1])
    assert joined(pieces, lengths, streams=2).T.tolist() == [[1, 2, 3, 0], [4, 5, 6, 7]]


# ---- finding and refusing ---------------------------------------------------------------------------------------


def test_every_task_has_its_yaml_with_exactly_its_settings(tmp_path: Path) -> None:
    assert task_names() == TASKS
    for name in TASKS:
        assert set(defaults(name)) == {field.name for field in fields(build(name, {}, tmp_path))}
        assert all("#" in line for line in (CONF / f"{name}.yaml").read_text().splitlines())


@pytest.mark.parametrize("name", [name for name in TASKS if name not in REAL])
def test_a_length_that_is_too_short_is_refused_by_name(name: str, tmp_path: Path) -> None:
    shortest = build(name, {}, tmp_path).min_length
    with pytest.raises(TaskError, match=rf"^task\.length={shortest - 1}: .* is needed$"):
        build(name, {"length": shortest - 1}, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": "abc"}, "task.length=abc: a whole number is needed"),
        ({"length": True}, "task.length=True: a whole number is needed"),
        ({"length": 10.5}, "task.length=10.5: a whole number is needed"),
        ({"length": None}, "task.length=None: a whole number is needed"),
        ({"eval_lengths": 5}, r"task.eval_lengths=5: a list is needed, such as \[100, 200\]"),
        ({"eval_lengths": [50, "x"]}, "task.eval_lengths=x: a whole number is needed"),
        ({"eval_lengths": [0]}, "task.eval_lengths=.*: 2 or more is needed"),
        ({"layout": None}, "task.layout=None: a text is needed"),
        ({"layout": "1998"}, "task.layout=1998: 2016 or 1997 is needed"),
        ({"layuot": "2016"}, "task.layuot: adding has no such setting; did you mean layout?"),
        ({"zzz": 1}, "task.zzz: adding has no such setting; legal are length, eval_lengths, layout, values"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_task("adding", defaults("adding") | settings)


@pytest.mark.parametrize(("key", "value"), [("asked", 0), ("asked", 2001), ("strings", 0), ("strings", 10**6 + 1)])
def test_counting_asks_for_no_more_than_fits_into_memory(key: str, value: int) -> None:
    with pytest.raises(TaskError, match=rf"task\.{key}={value}: 1 to "):
        load_task("counting", defaults("counting") | {key: value})


def test_an_unknown_task_or_a_missing_setting_is_named() -> None:
    with pytest.raises(TaskError, match=r"task=ading: no such task; did you mean adding"):
        load_task("ading", {})
    with pytest.raises(TaskError, match=r"task\.layout: adding needs this setting"):
        load_task("adding", {"length": 10, "eval_lengths": []})


def test_what_the_command_line_says_is_taken_as_meant() -> None:
    task = load_task("adding", {"length": 30, "eval_lengths": [50, 60], "layout": 1997, "values": "0..1"})
    assert (task.eval_lengths, task.metric) == ((50, 60), "within_.04")


@pytest.mark.parametrize(
    ("name", "settings", "key"),
    [
        ("adding", {"layout": "1997", "length": 21}, "length"),
        ("associative_recall", {"symbols": 63}, "symbols"),
        ("associative_recall", {"symbols": 64}, "symbols"),
        ("associative_recall", {"pairs": 17}, "pairs"),
        ("arithmetic", {"length": 18}, "length"),
        ("continual_adding", {"longest": 29}, "longest"),
        ("continual_adding", {"shortest": 1}, "shortest"),
        ("continual_reber", {"markers": "outer"}, "markers"),
        ("continual_reber", {"reset_at": "never"}, "reset_at"),
        ("continual_temporal_order", {"string_length": 9}, "string_length"),
        ("adding", {"values": "0..2"}, "values"),
        ("adding", {"layout": "1997", "values": "-1..1"}, "values"),
        ("counting", {"letters": 4}, "letters"),
        ("counting", {"alpha": 0.0}, "alpha"),
        ("counting", {"beta": float("inf")}, "beta"),
        ("counting", {"strings": 0}, "strings"),
        ("counting", {"asked": 0}, "asked"),
        ("counting", {"score": "e2"}, "score"),
        ("embedded_reber", {"length": 31}, "length"),
        ("noisy_lag", {"distractors": 3}, "distractors"),
        ("noisy_lag", {"eval_lengths": [50]}, "eval_lengths"),
        ("parity", {"target": "first"}, "target"),
        ("selective_copy", {"items": 61}, "items"),
        ("sequential_digits", {"length": 16}, "length"),
        ("sequential_digits", {"eval_lengths": [64]}, "eval_lengths"),
        ("temporal_order", {"symbols": 4}, "symbols"),
        ("timing", {"layout": "other"}, "layout"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    name: str, settings: dict[str, Any], key: str, tmp_path: Path
) -> None:
    with pytest.raises(TaskError, match=rf"^task\.{key}=.* is needed$"):
        build(name, settings, tmp_path)


OWN_TASK = """
from dataclasses import dataclass
from experiments.tasks.parity import Parity

@dataclass(frozen=True, kw_only=True)
class Mine(Parity):
    depth: int
"""


def test_a_folder_of_ones_own_adds_tasks(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.py").write_text(OWN_TASK)
    (tmp_path / "tasks" / "empty.py").write_text("")
    use_extensions(tmp_path)
    task = load_task("mine", {"length": 5, "eval_lengths": [], "target": "each", "depth": 2})
    assert type(task).__name__ == "Mine"
    assert task.training_batch(generator(0, "train"), B).inputs.shape[1] == B
    with pytest.raises(TaskError, match="task=empty: its file must define one class derived from Task, it defines 0"):
        load_task("empty", {})


def test_the_task_in_the_documentation_works(tmp_path: Path) -> None:
    text = (CONF.parent.parent / "docs" / "tasks.md").read_text()
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "first_symbol.py").write_text(text.split("```python\n")[1].split("```")[0])
    use_extensions(tmp_path)
    task = load_task("first_symbol", {"length": 5, "eval_lengths": []})
    batch = task.training_batch(generator(0, "train"), B)
    assert np.array_equal(batch.targets[-1], batch.inputs[0])
    assert task.loss(outputs_for(task, batch), batch).isfinite()
    assert {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")} == set(TASKS)


DRAWN = {
    "arithmetic": ("6b95c89321223672", 2778050511),
    "embedded_reber": ("5db61747f2a976ff", 1594316732),
    "xml": ("c44e332ccc6c23d8", 344412315),
}


@pytest.mark.parametrize("name", DRAWN)
def test_tasks_drawn_in_few_passes_draw_what_they_drew(name: str, tmp_path: Path) -> None:
    """Runs are paired by these numbers; and whoever draws from the generator afterwards gets what he got."""
    random_numbers = generator(0, "pinned")
    batch = build(name, {}, tmp_path).training_batch(random_numbers, 16)
    drawn = b"".join(np.ascontiguousarray(array).tobytes() for array in batch.data if array is not None)
    assert (hashlib.sha256(drawn).hexdigest()[:16], random_numbers.integers(0, 2**32)) == DRAWN[name]
