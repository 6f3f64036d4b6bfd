"""`task=arrays`: one meaning whatever the type, byte order and shape of an array, or one line that names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from task_list import defaults, equal, generator, write_arrays

from experiments.tasks import load_task
from experiments.tasks.arrays import Arrays
from experiments.tasks.base import Batch, TaskError

Array = np.ndarray[Any, Any]

ROWS, STEPS = 9, 7
LENGTHS = np.array([3, 7, 5, 4, 3, 6, 7, 5, 4])
PADDING = np.arange(STEPS) >= LENGTHS[:, None]
SYMBOLS = generator().integers(0, 2, (ROWS, STEPS))
NUMBERS = [
    kind.newbyteorder(order)
    for kind in map(np.dtype, "?bhiqBHIQefdg")
    for order in ("<", ">")
    if kind != np.longdouble or order == "<"
]
WHOLE = [kind for kind in NUMBERS if kind.kind in "iu"]
FLOATS = [kind for kind in NUMBERS if kind.kind == "f"]


def load(folder: Path, **changes: Any) -> Arrays:
    path = write_arrays(folder, **{"lengths": LENGTHS} | changes)
    task = load_task("arrays", defaults("arrays") | {"path": str(path)})
    assert isinstance(task, Arrays)
    return task


def shown(task: Arrays) -> list[Batch]:
    """What a run sees: a training batch and all splits."""
    splits = [task.evaluation_batches(generator(), 4, 0, task.length, split) for split in ("train", "test")]
    return [task.training_batch(generator(1), 6), *splits[0], *splits[1]]


def outcome(task: Arrays) -> Any:
    """All that is said and measured with outputs that do not depend on the task."""
    own = torch.Generator().manual_seed(0)
    scores = []
    for batch in shown(task):
        outputs = torch.randn(*batch.targets.shape[:2], task.output_size, generator=own)
        scores.append((task.loss(outputs, batch).item(), dict(task.scores(outputs, batch))))
    sizes = task.input_size, task.output_size, task.loss_kind, task.labelled, task.metric
    return sizes, task.chance, task.chance_loss, scores


def same(one: Arrays, other: Arrays) -> bool:
    batches = zip(shown(one), shown(other), strict=True)
    return outcome(one) == outcome(other) and all(equal(*pair) for pair in batches)


# ---- any type, byte order, memory order -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "values", "kinds"),
    [
        pytest.param("inputs", SYMBOLS, WHOLE, id="symbols shown"),
        pytest.param("inputs", SYMBOLS, [kind for kind in NUMBERS if kind not in WHOLE], id="values shown"),
        pytest.param("inputs", SYMBOLS[..., None].repeat(2, axis=-1), NUMBERS, id="several values shown"),
        pytest.param("targets", SYMBOLS, WHOLE, id="symbols"),
        pytest.param("targets", SYMBOLS, FLOATS, id="values"),
        pytest.param("targets", SYMBOLS[..., None].repeat(2, axis=-1), FLOATS, id="several values"),
        pytest.param("targets", SYMBOLS[:, 0], NUMBERS, id="classes"),
        pytest.param("lengths", LENGTHS, [kind for kind in NUMBERS if kind.kind != "b"], id="lengths"),
    ],
)
def test_equal_numbers_of_any_type_are_the_same_task(
    key: str, values: Array, kinds: list[np.dtype[Any]], tmp_path: Path
) -> None:
    first = load(tmp_path, **{key: values.astype(kinds[0])})
    assert all(same(first, load(tmp_path, **{key: values.astype(kind)})) for kind in kinds[1:])
    assert same(first, load(tmp_path, **{key: np.asfortranarray(values.astype(kinds[0]))}))
    assert same(first, load(tmp_path, **{key: values.astype(kinds[0])[::-1].copy()[::-1]}))


@pytest.mark.parametrize(("legal", "kinds"), [("numbers", "FDGmM"), ("texts", "?bBqQefdgFDGmM")])
def test_what_is_no_number_or_no_text_is_refused(legal: str, kinds: str, tmp_path: Path) -> None:
    for key in ("inputs", "targets", "lengths") if legal == "numbers" else ("split",):
        for kind in kinds:
            values = np.zeros((ROWS, STEPS) if key in ("inputs", "targets") else ROWS, kind)
            with pytest.raises(TaskError, match=rf"own.npz: {key} \(9,.*\) of \w+.*: .*(numbers|texts).* needed"):
                load(tmp_path, **{key: values})


@pytest.mark.parametrize("kind", [np.str_, np.bytes_, ">U10", "<U30", "S40"])
def test_splits_are_texts_of_any_kind(kind: Any, tmp_path: Path) -> None:
    split = np.array(["train", "validation", "test"] * 3)
    assert same(load(tmp_path), load(tmp_path, split=split.astype(kind)))


@pytest.mark.parametrize("odd", ["Train", " train", "train ", "träin", "", "dev"])
def test_a_split_of_another_name_is_refused(odd: str, tmp_path: Path) -> None:
    split = np.array([odd, "train", "validation", "test", *["train"] * 5])
    with pytest.raises(TaskError, match=r"own\.npz: split must hold train, validation, test, each at least once; it"):
        load(tmp_path, split=split)
    with pytest.raises(TaskError, match=r"own\.npz: split must hold train, validation, test, each at least once; it"):
        load(tmp_path, split=np.char.encode(split, "latin1"))


# ---- shapes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reshape", [lambda v: v[:, None], lambda v: v[None], lambda v: v[:, None, None]])
def test_one_entry_a_sequence_in_any_shape(reshape: Callable[[Array], Array], tmp_path: Path) -> None:
    split = np.array(["train", "validation", "test"] * 3)
    assert same(load(tmp_path), load(tmp_path, split=reshape(split), lengths=reshape(LENGTHS)))


@pytest.mark.parametrize(
    ("targets", "other"),
    [
        (SYMBOLS, SYMBOLS[..., None]),
        (SYMBOLS[:, 0], SYMBOLS[:, :1]),
        (SYMBOLS[:, 0], SYMBOLS[:, 0] * 1.0),
        (SYMBOLS[:, 0], SYMBOLS[:, 0] > 0),
        (SYMBOLS * 0.5, SYMBOLS[..., None] * 0.5),
        (SYMBOLS[:, 0] * 0.5, SYMBOLS[:, :1] * 0.5),
        (SYMBOLS > 0, SYMBOLS[..., None] > 0),
    ],
)
def test_a_last_axis_of_one_changes_nothing(targets: Array, other: Array, tmp_path: Path) -> None:
    assert same(load(tmp_path, targets=targets), load(tmp_path, targets=other))


@pytest.mark.parametrize(
    ("targets", "kind", "labelled", "outputs"),
    [
        (SYMBOLS, "cross_entropy", False, 2),
        (SYMBOLS * 1.0, "mse", False, 1),
        (SYMBOLS > 0, "bce", False, 1),
        (SYMBOLS[:, 0], "cross_entropy", True, 2),
        (SYMBOLS[:, 0] + 0.5, "mse", True, 1),
        (SYMBOLS[:, :1] * 1.0, "mse", True, 1),
        (SYMBOLS[:, :1] > 0, "bce", True, 1),
        (SYMBOLS[:, :3] * 1.0, "mse", True, 3),
        (SYMBOLS[:, :3] > 0, "bce", True, 3),
    ],
)
def test_what_targets_mean(targets: Array, kind: str, labelled: bool, outputs: int, tmp_path: Path) -> None:
    task = load(tmp_path, targets=targets)
    assert (task.loss_kind, task.labelled, task.output_size) == (kind, labelled, outputs)
    (batch,) = task.evaluation_batches(generator(), 9, 0, task.length, "train")
    assert batch.counts.sum() == (3 if labelled else LENGTHS[::3].sum())
    own = targets.reshape(ROWS, 1, -1) if labelled else targets.reshape(ROWS, STEPS, -1)[0:1, : LENGTHS[0]]
    assert batch.targets[batch.counts[:, 0], 0].ravel().tolist() == own[0].ravel().tolist()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"inputs": np.array(3)}, r"inputs \(\) of int64: \(N, T\) or \(N, T, I\) numbers are needed"),
        ({"inputs": np.zeros((9, 7, 2, 2))}, r"inputs \(9, 7, 2, 2\) of float64"),
        ({"inputs": np.zeros((9, 0))}, r"inputs \(9, 0\) of float64: one step and one value or more are needed"),
        ({"inputs": np.zeros((9, 0), int)}, r"inputs \(9, 0\) of int64: one step"),
        ({"inputs": np.zeros((9, 7, 0))}, r"inputs \(9, 7, 0\) of float64: one step"),
        ({"inputs": np.zeros((0, 7)), "targets": np.zeros(0, int), "split": np.zeros(0, "U5"), "lengths": None}, "sp"),
        ({"targets": np.array(1.0)}, r"targets \(\) of float64: \(N, T\), \(N, T, O\), \(N,\) or \(N, O\) numbers"),
        ({"targets": np.zeros((9, 7, 2, 2))}, r"targets \(9, 7, 2, 2\) of float64"),
        ({"targets": np.zeros((9, 0))}, r"targets \(9, 0\) of float64: one step and one value or more are needed"),
        ({"targets": np.zeros((9, 7, 0), bool)}, r"targets \(9, 7, 0\) of bool: one step"),
        ({"targets": np.zeros((9, 6, 2))}, "targets have 6 steps, inputs 7"),
        ({"targets": np.zeros((9, 1, 2))}, "targets have 1 steps, inputs 7"),
        ({"targets": np.zeros((9, 7, 2), int)}, r"targets \(9, 7, 2\) of int64: whole numbers are symbols: one a step"),
        ({"targets": np.zeros((9, 2), int)}, "targets have 2 steps, inputs 7"),
        ({"targets": np.arange(9.0) - 1}, "targets are symbols, numbered from 0: there is a -1; values are floats"),
        ({"targets": np.arange(9) + 10**6}, "targets are symbols, below 1,000,000: there is a 1000008"),
        ({"inputs": np.full((9, 7), 2**64 - 1, np.uint64)}, "inputs are symbols, below 1,000,000"),
        ({"targets": np.array([np.nan] * 9)}, "targets hold values that are not finite"),
        ({"targets": np.full((9, 7), 1e300)}, "targets hold values that are not finite in float32"),
        ({"targets": np.full((9, 2), np.inf, np.float16)}, "targets hold values that are not finite"),
        ({"inputs": np.full((9, 7, 1), np.longdouble(10) ** 2000)}, "inputs hold values that are not finite"),
        ({"split": np.array("train")}, r"split \(\) of <U5: \(N,\), one entry for each of the 9 rows of inputs"),
        ({"split": np.full((3, 3), "train")}, r"split \(3, 3\) of <U5: \(N,\), one entry"),
        ({"split": np.arange(9)}, r"split \(9,\) of int64: texts \(train, validation, test\) are needed"),
        ({"split": np.array(["train", "test"] * 4 + ["train"])}, "split must hold"),
        ({"lengths": np.array(7)}, r"lengths \(\) of int64: \(N,\), one entry"),
        ({"lengths": np.full((9, 7), 1)}, r"lengths \(9, 7\) of int64"),
        ({"lengths": np.full(9, True)}, r"lengths \(9,\) of bool: whole numbers are needed"),
        ({"lengths": np.full(9, np.nan)}, "lengths must be whole numbers from 1 to 7"),
        ({"lengths": np.full(9, 2**64 - 1, np.uint64)}, "lengths must be whole numbers from 1 to 7"),
        ({"lengths": np.full(9, -1, np.int8)}, "lengths must be whole numbers from 1 to 7"),
        ({"length": LENGTHS}, "nothing reads its length; name an .npz file with inputs, targets, split, lengths"),
        ({"split": np.array(["train", None, "test"])}, "it cannot be read as an .npz file of plain arrays .split: O"),
    ],
)  # fmt: skip
def test_what_has_no_one_meaning_is_refused_in_one_line(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=f"^.*own.npz: {fault}.*$"):
        load(tmp_path, **changes)


# ---- padding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300, -5.0])
def test_values_past_the_end_never_matter(garbage: float, tmp_path: Path) -> None:
    values = generator().normal(size=(ROWS, STEPS))
    clean = load(tmp_path, inputs=values, targets=values)
    padded = np.where(PADDING, garbage, values)
    assert same(clean, load(tmp_path, inputs=padded, targets=padded))
    whole = np.where(PADDING[..., None], garbage, values[..., None])
    assert same(clean, load(tmp_path, inputs=whole, targets=whole))


@pytest.mark.parametrize("garbage", [-1, 99, 2**62, -(2**63)])
def test_symbols_past_the_end_never_matter(garbage: int, tmp_path: Path) -> None:
    clean = load(tmp_path, inputs=SYMBOLS, targets=SYMBOLS)
    padded = np.where(PADDING, garbage, SYMBOLS)
    assert same(clean, load(tmp_path, inputs=padded, targets=padded))
    truths = load(tmp_path, targets=SYMBOLS > 0)
    assert same(truths, load(tmp_path, targets=(SYMBOLS > 0) | PADDING))


def test_padding_is_no_step_of_a_labelled_sequence(tmp_path: Path) -> None:
    """``length`` is compared with the longest sequence, not with what it is padded to."""
    path = write_arrays(tmp_path, targets=SYMBOLS[:, 0], lengths=LENGTHS.clip(max=5))
    task = load_task("arrays", defaults("arrays") | {"path": str(path), "length": 5})
    assert len(task.training_batch(generator(), 4).inputs) <= 5


# ---- chance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.longdouble])
def test_chance_does_not_lose_its_digits(offset: float, kind: Any, tmp_path: Path) -> None:
    """The variance of float32 targets, against longdouble arithmetic, where sums in float32 are off by far."""
    rows, steps = 3_000, 10
    targets = (offset + generator().normal(size=(rows, steps))).astype(kind)
    split = np.array(["train"] * (rows - 2) + ["validation", "test"])
    task = load(tmp_path, inputs=np.zeros((rows, steps), int), targets=targets, split=split, lengths=None)
    seen = targets[:-2].astype(np.float32).astype(np.longdouble)
    assert task.chance_loss == pytest.approx(float(((seen - seen.mean()) ** 2).mean()), rel=1e-9)
    assert task.chance_loss == pytest.approx(1, rel=0.02)


def test_chance_of_shares_does_not_depend_on_the_type(tmp_path: Path) -> None:
    on = generator().random((ROWS, STEPS, 2)) < 0.3
    task = load(tmp_path, targets=on)
    shares = np.concatenate([row[:n] for row, n in zip(on[::3], LENGTHS[::3], strict=True)]).mean(axis=0)
    entropy = -(shares * np.log(shares) + (1 - shares) * np.log(1 - shares)).sum()
    assert task.chance_loss == task.chance == pytest.approx(entropy)


def test_the_task_is_solved_from_the_value_that_is_given(tmp_path: Path) -> None:
    path = write_arrays(tmp_path, targets=np.zeros((ROWS, STEPS), dtype=int), lengths=LENGTHS)
    task = load_task("arrays", defaults("arrays") | {"path": str(path), "solved": 0.9})
    assert task.is_solved({"accuracy": 0.9, "loss": 1.0})
    assert not task.is_solved({"accuracy": 0.89, "loss": 0.0})
    assert not load(tmp_path).is_solved({"accuracy": 1.0, "loss": 0.0})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_no_score_can_reach_is_refused(value: float, tmp_path: Path) -> None:
    path = write_arrays(tmp_path)
    with pytest.raises(TaskError, match=rf"\Atask\.solved={value}: a finite number is needed\Z"):
        load_task("arrays", defaults("arrays") | {"path": str(path), "solved": value})
