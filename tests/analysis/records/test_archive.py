"""An archive gives the figures, tables and verdicts of the study that it was made of, and tells when it was touched."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import planted_inside
import pytest
from planted_studies import SEEDS, made, put
from records import TASKS, noise, record, write, write_frozen, write_study

from analysis import figures, report, runs, workspace
from analysis.claims.verdicts import judge
from analysis.common.command_line import CommandError
from analysis.records import archive
from analysis.records.load import Records, load
from analysis.records.read import Curves
from experiments import status
from experiments.archive import main
from experiments.studies.standing import look

DATA = Path(__file__).parents[2] / "data"
LONG = 200  # evaluations


def archived(study: Path, out: Path) -> Path:
    assert main([f"study={study}", f"out={out}"]) == 0
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def printed(capsys: pytest.CaptureFixture[str], command: object, *words: str) -> str:
    capsys.readouterr()
    assert command(list(words)) == 0  # type: ignore[operator]
    return capsys.readouterr().out


def lengthen(run: Path, evaluations: int = LONG) -> None:
    """Give a run a longer metrics.csv."""
    header = (run / "metrics.csv").read_text().splitlines()[0]
    cells = header.count(",")
    lines = [
        f"{100 * row}," + ",".join(f"{noise(run.name, row, c)!r}" for c in range(cells)) for row in range(evaluations)
    ]
    (run / "metrics.csv").write_text("\n".join([header, *lines]) + "\n")


def mixed_study(folder: Path) -> Path:
    """Claims, and runs that ended in every way, of which some cannot be read and one is a copy."""
    _, frozen = made(folder, {"lstm": [0.1] * 8, "gru": [0.05] * 8, "no_forget_gate": [0.2] * 8})
    write_frozen(folder, frozen)
    put(folder, "elman", seed=0, status="diverged")
    put(folder, "elman", seed=1, status="failed", error="it fell over")
    put(folder, "elman", seed=2, status="running")
    put(folder, "elman", seed=3, semantics__trainer=0)
    for seed in SEEDS[:2]:
        write(folder, "lstm", "digits", seed, phase="confirm")
    shutil.copytree(next(folder.glob("adding-gru-s1-*")), folder / "a_copy")
    (next(folder.glob("adding-gru-s2-*")) / "run.json").write_text("{")
    return folder


def test_a_report_from_an_archive_is_that_from_its_study(tmp_path):
    study = mixed_study(tmp_path / "outputs" / "mine")
    kept = archived(study, tmp_path / "results" / "mine")
    for source in (study, kept):
        out = tmp_path / f"{source.parent.name}-report"
        assert report.main([f"study={source}", f"out={out}", "figures=learning_curves,scores"]) == 0
    first, second = (contents(tmp_path / f"{name}-report") for name in ("outputs", "results"))
    assert {name for name in first if first[name] != second.get(name)} == set()
    assert "tables/claims.csv" in first


def test_every_figure_has_the_same_numbers_from_an_archive(tmp_path):
    study = mixed_study(tmp_path / "mine")
    whole, kept = load([study]), load([archived(study, tmp_path / "kept")])
    assert kept.skipped == whole.skipped
    assert len(kept.skipped) == 2
    for name, figure in figures.discover().items():
        numbers = [figure.numbers(records.runs, records.curves) for records in (whole, kept)]
        pd.testing.assert_frame_equal(*numbers, check_exact=True, obj=name)


def test_what_commands_print_of_an_archive_is_that_of_its_study(tmp_path, capsys):
    study = mixed_study(tmp_path / "mine")
    kept = archived(study, tmp_path / "kept")
    whys = ("scores:GRU/adding", "claims:1/estimate", "learning_curves:GRU/adding")
    said = [(report.main, f"why={why}") for why in whys] + [
        (workspace.main, "dry_run=true"),
        (runs.main, "strict=false"),
    ]
    for command, word in said:
        texts = [printed(capsys, command, f"study={source}", word) for source in (study, kept)]
        first, second = (re.sub(r'"(__id__|id)": "\w+"', "", text) for text in texts)
        assert first == second


def test_status_of_an_archive_is_that_of_its_study(tmp_path):
    study = mixed_study(tmp_path / "mine")
    assert look(archived(study, tmp_path / "kept")) == look(study)


def test_an_archive_goes_by_the_name_of_its_study(tmp_path, monkeypatch):
    study = write_study(tmp_path / "mine")
    kept = archived(study, tmp_path / "another")
    assert list(load([kept]).runs["record"]) == list(load([study]).runs["record"])
    monkeypatch.chdir(study)
    assert contents(archived(Path(), tmp_path / "third")) == contents(kept)


def test_the_same_study_gives_the_same_bytes(tmp_path):
    study = mixed_study(tmp_path / "mine")
    first = contents(archived(study, tmp_path / "first"))
    load([study])  # leaves a cache
    for path in study.glob("*/run.json"):
        os.utime(path)
    moved = shutil.copytree(study, tmp_path / "elsewhere" / "mine")
    assert contents(archived(moved, tmp_path / "second")) == first
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "first").iterdir()}
    assert contents(archived(study, tmp_path / "first")) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "first").iterdir()} == before


def test_a_thinned_curve_keeps_its_ends_its_envelope_and_where_it_was_solved():
    steps = np.arange(1000) * 10
    values = np.cos(steps / 1000.0) + np.array([noise("curve", int(step)) for step in steps])
    table = np.stack([steps, steps * 0.0, values], axis=1)
    thin = archive.drawn(Curves(("train/loss", "eval/mse"), table), "eval/mse", 4560)
    assert thin.metrics == ("eval/mse",)
    kept = thin.table
    assert 50 <= len(kept) <= archive.POINTS
    assert {0, 4560, 9990} <= set(kept[:, 0])
    assert (np.diff(kept[:, 0]) > 0).all()
    assert {values.min(), values.max()} <= set(kept[:, 1])
    assert np.isin(kept, table[:, [0, 2]]).all()
    for part in np.array_split(np.arange(1000), archive.STRETCHES):
        assert {values[part].min(), values[part].max()} <= set(kept[:, 1])


def test_a_curve_of_few_evaluations_is_kept_whole():
    table = np.array([[step, step + 0.5, np.nan if step == 3 else step * 2.0] for step in range(archive.POINTS)])
    thin = archive.drawn(Curves(("train/loss", "eval/mse"), table), "eval/mse", None)
    assert np.array_equal(thin.table, np.delete(table[:, [0, 2]], 3, axis=0))  # an empty cell draws nothing
    assert len(archive.drawn(Curves((), np.empty((0, 1))), "eval/mse", None).table) == 0


def ends(records: Records) -> pd.DataFrame:
    """What of the curves an axis shows."""
    mine = records.curves[records.curves["metric"] == "eval/mse"]
    return mine.groupby(mine["run_id"].astype(str)).agg({"step": ["min", "max"], "value": ["min", "max", "last"]})


def test_figures_of_thinned_curves_have_the_axes_of_the_whole_ones(tmp_path):
    study = write_study(tmp_path / "mine", ("lstm", "gru"), ("adding",))
    for run in study.glob("adding-*"):
        lengthen(run)
    whole, thin = load([study]), load([archived(study, tmp_path / "kept")])
    assert whole.runs.drop(columns="environment.host").equals(thin.runs)
    assert len(thin.curves) <= 6 * archive.POINTS < len(whole.curves)
    assert ends(thin).equals(ends(whole))


def test_five_hundred_runs_take_half_a_megabyte_at_most(tmp_path):
    """Numbers that nothing compresses, and three times the evaluations that are kept."""
    study = tmp_path / "mine"
    for variant in ("lstm", "gru", "no_forget_gate", "janet", "elman"):
        for task in TASKS:
            for seed in range(50):
                numbers = {"results__score": noise(variant, task, seed), "timing__seconds": 100 * noise(seed, variant)}
                lengthen(write(study, variant, task, seed, **numbers))
    kept = archived(study, tmp_path / "kept")
    assert len(load([kept]).runs) == 500
    assert sum(map(len, contents(kept).values())) < 400_000


def test_runs_of_an_archive_become_stale_as_others_do(tmp_path, monkeypatch):
    kept = archived(write_study(tmp_path / "mine"), tmp_path / "kept")
    assert set(load([kept]).runs["status"]) == {"finished"}
    monkeypatch.setattr("analysis.records.code_versions.TRAINER", 1000)
    assert set(load([kept]).runs["status"]) == {"stale"}


def test_an_archive_made_before_is_read():
    loaded = load([DATA / "old_archive"])
    assert sorted(loaded.runs["record"]) == [f"mine/{record('gru', 'adding', seed)['run_id']}" for seed in (0, 1)]
    assert len(loaded.curves) == 8
    assert loaded.curves["value"].max() == 0.167


def change(path: Path, old: bytes, new: bytes) -> None:
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))


TOUCHED = {
    "records.npz": lambda kept: change(kept / "records.npz", b"PK", b"QK"),
    "study.json": lambda kept: change(kept / "study.json", b"adding", b"adding "),
    "archive.json": lambda kept: change(kept / "archive.json", b'"records": 30', b'"records": 31'),
    "no records": lambda kept: (kept / "records.npz").unlink(),
    "no study.json": lambda kept: (kept / "study.json").unlink(),
    "torn": lambda kept: os.truncate(kept / "archive.json", 40),
    "no mapping": lambda kept: (kept / "archive.json").write_text("[]"),
    "records of another": lambda kept: shutil.copy(DATA / "old_archive" / "records.npz", kept),
}


@pytest.mark.parametrize("touch", TOUCHED.values(), ids=TOUCHED)
def test_an_archive_that_was_touched_is_refused_in_one_line(tmp_path, capsys, touch):
    study = mixed_study(tmp_path / "mine")
    kept = archived(study, tmp_path / "kept")
    touch(kept)
    left = contents(kept)
    words = [f"study={kept}"]
    commands = [(runs.main, words), (status.main, words), (main, [f"study={study}", f"out={kept}"])]
    for command, said in [*commands, (report.main, [*words, f"out={tmp_path / 'r'}"])]:
        capsys.readouterr()
        assert command(said) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert str(kept) in lines[0]
    assert contents(kept) == left


def test_claims_that_are_put_beside_an_archive_are_refused(tmp_path):
    kept = archived(write_study(tmp_path / "mine"), tmp_path / "kept")
    _, frozen = made(tmp_path / "other", {"lstm": [0.1] * 8, "gru": [0.05] * 8})
    write_frozen(kept, frozen)
    with pytest.raises(CommandError, match=r"study\.json is not what was archived"):
        load([kept])


def test_an_archive_of_a_newer_version_says_so(tmp_path):
    kept = archived(write_study(tmp_path / "mine"), tmp_path / "kept")
    change(kept / "archive.json", b'"archive": 1', b'"archive": 2')
    with pytest.raises(CommandError, match="has archive 2, a newer version made it"):
        load([kept])


def test_runs_beside_an_archive_are_not_left_out_in_silence(tmp_path):
    kept = archived(write_study(tmp_path / "mine"), tmp_path / "kept")
    write(kept, seed=7)
    with pytest.raises(CommandError, match=r"is an archive, and the run adding-lstm-s7-.* stands in it"):
        load([kept])


def test_an_archive_replaces_none_but_an_earlier_one_of_its_runs(tmp_path, capsys):
    study, other = write_study(tmp_path / "mine"), write_study(tmp_path / "other")
    kept = archived(study, tmp_path / "kept")
    (tmp_path / "file").write_text("x")
    for out, why in {
        "other": "is there and no archive",
        "mine": "is there and no archive",
        "file": "is there and no archive",
    }.items():
        assert main([f"study={study}", f"out={tmp_path / out}"]) == 2
        assert why in capsys.readouterr().err
    assert main([f"study={other}", f"out={kept}"]) == 2
    assert "is the archive of another study, mine" in capsys.readouterr().err
    assert main([f"study={kept}", f"out={tmp_path / 'again'}"]) == 2
    assert "is an archive, which can only be read" in capsys.readouterr().err
    write(study, "janet")
    assert len(load([archived(study, kept)]).runs) == 19
    shutil.rmtree(next(study.glob("adding-janet-*")))
    assert main([f"study={study}", f"out={kept}"]) == 2
    assert "holds 1 runs that the study no longer has, adding-janet-s0-" in capsys.readouterr().err
    assert len(load([kept]).runs) == 19


def test_a_study_that_is_no_longer_frozen_leaves_no_claims_behind(tmp_path):
    study = mixed_study(tmp_path / "mine")
    kept = archived(study, tmp_path / "kept")
    (study / "study.json").unlink()
    assert not (archived(study, kept) / "study.json").exists()
    load([kept])


@pytest.mark.parametrize("damage", ["{", '{"schema": 2}'])
def test_a_study_whose_claims_cannot_be_read_is_not_archived(tmp_path, capsys, damage):
    study = write_study(tmp_path / "mine")
    (study / "study.json").write_text(damage)
    assert main([f"study={study}", f"out={tmp_path / 'kept'}"]) == 2
    assert "study.json" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


def test_a_report_goes_beside_an_archive_and_not_into_it(tmp_path, capsys):
    study = write_study(tmp_path / "mine")
    kept = archived(study, tmp_path / "kept")
    assert report.main([f"study={study}", f"out={kept}"]) == 2
    assert "is an archive; a report goes into a folder of its own" in capsys.readouterr().err


def look_inside(run: Path) -> None:
    """Write numbers and arrays as looking inside a net does, all of them drawn from the run's name."""
    content = json.loads((run / "run.json").read_text())
    names = ("untouched", "surgery/forget=1", "surgery/forget=1/cost", "cut/forget/x", "cut/forget/x/cost", "half_lag")
    names += ("feeds/forget/x", "feeds/forget/h", "feeds/forget/level/x", "surgery/forget=1/loss", "mean/forget")
    numbers = {name: noise(name, run.name) for name in names} | {"surgery/forget=0": 0.5, "surgery/forget=0/cost": None}
    rng = np.random.default_rng(len(run.name) + content["seed"])
    units = [f"time_constant/{when}/steps" for when in ("trained", "untrained")]
    units += [f"saturation/{gate}/{side}" for gate in ("forget", "input", "output") for side in ("shut", "open")]
    arrays = {f"layer0/{name}": rng.random(5) for name in units}
    arrays |= {f"layer0/trace/{slot}": rng.random((60, 4, 5), np.float32) for slot in ("forget", "cell", "hidden")}
    arrays |= {f"layer0/around/start/{gate}": rng.random((21, 5)) for gate in ("forget", "input")}
    arrays |= {"layer0/unit_surgery/forget": rng.random((4, 5)), "layer0/weight_by_lag": rng.random((60, 5))}
    arrays |= {"inside": np.ones((60, 4), bool), "event/start": rng.random((60, 4)) < 0.1}
    arrays |= {"input/symbol": np.array(["T", "P"])[rng.integers(0, 2, (60, 4))]}
    planted_inside.plant(run, numbers, arrays)


