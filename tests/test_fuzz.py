"""Whatever is on a command line ends in success or in one clear message and a non-zero exit."""

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import SMALL, ends
from hypothesis import given, settings
from hypothesis import strategies as st
from records import write_study

from analysis import report, runs
from experiments import archive, push, show, status, study
from experiments.config.compose import compose
from experiments.config.resolve import resolve

pytestmark = pytest.mark.filterwarnings("default")  # a user sees warnings as such
run_command = importlib.import_module("experiments.run").main


KEYS = ["variant", "init", "task", "train", "model", "seed", "phase", "engine", "device", "threads", "retry"]
KEYS += ["extensions", "protocol", "train.lr", "train.steps", "train.clip", "train.optimizer", "train.momentum"]
KEYS += ["model.hidden_size", "model.size", "model.layers", "task.length", "task.eval_lengths", "task.nothing", "tsk"]
KEYS += ["variant.forget", "variant.forget.feeds", "variant.input.kind", "variant.label", "variant.cell", "init.value"]
KEYS += ["init.rule", "record", "record.wandb", "record.checkpoint_every", "+new", "~seed", "++train.lr", "experiment"]
KEYS += ["hydra.launcher.stack", "hydra.launcher.workers", "hydra", "hydra.nothing", "+train.nothing.below"]
VALUES = [
    "",
    "null",
    "true",
    "-1",
    "0",
    "1",
    "3",
    ".5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "10" * 20,
    "-" + "9" * 40,
]
VALUES += [
    "lstm",
    "gru",
    "adding",
    "[]",
    "[1,2]",
    "[[1],[2]]",
    "{}",
    "{a:1}",
    "{feeds:x}",
    "${seed}",
    "${nothing}",
    "${",
]
VALUES += [
    "'",
    '"',
    "'a b'",
    "a b",
    "é世",
    "\x00",
    "a\nb",
    "x,y",
    "range(0,3)",
    "glob(*)",
    "choice(1,2)",
    "xhb",
    "..",
    "/",
]
VALUES += ["constant", "chrono", "learned", "absent", "???", "!!python/object:os.system", "\\", "=", "a=b", "%s", "{0}"]
words = st.one_of(
    st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=8)),
    st.builds("{}={}".format, st.sampled_from(KEYS), st.one_of(st.integers(-3, 9), st.floats()).map(str)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda word: not word.startswith("-")),
)


@pytest.mark.parametrize("many", [[], ["-m"]], ids=["run", "sweep"])
def test_command_lines_of_run(many: list[str], examples: Callable[[int], settings], away: Path) -> None:
    @examples(12)
    @given(st.lists(words, min_size=1, max_size=3))
    def holds(said: list[str]) -> None:
        if not any(word.startswith(("hydra.launcher.workers=", "extensions=")) for word in said):
            ends(run_command, [*many, f"study={away}", *SMALL, *said])

    holds()


def test_settings_of_a_run(examples: Callable[[int], settings]) -> None:
    @examples(60)
    @given(st.lists(words, min_size=1, max_size=4))
    def holds(said: list[str]) -> None:
        with contextlib.suppress(ValueError):
            resolve(compose(["study=null", *SMALL, *said]), said)

    holds()


COMMANDS: dict[str, tuple[Callable[[list[str]], Any], list[str]]] = {
    "status": (status.main, ["study", "watch", "every"]),
    "archive": (archive.main, ["study", "out"]),
    "push": (push.main, ["study", "mode", "entity", "strict", "source"]),
    "runs": (runs.main, ["study", "strict", "source"]),
    "report": (report.main, ["study", "out", "strict", "width", "source", "why"]),
    "show": (show.main, ["what", "input_size", "hidden_size", "seed", "plot", "extensions"]),
    "study": (study.main, ["experiment", "scale", "phase", "workers", "out", "train.lr", "study", "protocol.claims"]),
}
ARGUMENTS = [
    *VALUES,
    "s",
    "s,s",
    "nowhere",
    "wandb-offline:nowhere",
    "wandb-offline:s",
    "variant",
    "task",
    "forget_reset",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_lines_of(name: str, examples: Callable[[int], settings], away: Path) -> None:
    main, keys = COMMANDS[name]
    write_study(away / "s", ("lstm",), ("adding",), 2)
    values = st.one_of(st.sampled_from(ARGUMENTS), st.text(max_size=6))
    known = st.builds("{}={}".format, st.sampled_from(keys), values)

    @examples(15)
    @given(st.lists(st.one_of(known, known, known, values), max_size=4))
    def holds(said: list[str]) -> None:
        if "study=s" not in said or name != "report":  # drawing is not what is asked for here
            ends(main, [*said, "phase=plan"] if name == "study" else said)

    holds()
