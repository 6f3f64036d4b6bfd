"""Events of the tasks: named steps of a batch at which something happens."""

from pathlib import Path

import numpy as np
import pytest
from task_list import build, defaults, generator, write_arrays

from experiments.tasks import load_task, task_names
from experiments.tasks.base import ordinal

SMALL = {"continual_reber": {"length": 3}, "continual_adding": {"length": 3}, "adding": {"length": 22}}
SILENT = {"polyphonic", "arrays"}  # nothing is named there


def batch_of(name: str, folder: Path, **changes: object):
    task = build(name, {**SMALL.get(name, {}), **changes}, folder)
    return task, task.evaluation_batches(generator(), 8, 8, task.length, "test")[0]


@pytest.mark.parametrize("name", task_names())
def test_events_are_steps_and_never_padding(name: str, tmp_path: Path) -> None:
    task, batch = batch_of(name, tmp_path)
    before = [None if part is None else part.copy() for part in batch]
    found = task.events(batch)
    assert all(one is two or np.array_equal(one, two) for one, two in zip(before, batch, strict=True))
    assert found or name in SILENT
    for steps in found.values():
        assert steps.dtype == bool
        assert steps.shape == batch.inputs.shape[:2]
        assert not (steps & ~batch.inside).any()
    assert not found or any(steps.any() for steps in found.values())


def symbols(task, batch, steps) -> set[str]:
    return {task.alphabet[symbol] for symbol in batch.inputs[steps]}


@pytest.mark.parametrize("markers", ["full", "inner", "distinct"])
@pytest.mark.parametrize("reset_at", [None, "string_end"])
def test_reber_strings_begin_and_end_where_they_do(markers: str, reset_at: str | None, tmp_path: Path) -> None:
    task, batch = batch_of("continual_reber", tmp_path, markers=markers, reset_at=reset_at)
    found = task.events(batch)
    strings = 8 * 3
    assert [int(steps.sum()) for steps in found.values()] == [strings] * 4
    assert symbols(task, batch, found["T or P"]) == {"T", "P"}
    assert np.array_equal(batch.inputs.T[found["T or P"].T], batch.targets.T[found["due"].T])  # it comes back
    ends = {"full": {"E"}, "inner": {"T", "P"}, "distinct": {"e"}}[markers]
    assert symbols(task, batch, found["string end"]) == ends
    if markers != "inner":
        assert symbols(task, batch, found["string start"]) == {"b" if markers == "distinct" else "B"}
    assert found["string start"][0].all()
    assert found["string end"][batch.lengths - 1, np.arange(batch.inputs.shape[1])].all()


@pytest.mark.parametrize("name", ["adding", "multiplication", "continual_adding"])
def test_the_target_is_made_of_the_marked_values(name: str, tmp_path: Path) -> None:
    task, batch = batch_of(name, tmp_path)
    found = task.events(batch)
    first, second = (batch.inputs[..., 0].T[found[mark].T] for mark in ("first mark", "second mark"))
    due = batch.targets[..., 0].T[found["due"].T]
    layout = getattr(task, "layout", "2016")
    made = first * second if name == "multiplication" else first + second
    assert due == pytest.approx(made if layout == "2016" or name != "adding" else 0.5 + made / 4, abs=1e-6)
    if name == "continual_adding":
        assert found["segment start"].sum() == found["due"].sum() == 24


@pytest.mark.parametrize("name", ["temporal_order", "continual_temporal_order"])
def test_the_class_is_the_order_of_the_named_symbols(name: str, tmp_path: Path) -> None:
    task, batch = batch_of(name, tmp_path)
    found = task.events(batch)
    names = [key for key in found if key.endswith("X or Y")]
    digits = [batch.inputs.T[found[key].T] - 6 for key in names]
    classes = sum(digit * 2 ** (len(names) - 1 - place) for place, digit in enumerate(digits))
    assert np.array_equal(classes, batch.targets.T[found["due"].T])


def test_counting_tells_where_a_letter_begins_and_a_string_ends(tmp_path: Path) -> None:
    task, batch = batch_of("counting", tmp_path)
    found = task.events(batch)
    assert symbols(task, batch, found["new letter"]) <= {"b", "c"}
    assert found["end due"].sum() == batch.inputs.shape[1]


def test_xml_tags_open_as_often_as_they_close(tmp_path: Path) -> None:
    found = (lambda task, batch: task.events(batch))(*batch_of("xml", tmp_path))
    assert found["tag opens"].sum() == found["tag closes"].sum() == found["tag ends"].sum() / 2 > 0


@pytest.mark.parametrize("texts", [True, False])
def test_arrays_name_their_events(texts: bool, tmp_path: Path) -> None:
    plain = build("arrays", {}, tmp_path)
    rows, steps = plain.content.split.shape[0], plain.content.inputs.shape[1]
    codes = np.zeros((rows, steps), dtype=np.int64)
    codes[:, 1], codes[:, 2] = 7, 3
    events = np.array(["", "", "", "bell", "", "", "", "spike"])[codes] if texts else codes
    (tmp_path / "named").mkdir()
    path = write_arrays(tmp_path / "named", events=events)
    task = load_task("arrays", {**defaults("arrays"), "path": str(path)})
    batch = task.evaluation_batches(generator(), 8, 8, task.length, "test")[0]
    found = task.events(batch)
    names = {"bell": 2, "spike": 1} if texts else {"event 3": 2, "event 7": 1}
    assert {name: np.flatnonzero(steps[:, 0]).tolist() for name, steps in found.items() if name != "due"} == {
        name: [step] for name, step in names.items() if batch.inside[step, 0]
    }
    unnamed = plain.evaluation_batches(generator(), 8, 8, plain.length, "test")[0]
    assert all(np.array_equal(one, two) for one, two in zip(batch.data, unnamed.data, strict=True) if one is not None)


def test_the_how_manieth_of_its_sequence() -> None:
    happens = np.array([0, 1, 1, 0, 1, 1], dtype=bool)[:, None]
    since = np.array([0, 0, 0, 1, 0, 0], dtype=bool)[:, None]
    assert ordinal(happens).ravel().tolist() == [0, 1, 2, 0, 3, 4]
    assert ordinal(happens, since).ravel().tolist() == [0, 1, 2, 0, 1, 2]
