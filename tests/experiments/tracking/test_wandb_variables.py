"""What wandb hears of the environment: who and where, not which run; words that mean nothing are refused or told of."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_wandb import numbers as plain
from mirrored_runs import SHORT, jobs, read_back, rows_on_disk, wandb_folder

from experiments.config.schema import ConfigError, wandb_mode
from experiments.push import main as push
from experiments.store.what_is_left import standing
from experiments.sweep.run_all import run_all
from experiments.tracking import live, run_names, wandb_runs, wandb_variables

AGENTS = {"WANDB_SWEEP_ID": "abcd1234", "WANDB_RUN_ID": "agentrun1", "WANDB_PROJECT": "theirs", "WANDB_NAME": "theirs"}
AGENTS |= {
    "WANDB_RESUME": "must",
    "WANDB_RUN_GROUP": "theirs",
    "WANDB_DIR": "/no/such",
    "WANDB_SWEEP_PARAM_PATH": "/no",
}
AGENTS |= {"WANDB_JOB_TYPE": "theirs", "WANDB_TAGS": "theirs", "WANDB_NOTES": "a note", "WANDB_SERVICE": "3-9-tcp-x-1"}


@pytest.fixture(autouse=True)
def own_wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """wandb reads its environment once; each test starts it anew."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_MODE": ""}, "offline"),
        ({"WANDB_MODE": " online "}, "online"),
        ({"WANDB_MODE": "dryrun"}, "offline"),
        ({"WANDB_MODE": "disabled"}, "disabled"),
        ({"WANDB_DISABLED": "True"}, "disabled"),
        ({"WANDB_DISABLED": "false"}, "offline"),
        ({"WANDB_DISABLED": "true", "WANDB_MODE": "offline"}, "offline"),
    ],
)
def test_the_mode_of_the_environment(environment: dict[str, str], mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wandb_mode("auto") == mode
    assert wandb_mode("online") == "online"


@pytest.mark.parametrize(("name", "legal"), [("WANDB_MODE", "online, offline, disabled"), ("WANDB_DISABLED", "true")])
def test_a_mode_that_is_none_is_refused_by_name_before_anything_is_made(
    name: str, legal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "garbage")
    with pytest.raises(ConfigError, match=rf"^{name}=garbage: legal are {legal}"):
        jobs(tmp_path / "s", "auto")
    assert push([f"study={tmp_path}"]) == 2
    assert (
        capsys.readouterr().err.strip().endswith(f"{name}=garbage: legal are {legal}" + ", false" * (legal == "true"))
    )
    assert len(jobs(tmp_path / "s", "offline")) == 2  # said otherwise, the environment is not asked
    assert list(tmp_path.iterdir()) == []


def test_inside_an_agent_runs_have_ids_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in AGENTS.items():
        monkeypatch.setenv(name, value)
    made = jobs(tmp_path / "mine", "auto")
    run_all(made, workers=1, show=False)
    for job in made:
        mirrored = read_back(job)
        assert [plain(row) for row in mirrored.history] == rows_on_disk(job)
        assert wandb_folder(job).name.rpartition("-")[0].endswith(job.run_id)
    assert len(list((tmp_path / "mine" / "wandb").glob("*run-*"))) == 2
    (note,) = capfd.readouterr().err.strip().splitlines()
    assert note.startswith("note: wandb: not used: WANDB_DIR, WANDB_JOB_TYPE, WANDB_NAME, WANDB_PROJECT, WANDB_RESUME")
    assert all(os.environ[name] == value for name, value in AGENTS.items() if name != "WANDB_SERVICE")
    assert not {"WANDB_RUN_ID", "WANDB_PROJECT", "WANDB_MODE"} & set(wandb_variables.plain())


def test_a_script_with_a_sweep_of_its_own_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_SWEEP_ID", "abcd1234")
    monkeypatch.setenv("WANDB_RUN_ID", "agentrun1")
    monkeypatch.setenv("WANDB_MODE", "offline")
    theirs = wandb.setup().settings
    (job,) = jobs(tmp_path / "mine", "auto", seeds=1)
    run_all([job], workers=1, show=False)
    assert wandb_folder(job).name.rpartition("-")[0].endswith(job.run_id)
    assert wandb.setup().settings is theirs
    assert (theirs.sweep_id, theirs.run_id) == ("abcd1234", "agentrun1")


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_what_wandb_cannot_read_costs_one_line_and_no_mirror(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "notaurl")
    made = jobs(tmp_path / "s", mode)
    runs = run_all(made, workers=1, show=False)
    assert [run.status for run in runs] == ["finished"] * 2
    assert [len(read_back(job).history) for job in made] == [3, 3]
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "WANDB_BASE_URL=notaurl" in line
    assert line.startswith("warning" if mode == "online" else "note")


def test_a_secret_that_cannot_be_read_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", " 0123456789 ")
    monkeypatch.setenv("WANDB_CONSOLE", "maybe")
    shown = ", ".join(wandb_variables.not_used(online=True))
    assert shown == "WANDB_API_KEY (wandb cannot read it), WANDB_CONSOLE=maybe (wandb cannot read it)"


def test_without_any_mirror_the_run_is_whole_and_the_words_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def unreadable(study: Path) -> str:
        raise PermissionError(13, "Permission denied", str(study / run_names.TOKEN))

    def broken(*arguments: object) -> None:
        raise RuntimeError("no wandb today")

    for name, module, what in (("token", run_names, unreadable), ("_init", wandb_runs, broken)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, what)
            made = jobs(tmp_path / name, "offline")
            assert [run.status for run in run_all(made, workers=1, show=False)] == ["finished"] * 2
        (warning,) = capfd.readouterr().err.strip().splitlines()
        assert warning.startswith("warning: wandb: ")
        assert "there are runs without a mirror" in warning
        assert push([warning.rpartition(" ")[2]]) == 0
        assert len(wandb_runs.folders(tmp_path / name)) == 3  # two runs and their arm
        capfd.readouterr()


def test_a_token_is_made_once_and_whoever_may_read_the_study_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*arguments: object) -> None:
        raise PermissionError("this file system has no hard links")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "plain").touch()
    token = run_names.token(tmp_path)
    assert run_names.token(tmp_path) == token
    assert len(token) == 6
    assert (tmp_path / run_names.TOKEN).stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("home", ["/proc/no/home", None])
