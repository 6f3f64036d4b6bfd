"""Real data from the user's files: read as they are, and refused by name when missing, damaged or unsafe."""

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_list import (
    REAL,
    build,
    defaults,
    generator,
    idx,
    pieces,
    rolls,
    write_arrays,
    write_mat,
    write_mnist,
    write_pickle,
    write_text,
)

from experiments.tasks import load_task
from experiments.tasks.base import Task, TaskError


def load(name: str, path: Path, **changes: Any) -> Task:
    return load_task(name, defaults(name) | changes | {"path": str(path)})


def whole(task: Task, split: str) -> list[tuple[list[Any], list[Any]]]:
    """Inputs and targets of each sequence of a split, in order."""
    found = []
    for batch in task.evaluation_batches(generator(), 2, 100, task.length, split):
        for column in range(batch.inputs.shape[1]):
            counts = batch.counts[:, column]
            steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[column])
            found.append((batch.inputs[:steps, column].tolist(), batch.targets[counts, column].tolist()))
    return found


# ---- missing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_without_a_path_the_error_says_what_to_fetch(name: str) -> None:
    with pytest.raises(TaskError, match=r"^task\.path=null: no (file|folder); (fetch|name) "):
        load_task(name, defaults(name))


@pytest.mark.parametrize("name", REAL)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"^task\.path=.*nowhere: there is no such (file|folder); (fetch|name) "):
        load(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", REAL)
def test_a_folder_is_no_file_and_a_file_no_folder(name: str, tmp_path: Path) -> None:
    kind, path = ("folder", write_text(tmp_path)) if name == "sequential_mnist" else ("file", tmp_path)
    with pytest.raises(TaskError, match=rf"^task\.path={path}: there is no such {kind}; (fetch|name) "):
        load(name, path)


def test_a_folder_without_one_of_the_four_files_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(TaskError, match=r"t10k-labels-idx1-ubyte: there is no such file, plain or .gz; fetch the four"):
        load("sequential_mnist", tmp_path)


# ---- read as they are -------------------------------------------------------------------------------------------


def test_mnist_is_read_in_order_and_split(tmp_path: Path) -> None:
    task = load("sequential_mnist", write_mnist(tmp_path))
    images = np.frombuffer((tmp_path / "train-images-idx3-ubyte").read_bytes()[16:], dtype=np.uint8).reshape(12, 784)
    expected = [((row / 255).astype(np.float32)[:, None].tolist(), [k % 10]) for k, row in enumerate(images)]
    assert whole(task, "train") == expected[:10]
    assert whole(task, "validation") == expected[10:]
    assert [label for _, label in whole(task, "test")] == [[0], [1], [2], [3]]
    rows = load("sequential_mnist", tmp_path, length=28)
    assert np.array_equal(np.reshape(whole(rows, "train")[0][0], 784), np.ravel(expected[0][0]))


def test_a_permutation_is_the_same_for_every_image(tmp_path: Path) -> None:
    plain, mixed = (load("sequential_mnist", write_mnist(tmp_path), permuted=p) for p in (False, True))
    orders = []
    for (own, label), (other, other_label) in zip(whole(plain, "train"), whole(mixed, "train"), strict=True):
        assert label == other_label
        assert own != other
        assert sorted(own) == sorted(other)
        orders.append((np.ravel(own), np.ravel(other)))
    first = np.stack([own for own, _ in orders])
    second = np.stack([other for _, other in orders])
    assert {tuple(column) for column in first.T} == {tuple(column) for column in second.T}


@pytest.mark.parametrize("write", [write_pickle, write_mat])
def test_music_is_read_from_both_formats(write: Callable[[Path], Path], tmp_path: Path) -> None:
    task = load("polyphonic", write(tmp_path))
    for split, own in (("train", "train"), ("validation", "valid"), ("test", "test")):
        assert whole(task, split) == [(roll[:-1].tolist(), roll[1:].tolist()) for roll in rolls(own)]


def test_training_takes_excerpts(tmp_path: Path) -> None:
    task = load("polyphonic", write_pickle(tmp_path), length=3)
    batch = task.training_batch(generator(), 300)
    assert len(batch.inputs) == 3
    assert batch.lengths is not None
    assert set(batch.lengths.tolist()) == {1, 3}  # a piece of two steps has one prediction
    cuts = {str(roll[s : s + 3].tolist()) for roll in rolls("train") for s in range(len(roll) - 3)}
    seen = {str(batch.inputs[:3, c].tolist()) for c in range(300) if batch.lengths[c] == 3}
    assert seen == cuts


def test_text_is_split_in_order_and_read_in_windows(tmp_path: Path) -> None:
    text = "Grüße, 世界! " * 30
    task = load("char_lm", write_text(tmp_path, text), length=7)
    letters = sorted(set(text))
    cut = len(text) * 95 // 100
    test = text[cut:]
    assert task.input_size == task.output_size == len(letters)
    shown = whole(task, "test")
    assert "".join(letters[s] for inputs, _ in shown for s in inputs) == test[:-1]
    assert "".join(letters[s] for _, targets in shown for s in targets) == test[1:]
    assert all(len(inputs) == 7 for inputs, _ in shown[:-1])
    batch = task.training_batch(generator(), 20)
    for column in range(20):
        window = "".join(letters[s] for s in [*batch.inputs[:, column], batch.targets[-1, column]])
        assert len(window) == 8
        assert window in text[: len(text) * 90 // 100]


def test_arrays_of_symbols(tmp_path: Path) -> None:
    task = load("arrays", write_arrays(tmp_path))
    content = np.load(tmp_path / "own.npz")
    rows = np.flatnonzero(content["split"] == "test")
    lengths = content["lengths"]
    own = [(content["inputs"][r, : lengths[r]].tolist(), content["targets"][r, : lengths[r]].tolist()) for r in rows]
    assert whole(task, "test") == own
    assert (task.input_size, task.output_size, task.metric) == (5, 3, "accuracy")


@pytest.mark.parametrize(
    ("targets", "kind", "size"),
    [
        (generator().random((9, 7, 2)), "mse", 2),
        (generator().random((9, 2)), "mse", 2),
        (generator().random((9, 7, 4)) < 0.5, "bce", 4),
        (generator().random((9, 4)) < 0.5, "bce", 4),
        (np.arange(9) % 3, "cross_entropy", 3),
    ],
)
def test_arrays_of_any_kind(targets: Any, kind: str, size: int, tmp_path: Path) -> None:
    inputs = generator(1).random((9, 7, 3))
    task = load("arrays", write_arrays(tmp_path, inputs=inputs, targets=targets, lengths=None))
    assert (task.loss_kind, task.input_size, task.output_size) == (kind, 3, size)
    labelled = targets.ndim < (2 if kind == "cross_entropy" else 3)
    for row, (own, due) in zip(range(1, 9, 3), whole(task, "validation"), strict=True):
        assert np.allclose(own, inputs[row])
        assert np.allclose(due, targets[row][None] if labelled else targets[row])


def test_arrays_of_one_value_a_step(tmp_path: Path) -> None:
    task = load("arrays", write_arrays(tmp_path, inputs=generator().random((9, 7))))
    assert task.input_size == 1


def test_labelled_sequences_are_never_cut(tmp_path: Path) -> None:
    path = write_arrays(tmp_path, targets=np.arange(9) % 3)
    with pytest.raises(TaskError, match=r"task\.length=6: 7 or more \(one target a sequence: no excerpts\) is needed"):
        load("arrays", path, length=6)


# ---- damaged ----------------------------------------------------------------------------------------------------


def damaged(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("file", "change", "fault"),
    [
        ("train-images-idx3-ubyte", lambda b: b[:-1], r"9423 bytes do not hold the \(12, 28, 28\)"),
        ("train-images-idx3-ubyte", lambda b: b + b"x", "9425 bytes do not hold"),
        ("train-images-idx3-ubyte", lambda b: b"", "does not begin as an IDX file of bytes with 3 axes"),
        ("train-images-idx3-ubyte", lambda b: b[:9], "does not begin as an IDX file"),
        ("train-images-idx3-ubyte", lambda b: b"<html>404", "does not begin as an IDX file"),
        ("t10k-labels-idx1-ubyte.gz", lambda b: b[: len(b) // 2], "it cannot be unpacked"),
        ("t10k-labels-idx1-ubyte.gz", lambda b: b[:12] + b"\xff" * 4 + b[16:], "it cannot be unpacked"),
        ("t10k-labels-idx1-ubyte.gz", lambda b: b"<html>404", "it cannot be unpacked"),
        ("t10k-labels-idx1-ubyte.gz", lambda b: gzip.compress(idx(np.zeros(5, np.uint8))), "5 labels for 4 images"),
        ("t10k-labels-idx1-ubyte.gz", lambda b: gzip.compress(idx(np.full(4, 10, np.uint8))), "there is a 10"),
        ("train-images-idx3-ubyte", lambda b: idx(np.zeros((12, 8, 8), np.uint8)), "28x28 are needed, these are 8x8"),
    ],
)
def test_a_damaged_idx_file_is_refused_by_name(
    file: str, change: Callable[[bytes], bytes], fault: str, tmp_path: Path
) -> None:
    damaged(write_mnist(tmp_path) / file, change)
    with pytest.raises(TaskError, match=rf"{file.removesuffix('.gz')}.*{fault}"):
        load("sequential_mnist", tmp_path).training_batch(generator(), 2)


@pytest.mark.parametrize(
    ("write", "change", "fault"),
    [
        (write_pickle, lambda b: b[: len(b) // 2], "cannot be read as a pickle"),
        (write_pickle, lambda b: b"", "cannot be read as a pickle"),
        (write_pickle, lambda b: b"<html>404", "cannot be read as a pickle"),
        (write_mat, lambda b: b[: len(b) // 2], "cannot be read as a .mat file"),
        (write_mat, lambda b: b"", "cannot be read as a .mat file"),
        (write_mat, lambda b: b"<html>404", "cannot be read as a .mat file"),
    ],
)
def test_a_damaged_music_file_is_refused_by_name(
    write: Callable[[Path], Path], change: Callable[[bytes], bytes], fault: str, tmp_path: Path
) -> None:
    path = damaged(write(tmp_path), change)
    with pytest.raises(TaskError, match=rf"{path.name}: it {fault}"):
        load("polyphonic", path).training_batch(generator(), 2)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([1, 2], "a dict with train, valid and test is needed, it holds a list"),
        ({"train": [[(60,), (61,)]]}, r"it has no validdata \(nor valid\)"),
        (pieces() | {"valid": []}, "valid has no pieces"),
        (pieces() | {"valid": [[(60,), (20,)]]}, r"valid: a note outside 21\.\.108 at step 1"),
        (pieces() | {"valid": [[(60,), (10**30,)]]}, "valid: "),
        (pieces() | {"valid": [[(60,), "ab"]]}, "valid: "),
        (pieces() | {"valid": 7}, "valid: "),
        (pieces() | {"test": [[(60,)]]}, "test: piece 0 is no piano roll of 2 or more steps"),
    ],
)
def test_music_of_the_wrong_shape_is_refused(content: Any, fault: str, tmp_path: Path) -> None:
    path = write_pickle(tmp_path, content)
    with pytest.raises(TaskError, match=f"{path.name}: {fault}"):
        load("polyphonic", path).training_batch(generator(), 2)


def test_a_mat_file_of_something_else_is_refused(tmp_path: Path) -> None:
    for changes, fault in (
        ({"traindata": np.ones((3, 88))}, "traindata: "),
        ({"testdata": np.array([[np.ones((4, 87)), np.ones((3, 87))]], dtype=object)}, "testdata: piece 0 is no piano"),
        (
            {"validdata": np.array([[np.full((4, 88), 2.0), np.ones((3, 88))]], dtype=object)},
            "validdata: piece 0 is no",
        ),
    ):
        path = write_mat(tmp_path, **changes)
        with pytest.raises(TaskError, match=fault):
            load("polyphonic", path).training_batch(generator(), 2)


class Harmful:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_is_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (Harmful(), pieces() | {"train": [[Harmful()]]}, {"train": np.zeros(3)}):
        path = write_pickle(tmp_path, content)
        with pytest.raises(TaskError, match=r"music.pickle: it cannot be read as a pickle: it would run \w+"):
            load("polyphonic", path).training_batch(generator(), 2)
    np.savez(tmp_path / "own.npz", inputs=np.array([[Harmful()]]), targets=np.zeros((1, 1)), split=np.array(["train"]))
    with pytest.raises(TaskError, match=r"own.npz: it cannot be read as an .npz file of plain arrays"):
        load("arrays", tmp_path / "own.npz")
    (tmp_path / "own.npz").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(TaskError, match=r"own.npz: it cannot be read as an .npz file of plain arrays"):
        load("arrays", tmp_path / "own.npz")
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"caf\xe9 au lait", "it is not UTF-8: byte 3"),
        (b"short", "5 characters are too few"),
        (b"", "0 characters are too few"),
    ],
)
def test_a_text_that_is_none_is_refused(content: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(TaskError, match=f"text.txt: {fault}"):
        _ = load("char_lm", path).input_size


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"targets": None}, "it has no targets; name an .npz file with inputs, targets, split, lengths"),
        ({"split": None}, "it has no split"),
        ({"inputs": np.zeros(9)}, r"inputs \(9,\) of float64"),
        ({"inputs": np.full((9, 7), "a")}, r"inputs \(9, 7\) of <U1"),
        ({"inputs": np.full((9, 7), np.nan)}, "inputs hold values that are not finite"),
        ({"inputs": np.full((9, 7), -1)}, "inputs are symbols, numbered from 0: there is a -1"),
        ({"targets": np.full((9, 7), -1)}, "targets are symbols, numbered from 0: there is a -1"),
        ({"targets": np.zeros(9)}, r"targets \(9,\) of float64: classes or values that differ are needed"),
        ({"targets": np.zeros((9, 6), int)}, "targets have 6 steps, inputs 7"),
        ({"targets": np.zeros((8, 7), int)}, "inputs have 9 rows, targets 8"),
        ({"split": np.array(["train"] * 9)}, "split must hold train, validation, test, each at least once"),
        ({"split": np.array(["train", "valid", "test"] * 3)}, "split must hold train, validation, test"),
        ({"lengths": np.arange(9)}, "lengths must be whole numbers from 1 to 7"),
        ({"lengths": np.full(9, 8)}, "lengths must be whole numbers from 1 to 7"),
        ({"lengths": np.full(9, 5.5)}, "lengths must be whole numbers from 1 to 7"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=f"own.npz: {fault}"):
        load("arrays", write_arrays(tmp_path, **changes))


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    for change in (lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"<html>404", _flipped):
        path = damaged(write_arrays(tmp_path), change)
        with pytest.raises(TaskError, match=r"own.npz: it cannot be read as an .npz file"):
            load("arrays", path)
    np.save(tmp_path / "own.npy", np.zeros(3))
    with pytest.raises(TaskError, match=r"own.npy: it cannot be read as an .npz file"):
        load("arrays", tmp_path / "own.npy")


def _flipped(content: bytes) -> bytes:
    """One byte of the data is another: the zip's checksum notices."""
    return content[:200] + bytes([content[200] ^ 255]) + content[201:]


@pytest.mark.parametrize("name", REAL)
def test_splits_do_not_overlap(name: str, tmp_path: Path) -> None:
    task = build(name, {}, tmp_path)
    if name != "char_lm":  # its text repeats itself
        shown = [str(inputs) for split in ("train", "validation", "test") for inputs, _ in whole(task, split)]
        assert len(set(shown)) == len(shown)