def test_what_figures_draw_of_the_inside_of_nets_is_the_same_from_an_archive(tmp_path, capsys):
    study = write_study(tmp_path / "mine")
    for run in study.iterdir():
        look_inside(run)
    whole, kept = load([study]), load([archived(study, tmp_path / "kept")])
    assert "the figure reach and the explorer need the study itself" in capsys.readouterr().out
    drawn = ("gate_feeds", "surgery", "gate_traces", "forgetting_events", "saturation", "time_constants")
    for name in (*drawn, "two_way_knockout"):
        first, second = (figures.discover()[name].numbers(records.runs, records.curves) for records in (whole, kept))
        pd.testing.assert_frame_equal(first, second, check_exact=True, obj=name)
        assert len(first) or name == "two_way_knockout"
    assert len(figures.discover()["reach"].numbers(whole.runs, whole.curves))
    assert figures.discover()["reach"].numbers(kept.runs, kept.curves).empty
    assert not {"inside.feeds/forget/level/x", "inside.surgery/forget=1/loss"} & set(kept.runs)


def test_of_each_variant_on_each_task_one_net_is_kept_step_by_step(tmp_path):
    study = write_study(tmp_path / "mine")
    for run in study.iterdir():
        if "-s0-" not in run.name:
            look_inside(run)
    kept = archived(study, tmp_path / "kept")
    traced = {run for run, found in archive.read_inside(kept).items() if "inside" in found.arrays}
    assert traced == {run.name for run in study.iterdir() if "-s1-" in run.name}
    shape = {name: values.shape for name, values in archive.read_inside(kept)[min(traced)].arrays.items()}
    assert shape["layer0/trace/forget"] == (48, 1, 5)
    assert not {
        "layer0/trace/hidden",
        "layer0/weight_by_lag",
        "layer0/unit_surgery/forget",
        "weights/readout_bias",
    } & set(shape)


