"""MNIST-1D: the package's own lines, their splits, and what is said where the package is missing."""

import importlib.util
import random
import tomllib
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pytest
from mnist1d.data import get_dataset_args, make_dataset
from task_list import defaults

from experiments import show
from experiments.config.compose import compose
from experiments.config.resolve import resolve
from experiments.tasks import _sharing, load_task, mnist1d
from experiments.tasks._splits import SplitTask
from experiments.tasks.base import TaskError
from experiments.training.loop import Training

ROOT = Path(__file__).parents[3]


def task(**changes: Any) -> SplitTask:
    made = load_task("mnist1d", defaults("mnist1d") | changes)
    assert isinstance(made, SplitTask)
    return made


def lines(made: SplitTask, split: str) -> np.ndarray[Any, Any]:
    return made.splits[split].inputs.reshape(-1, 40)


def test_the_lines_are_those_of_the_package() -> None:
    theirs = make_dataset(get_dataset_args())
    ours = task().splits
    assert [len(ours[split].targets) for split in ("train", "validation", "test")] == [3500, 500, 1000]
    for split, x, y in (
        ("train", theirs["x"][:3500], theirs["y"][:3500]),
        ("validation", theirs["x"][3500:], theirs["y"][3500:]),
        ("test", theirs["x_test"], theirs["y_test"]),
    ):
        np.testing.assert_array_equal(lines(task(), split), x.astype(np.float32))
        np.testing.assert_array_equal(ours[split].targets, y)


def test_shuffled_lines_are_the_lines_with_their_steps_in_one_other_order() -> None:
    plain, shuffled = task(), task(shuffled=True)
    order = [int(np.abs(lines(plain, "train") - step[:, None]).max(0).argmin()) for step in lines(shuffled, "train").T]
    assert sorted(order) == list(range(40)) != order
    for split in ("train", "validation", "test"):
        np.testing.assert_allclose(lines(shuffled, split), lines(plain, split)[:, order], atol=1e-6)
        np.testing.assert_array_equal(shuffled.splits[split].targets, plain.splits[split].targets)


def test_the_global_generators_are_left_alone() -> None:
    mnist1d._made.cache_clear()
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr] # noqa: NPY002
    mnist1d._made(False)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index, union-attr] # noqa: NPY002


def test_tuning_reads_the_validation_lines_and_every_variant_the_same_data() -> None:
    def training(*words: str) -> Training:
        said = ["task=mnist1d", "study=null", "model.hidden_size=3", "train.steps=1", *words]
        return Training([resolve(compose(said), said)])

    tuned, reported, other = training("phase=tune"), training("phase=confirm"), training("phase=confirm", "variant=gru")
    sizes = [sum(b.inputs.shape[1] for b in each.evaluation.sets[40][0]) for each in (tuned, reported)]
    assert sizes == [500, 1000]
    assert tuned.digest(0) != reported.digest(0) == other.digest(0)


def test_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\Atask.length=41: 40 is needed\Z"):
        task(length=41)


def test_without_the_package_one_line_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mnist1d" else find(name, *rest)
    )
    reason = "task=mnist1d: the extra mnist1d is missing: pip install mnist1d"
    monkeypatch.setattr(_sharing, "_living", WeakValueDictionary())  # none that was made when it was there
    with pytest.raises(TaskError, match=rf"\A{reason}\Z"):
        resolve(compose(["task=mnist1d"]), ["task=mnist1d"])
    assert show.main(["task", "mnist1d"]) == 2
    assert reason in capsys.readouterr().err
    assert show.main(["task"]) == 0
    listed = capsys.readouterr().out
    assert reason in listed
    assert "`adding`" in listed


def test_the_package_is_an_extra_and_pinned_for_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras["mnist1d"]) <= set(extras["dev"])
    assert not any("mnist1d" in needed for needed in project["dependencies"])
    assert "mnist1d==" in (ROOT / "constraints.txt").read_text()
