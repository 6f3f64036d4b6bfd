"""A word of a command line is obeyed or refused, in whatever order and with whatever characters it comes."""

import importlib
import json
from pathlib import Path

import pytest
from fuzzing import SMALL, ends

from experiments import plan
from experiments.config import words
from experiments.config.schema import ConfigError

run_command = importlib.import_module("experiments.run").main


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """A command's exit status and what it says on stderr."""
    try:
        run_command(list(arguments))
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("study=José", "José"),
        ("study=/tmp/x(y)", "/tmp/x(y)"),
        ("study=x=y", "x=y"),
        ("study=~/a#b", "~/a#b"),
        ("study='a b'", "a b"),
        ("study=2026_11_25", "2026_11_25"),
        ("study=1e3", "1e3"),
        ("study=true", "true"),
        ("study=null", None),
        ("task.path=データ.npz", "データ.npz"),
        ("seed=1_000", 1000),
        ("variant.forget={value: .9}", {"value": 0.9}),
    ],
)
def test_a_value_is_read_as_it_is_meant(word: str, value: object) -> None:
    (said,), notes = words.understood([word])
    assert words.parse(said).value() == value
    assert notes == []


def test_a_comma_separates_values_with_any_characters() -> None:
    (said,), _ = words.understood(["task.path=ä.npz,b.npz,c d.npz"])
    assert list(words.parse(said).sweep_string_iterator()) == ["'ä.npz'", "b.npz", "c\\ d.npz"]