def test_claims_about_the_inside_of_nets_are_judged_from_an_archive(tmp_path):
    study = tmp_path / "mine"
    metric = {"metric": "inside/surgery/forget=1/loss", "scale": "difference", "margin": 0.1}
    _, frozen = made(study, {"lstm": [0.1] * 8, "gru": [0.05] * 8}, **metric)
    write_frozen(study, frozen)
    for run in [path for path in study.iterdir() if path.is_dir()]:
        look_inside(run)
    whole, kept = (judge(load([source]), frozen) for source in (study, archived(study, tmp_path / "kept")))
    assert str(whole) == str(kept)  # as text, since NaN is not itself
    assert whole[0].verdict != "not run"


def test_a_damaged_file_of_arrays_is_refused_by_name(tmp_path, capsys):
    study = write_study(tmp_path / "mine", ("lstm",), ("adding",), 1)
    look_inside(next(study.iterdir()))
    kept = archived(study, tmp_path / "kept")
    (kept / "inside.npz").write_bytes(b"PK")
    assert report.main([f"study={kept}", f"out={tmp_path / 'report'}"]) == 2
    assert "inside.npz is not what was archived" in capsys.readouterr().err


def test_the_machine_that_made_the_runs_is_not_published(tmp_path):
    study = write_study(tmp_path / "mine")
    write(study, "janet", environment__host="secret-machine")
    kept = archived(study, tmp_path / "kept")
    assert "environment.host" not in load([kept]).runs
    assert json.loads((kept / "archive.json").read_text())["commits"] == ["abc1234"]
