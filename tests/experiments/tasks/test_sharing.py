"""One copy of the data in memory however many runs read it, and none in what is sent to other processes."""

import os
import pickle
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import pytest
import torch
from task_list import CASES, IDS, REAL, build, equal, generator, write_arrays

from experiments.config.compose import compose
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.tasks import _sharing
from experiments.tasks.base import Batch
from experiments.training import network
from experiments.training.loop import Training

SETTINGS = ["task=arrays", "task.length=7", "train.batch_size=2", "study=null"]


def jobs(path: Path, *seeds: int) -> list[Job]:
    return [resolve(compose([*SETTINGS, f"task.path={path}", f"seed={seed}"])) for seed in seeds]


def test_runs_of_one_task_share_it_and_what_it_evaluates(tmp_path: Path) -> None:
    training = Training(jobs(write_arrays(tmp_path), 0, 1, 2))
    assert len({id(job.task) for job in training.jobs}) == 1
    assert len({id(batches) for batches in training.evaluation.sets[7]}) == 1


def test_another_setting_or_a_replaced_file_is_another_task(tmp_path: Path) -> None:
    path = write_arrays(tmp_path)
    (before,) = jobs(path, 0)
    (longer,) = [resolve(compose([*SETTINGS, f"task.path={path}", "task.length=8"]))]
    os.utime(write_arrays(tmp_path, inputs=np.zeros((9, 7), int)), ns=(1, 1))
    (after,) = jobs(path, 0)
    assert len({id(job.task) for job in (before, longer, after)}) == 3
    assert (after.task.input_size, before.task.input_size) == (1, 5)


def test_what_is_sent_to_another_process_holds_no_data(tmp_path: Path) -> None:
    path = write_arrays(tmp_path, inputs=np.zeros((9, 7, 1000), "f4"))
    sent = jobs(path, *range(5))
    text = pickle.dumps(sent)
    assert len(text) < path.stat().st_size / 5
    back = pickle.loads(text)
    assert back == sent
    assert {id(job.task) for job in back} == {id(sent[0].task)}


@pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)
def test_a_task_sent_elsewhere_draws_the_same(
    name: str, changes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sharing, "_living", WeakValueDictionary())  # none that another test has read
    task = build(name, changes, tmp_path)
    assert "splits" not in vars(task) or name in REAL
    make, arguments = pickle.loads(pickle.dumps(task)).__reduce__()
    other = arguments[0](**arguments[1])  # as in a process that has no such task yet
    assert make is task.__reduce__()[0]
    assert equal(other.training_batch(generator(), 3), task.training_batch(generator(), 3))


@pytest.mark.parametrize("lengths", [None, np.array([2, 4])])
def test_inputs_enter_as_they_are_or_one_hot_without_an_identity_matrix(
    lengths: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = Batch(np.array([[3, 1], [0, 2], [1, 1], [2, 0]]), np.zeros((4, 2), int), lengths=lengths)
    longer = Batch(np.array([[1, 2], [3, 0], [0, 0], [2, 1], [1, 3]]), np.zeros((5, 2), int))
    values = Batch(generator().random((5, 2, 4), np.float32), np.zeros((5, 2), int))
    one_hot = [torch.eye(4)[torch.from_numpy(batch.inputs)] for batch in (symbols, longer)]
    monkeypatch.setattr(torch, "eye", None)
    x, own_lengths = network.stacked_inputs([symbols, longer], 4, torch.zeros(1))
    assert torch.equal(x[0, :4], one_hot[0])
    assert torch.equal(x[1], one_hot[1])
    assert own_lengths is not None
    assert own_lengths.tolist() == [[4, 4] if lengths is None else [2, 4], [5, 5]]
    x, own_lengths = network.stacked_inputs([values, values], 4, torch.zeros(1))
    assert torch.equal(x[1], torch.from_numpy(values.inputs))
    assert own_lengths is None