@pytest.mark.parametrize(
    ("word", "legal"),
    [
        ("+lr=.1", "lr=VALUE changes one"),
        ("++train.lr=.1", "train.lr=VALUE"),
        ("+train.lrx=.1", "no key can be added"),
        ("+record.new=1", "no key can be added"),
        ("+hydra.launcher.foo=1", "no key can be added"),
        ("~variant.forget", "no key can be added or taken away"),
        ("~seed=0", "no key can be added or taken away"),
        ("train@task=default", "train=NAME"),
        ("study=", "a value is needed"),
        ("study= ", "a value is needed"),
        ("extensions=", "no such folder"),
        ("study=''", "a folder is needed"),
        ("study=null", "a folder is needed"),
        ("gru", "KEY=VALUE is needed"),
        ("seed=rnge(0,3)", "Unknown function"),
        ("variant.label=mine", "belongs to a file"),
        ("variant.cite=me", "belongs to a file"),
        ("variant.aliases=[x]", "belongs to a file"),
        ("variant.forget=null", "a mapping"),
        ("init.needs_gate=banana", "true, false"),
        ("variant=null", "one name is needed"),
        ("experiment=null", "one name is needed"),
        ("retry=None", "failed, stale, null"),
        ("retry=banana", "failed, stale, null"),
        ("phase=None", "tune, confirm, null"),
        ("hydra.sweep.dir=x", "hydra/launcher"),
        ("hydra.run.dir=x", "study=DIR"),
        ("hydra.job.chdir=true", "hydra/launcher"),
        ("hydra.searchpath=[x]", "extensions=DIR"),
        ("hydra.mode=MULTIRUN", "-m makes a sweep"),
        ("hydra.launcher.workers=2", "add -m"),
        ("hydra/launcher=stacked", "add -m"),
        ("hydra.sweeper.params={seed: 1}", "sweep"),
        ("variant.forget={activaton: relu}", "variant.forget.activaton: unknown key; did you mean"),
        ("record.wandb={mode: offline, entit: x}", "record.wandb.entit: unknown key"),
        ("--multirn", "--multirun"),
        ("-m=true", "--multirun"),
        ("--cfg", "legal after it are job, hydra, all"),
        ("--info=me", "legal after it are all, config"),
        ("-p", "parts of the configuration"),
        ("--config-dir=x", "--multirun"),
    ],
)
def test_a_word_that_would_not_be_obeyed_is_refused(
    word: str, legal: str, away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = shown(capsys, "study=s", *SMALL, word)
    (line,) = [line for line in said.splitlines() if not line.startswith("note: ")]
    assert code == 2
    assert line.startswith("error: ")
    assert word.partition("=")[0].lstrip("+~") in line
    assert legal in line
    assert list(away.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "legal"),
    [
        (["seed=range(0,0)"], "seed=range(0,0): no values"),
        (["variant=glob(zzz*)"], "variant=glob(zzz*): no values"),
        (["variant=no_forget_gate", "init=chrono,uniform_gate"], "none of the 2 combinations makes sense"),
        (["variant=no_forget_gate", "init.value=2,3"], "none of the 2 combinations makes sense"),
        (["variant=mingru", "init=orthogonal", "seed=0,1"], "none of the 2 combinations makes sense"),
        (["seed=range(0,3,0)"], "seed=range(0,3,0): a step other than 0 is needed"),
        (["train.lr=interval(0,1)"], "train.lr=interval(0,1): an interval"),
        (["engine=reference,auto"], "engine=reference,auto: is no axis"),
        (["study=a,b"], "study=a,b: is no axis"),
        (["study=null", "seed=0,1"], "study=null: a folder is needed"),
        (["hydra.launcher.dry_run=maybe"], "hydra.launcher.dry_run"),
        (["hydra.launcher.workrs=2"], "did you mean hydra.launcher.workers"),
        (["hydra.sweeper.max_batch_size=2"], "hydra.sweeper.max_batch_size: unknown key"),
    ],
)
def test_a_sweep_of_nothing_or_of_no_axis_is_refused(
    said: list[str], legal: str, away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ([], ["hydra.launcher.dry_run=true"] if "dry_run" not in said[0] else []):
        code, shown_words = shown(
            capsys, "-m", *SMALL, "study=s" if "study" not in said[0] else "seed=0", *said, *command
        )
        assert code == 2
        assert legal in shown_words.splitlines()[-1]
        assert list(away.iterdir()) == []


def test_of_two_words_for_one_key_the_later_counts_with_a_note(away: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = shown(capsys, "seed=1", *SMALL, "study=s", "record.weights=false", "seed=2")
    assert code == 0
    assert said.startswith("note: seed=1 gives way to seed=2")
    (record,) = [json.loads(path.read_text()) for path in away.glob("s/*/run.json")]
    assert record["seed"] == 2
    assert "seed=1" not in record["config"]["said"]


@pytest.mark.parametrize("place", [0, 3, -1])
def test_words_stand_on_both_sides_of_flags(place: int) -> None:
    arguments = ["variant=gru", "seed=0,1", "task=adding", "study=s"]
    arguments[place:place] = ["-m"]
    flags, said = words.flags_and_words([*arguments, "--multirun"])
    assert flags == ["--multirun"]
    assert said == ["variant=gru", "seed=0,1", "task=adding", "study=s"]
    assert words.flags_and_words(["a=1", "--cfg", "job", "b=2", "--package", "job"]) == (
        ["--cfg", "job", "--package", "job"],
        ["a=1", "b=2"],
    )


@pytest.mark.parametrize("flags", [[], ["-m"], ["--multirun"]])
def test_plan_takes_the_words_of_a_sweep(flags: list[str], away: Path) -> None:
    for more in ([], ["hydra.launcher.dry_run=false"]):
        assert ends(plan.main, ["variant=lstm", *flags, *SMALL, "seed=0,1", "study=é", *more]) == 0
    assert ends(plan.main, [*flags, *SMALL, "seed=range(0,0)", "study=s"]) == 2
    assert list(away.iterdir()) == []


def test_what_a_sweep_understands_it_says_again_in_its_records(away: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = shown(capsys, *SMALL, "-m", "study=José/x(y)", "seed=1,2", "hydra.launcher.workers=1")
    assert code == 0, said
    records = [json.loads(path.read_text()) for path in away.glob("José/x(y)/*/run.json")]
    assert sorted(record["seed"] for record in records) == [1, 2]
    (word,) = {word for record in records for word in record["config"]["said"] if word.startswith("study=")}
    assert words.parse(word).value() == "José/x(y)"


def test_words_that_nobody_can_read_are_refused_by_themselves() -> None:
    for word in ("é=3", "=3", "a b=3", "study='a"):
        with pytest.raises(ConfigError, match=r"KEY=VALUE|quotes"):
            words.understood([word])