def test_without_a_home_wandb_has_a_folder_for_its_log(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("WANDB_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        for name in names:
            patch.delenv(name, raising=False)
        patch.setattr(tempfile, "tempdir", folder)
        if home is None:
            patch.setattr(Path, "home", lambda: Path(folder))
        else:
            patch.setenv("HOME", home)
        wandb_variables.give_a_home()
        assert os.environ["WANDB_CACHE_DIR"].startswith(folder)
        assert home is None or os.environ["WANDB_CACHE_DIR"] == f"{folder}/gates-{os.getuid()}/wandb"
        for name in ("CACHE", "DATA", "CONFIG"):
            os.environ.pop(f"WANDB_{name}_DIR", None)


LONG = [
    f"variant.{gate}.{knob}"
    for gate in ("input", "forget", "output", "reset")
    for knob in ("kind=learned", "feeds=x", "activation=clipped_linear", "peephole=true")
]


def test_a_name_too_long_for_a_file_is_shortened_and_stays_unique(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.config.compose import compose
    from experiments.config.resolve import resolve

    words = [
        *LONG,
        "variant.squash=identity",
        "variant.candidate.activation=identity",
        f"study={tmp_path / 's'}",
        *SHORT,
    ]
    many = [resolve(compose(said), said) for seed in range(2) for said in [[*words, f"seed={seed}", "train.lr=.01"]]]
    many += [resolve(compose(said), said) for said in [[*words, "seed=0", "train.lr=.02"]]]
    assert {len(job.run_id) for job in many} == {250}
    run_all(many, workers=1, show=False)
    assert [standing(job) for job in many] == ["done"] * 3
    assert push([f"study={tmp_path / 's'}"]) == 0
    there = wandb_runs.folders(tmp_path / "s")
    assert len(there) == 5  # three runs and two arms
    assert max(map(len, there)) == 128
    assert push([f"study={tmp_path / 's'}"]) == 0
    assert "5 wandb runs, 0 of them made now" in capsys.readouterr().out
    assert live.wandb_mode("auto") == "offline"
