"""The figures of what was found inside a run, as its media in wandb: live, afterwards, and on a server."""

import io
import shutil
from pathlib import Path

import pytest
from fake_wandb import FakeServer
from matplotlib.image import imread

import experiments
from analysis import figures
from analysis.records.load import load, load_one
from experiments import push
from experiments.tracking import pictures, wandb_runs

QUICK = {"train.steps": 3, "train.eval_every": 3, "train.batch_size": 4, "train.eval_size": 8, "model.hidden_size": 3}
QUICK |= {"task": "continual_reber", "task.length": 2, "record.inside": True, "record.wandb.mode": "offline"}
OF_SEVERAL = {"two_way_knockout"}  # it compares variants


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one run that has been looked inside and is mirrored."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_API_KEY"):
            patched.delenv(name, raising=False)
        study = tmp_path_factory.mktemp("made") / "study"
        experiments.run(study=str(study), **QUICK)
        wandb_runs.settle()
    return study


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


def media(study: Path) -> dict[str, bytes]:
    """name -> PNG, of the media in the folder of the study's wandb run."""
    found = study.glob("wandb/*run-*-continual_reber-*/files/media/images/inside/*.png")
    return {path.name.rsplit("_", 2)[0]: path.read_bytes() for path in found}


def test_a_live_run_has_every_figure_that_one_run_fills(made: Path) -> None:
    part = {name for name, figure in figures.discover().items() if figure.LAYOUT.part == pictures.PART}
    shown = media(made)
    assert set(shown) == part - OF_SEVERAL
    for content in shown.values():
        assert imread(io.BytesIO(content)).shape[1] == pytest.approx(100 * figures.PAGE, abs=1)
        assert len(content) < 150_000


def test_push_draws_the_same(study: Path) -> None:
    before = media(study)
    assert push.main([f"study={study}"]) == 0
    assert media(study) == before
    shutil.rmtree(study / "wandb")
    assert push.main([f"study={study}"]) == 0
    assert media(study) == before


def test_the_records_come_back_without_the_pictures(made: Path) -> None:
    ours, theirs = load([made]), load([f"wandb-offline:{made}"])
    assert theirs.curves.equals(ours.curves)
    shared = [column for column in ours.runs if not str(column).startswith("inside.")]
    assert theirs.runs[shared].equals(ours.runs[shared])


def test_a_server_gets_them(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(study / "wandb")
    with FakeServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        assert push.main([f"study={study}", "mode=online"]) == 0
        sent = {
            line.rpartition("/")[2].rsplit("_", 2)[0] for line in server.requests if "PUT" in line and "media" in line
        }
        (run,) = (run for name, run in server.runs.items() if name.startswith("continual_reber"))
    assert sent == set(media(study))
    assert run.history[-1]["inside/surgery"]["_type"] == "image-file"
    assert not run.conflicts


def test_a_run_that_nobody_looked_inside_has_none(study: Path) -> None:
    (folder,) = study.glob("continual_reber-*")
    (folder / "inside.npz").unlink()
    assert pictures.of_run(folder) == {}


def test_a_figure_that_fails_takes_nothing_from_the_run(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no room")

    (folder,) = study.glob("continual_reber-*")
    monkeypatch.setattr(figures, "sheet", broken)
    assert pictures.of_run(folder) == {}
    assert "could not be drawn: no room" in capsys.readouterr().err


def test_one_record_is_read_as_the_study_has_it(made: Path) -> None:
    (folder,) = made.glob("continual_reber-*")
    whole, alone = load([made]), load_one(folder)
    assert alone.runs.equals(whole.runs)
    assert alone.curves.equals(whole.curves)
