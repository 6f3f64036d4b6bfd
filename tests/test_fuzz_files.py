"""Whatever a file holds, reading it ends in success or in one clear message, and no other record changes."""

import contextlib
import io
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import SMALL, ends, refusals
from hypothesis import given, settings
from hypothesis import strategies as st
from task_list import defaults, generator, write_arrays, write_mat, write_mnist, write_pickle, write_text

from analysis import report, runs
from experiments import api, push, status
from experiments.config.compose import compose
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.sweep.run_all import run_all
from experiments.sweep.run_stack import InterruptedRunError, execute
from experiments.tasks import load_task
from experiments.tasks.base import TaskError

pytestmark = pytest.mark.filterwarnings("default")  # a user sees warnings as such


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Cut, flipped, grown or something else."""
    kind, where, more = (
        draw(st.sampled_from(["cut", "flip", "insert", "other"])),
        draw(st.floats(0, 1)),
        draw(st.binary()),
    )

    def change(content: bytes) -> bytes:
        at = int(where * len(content))
        if kind == "cut":
            return content[:at]
        if kind == "flip":
            return (
                content[:at] + bytes(255 ^ byte for byte in content[at : at + 1 + len(more) // 4]) + content[at + 1 :]
            )
        return content[:at] + more + content[at:] if kind == "insert" else more

    return change


JUNK: list[Any] = [None, True, -1, 0, 10**30, 1e308, "", "x", "<script>", [], [[]], {}, {"a": None}, "2025", "é世"]


@st.composite
def other_json(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """One value of a JSON file replaced or removed."""
    steps, junk, remove = (
        draw(st.lists(st.integers(0, 30), min_size=1, max_size=4)),
        draw(st.sampled_from(JUNK)),
        draw(st.booleans()),
    )

    def change(content: bytes) -> bytes:
        whole = place = json.loads(content)
        key: Any = None
        for step in steps:
            if not isinstance(place, dict | list) or not place:
                break
            holder = place
            key = list(place)[step % len(place)] if isinstance(place, dict) else step % len(place)
            place = place[key]
        if remove:
            del holder[key]
        else:
            holder[key] = junk
        return json.dumps(whole).encode()

    return change


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but locks and what the reader of records keeps for itself."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".lock", ".npz")]
    return {str(path): path.read_bytes() for path in files}


@contextlib.contextmanager
def damaged(path: Path, change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    """A file with other bytes; None puts a folder in its place."""
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(change(whole)) if change else path.mkdir()
    try:
        yield
    finally:
        path.unlink() if path.is_file() else path.rmdir()
        path.write_bytes(whole)


def made(folder: Path, *said: str, seeds: int = 2) -> list[Job]:
    """The jobs of a small study, made."""
    points = [[f"seed={seed}", f"study={folder}", *SMALL, *said] for seed in range(seeds)]
    many = [resolve(compose(point), point) for point in points]
    run_all(many, workers=1, show=False)
    return many


RECORDS = ["run.json", "metrics.csv", "../sweep.json"]
READERS: dict[str, Callable[[list[str]], Any]] = {"status": status.main, "runs": runs.main}


@pytest.mark.parametrize("name", RECORDS)
def test_damaged_records(name: str, examples: Callable[[int], settings], tmp_path: Path) -> None:
    jobs = made(tmp_path / "study")
    assert jobs[0].folder is not None
    path = jobs[0].folder / name
    changes = st.one_of(damage(), st.none(), other_json() if path.suffix == ".json" else damage())

    @examples(8)
    @given(changes)
    def holds(change: Callable[[bytes], bytes] | None) -> None:
        with damaged(path, change):
            before = contents(tmp_path)
            for main in READERS.values():
                ends(main, [f"study={tmp_path / 'study'}"])
            with contextlib.suppress(ConfigError):
                api.load_run(path.parent)
            assert contents(tmp_path) == before
            with contextlib.suppress(ConfigError):
                made_now = run_all(jobs, workers=1, show=False)
                assert {run.status for run in made_now} <= {"finished"}
            after = contents(tmp_path)
            assert {name: after[name] for name in before if jobs[1].run_id in name} == {
                name: content for name, content in before.items() if jobs[1].run_id in name
            }

    holds()


@pytest.mark.parametrize("main", [push.main, report.main], ids=["push", "report"])
def test_a_study_with_a_damaged_record(main: Any, examples: Callable[[int], settings], tmp_path: Path) -> None:
    jobs = made(tmp_path / "study")
    assert jobs[0].folder is not None
    path = jobs[0].folder / "run.json"
    words = [f"out={tmp_path / 'out'}"] if main is report.main else []

    @examples(1)
    @given(st.one_of(other_json(), damage()))
    def holds(change: Callable[[bytes], bytes]) -> None:
        with damaged(path, change):
            ends(main, [f"study={tmp_path / 'study'}", *words])

    holds()


def interrupted(job: Job) -> bytes:
    """The checkpoint of a run that SIGTERM has ended after its first step."""

    def stop(event: dict[str, Any]) -> None:
        if "step" in event:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRunError):
        execute([job], stop)
    assert job.folder is not None
    return (job.folder / "checkpoint.pt").read_bytes()


class Harmful:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-checkpoint",)


def whole_run(folder: Path) -> tuple[Any, ...]:
    record = json.loads((folder / "run.json").read_text())
    return (
        record["status"],
        record["results"],
        (folder / "metrics.csv").read_text(),
        (folder / "weights.pt").read_bytes(),
    )


def test_damaged_checkpoints(examples: Callable[[int], settings], away: Path) -> None:
    (job,) = made(away / "study", "train.steps=4", seeds=1)
    assert job.folder is not None
    whole = whole_run(job.folder)
    content = json.loads((job.folder / "run.json").read_text()) | {"status": "interrupted", "results": {}}
    again = json.dumps(content)
    (job.folder / "run.json").write_text(again)
    checkpoint = interrupted(job)
    shapes = torch.load(io.BytesIO(checkpoint), weights_only=True)
    others = [
        Harmful(),
        [],
        {},
        {**shapes, "run_id": "another"},
        {**shapes, "network": {}},
        {**shapes, "progress": None},
    ]
    others += [{**shapes, "network": {key: torch.zeros(3) for key in shapes["network"]}}, {**shapes, "step": "1"}]
    others += [{key: shapes[key] for key in ("run_id", "semantics", "step")}, {**shapes, "carried": 3, "moments": []}]

    @examples(12)
    @given(st.one_of(damage(), st.sampled_from(others)))
    def holds(change: Any) -> None:
        assert job.folder is not None
        path = job.folder / "checkpoint.pt"
        (job.folder / "run.json").write_text(again)
        if callable(change):
            path.write_bytes(change(checkpoint))
        else:
            torch.save(change, path)
        run_all([job], workers=1, show=False)
        assert whole_run(job.folder) == whole
        assert not path.exists()

    holds()
    assert not (away / "made-by-a-checkpoint").exists()


def test_damaged_weights(examples: Callable[[int], settings], away: Path) -> None:
    (job,) = made(away / "study", seeds=1)
    assert job.folder is not None
    path = job.folder / "weights.pt"
    weights, whole = torch.load(path, weights_only=True), path.read_bytes()
    others = [Harmful(), [], {}, {**weights, "readout_weight": 1}, {key: torch.zeros(3) for key in weights}]

    @examples(20)
    @given(st.one_of(damage(), st.sampled_from(others)))
    def holds(change: Any) -> None:
        assert job.folder is not None
        if callable(change):
            path.write_bytes(change(whole))
        else:
            torch.save(change, path)
        loaded: dict[str, torch.Tensor] = {}
        with refusals(ConfigError, str(job.folder)):
            loaded = api.load_run(job.folder).layer.state_dict()
        if loaded:
            assert all(torch.equal(value, weights[f"layer.{name}"]) for name, value in loaded.items())

    holds()
    assert not (away / "made-by-a-checkpoint").exists()


DATA: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "IDX": ("sequential_mnist", write_mnist, "train-images-idx3-ubyte"),
    "IDX.gz": ("sequential_mnist", write_mnist, "t10k-labels-idx1-ubyte.gz"),
    "mat": ("polyphonic", write_mat, ""),
    "pickle": ("polyphonic", write_pickle, ""),
    "npz": ("arrays", write_arrays, ""),
    "text": ("char_lm", write_text, ""),
}


@pytest.mark.parametrize("kind", DATA)
def test_damaged_data_files(kind: str, examples: Callable[[int], settings], tmp_path: Path) -> None:
    task, write, name = DATA[kind]
    place = write(tmp_path)
    path = place / name if name else place
    whole = path.read_bytes()

    @examples(40)
    @given(damage())
    def holds(change: Callable[[bytes], bytes]) -> None:
        path.write_bytes(change(whole))
        with refusals(TaskError, path.name.removesuffix(".gz")):
            loaded = load_task(task, defaults(task) | {"path": str(place)})
            loaded.training_batch(generator(), 2)
            loaded.evaluation_batches(generator(), 2, 4, loaded.length, "test")

    holds()


def test_damaged_files_of_wandb(examples: Callable[[int], settings], tmp_path: Path) -> None:
    made(tmp_path / "study", "record.wandb.mode=offline", seeds=1)
    (path,) = tmp_path.rglob("*.wandb")

    @examples(8)
    @given(damage())
    def holds(change: Callable[[bytes], bytes]) -> None:
        with damaged(path, change):
            ends(runs.main, [f"source=wandb-offline:{tmp_path / 'study'}"])

    holds()
