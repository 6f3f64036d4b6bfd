"""Composing a sweep once per structure gives the jobs that composing each alone gives, or the same refusals."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config.compose import Composer, compose
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.sweep.launcher import StudySweeper, register

register()
SWEEP = [
    [f"variant={v}", f"train.lr={lr}", f"seed={s}", *more]
    for v in ("lstm", "CIFG")
    for lr, s in ((0.1, 0), (0.01, 3))
    for more in ([], ["variant.forget.bias=learned"], ["init=zero_bias", "task=continual_reber"])
]
VALUES = {  # what a sweep may say of a key: numbers, texts, null, lists, mappings, files, what is computed from others
    "variant": ["lstm", "gru", "no_forget_gate", "NFG", "minlstm"],
    "variant.forget": ["{activation: relu}", "{block: all}", "{kind: constant, value: .9}", "{bias: frozen}", "{}"],
    "variant.forget.kind": ["learned", "constant", "complement"],
    "variant.forget.value": [".5", "1", "null", "'.5'"],
    "variant.forget.activation": ["tanh", "relu"],
    "variant.forget.nothing": ["1"],
    "variant.squash": ["identity", "${variant.candidate.activation}"],
    "variant.label": ["mine", "${variant.squash}"],
    "init": ["default", "chrono", "forget_bias"],
    "init.value": ["0", "2", "${seed}"],
    "init.max_lag": ["50", "null"],
    "task": ["adding", "copy", "parity"],
    "task.length": ["20", "30"],
    "task.eval_lengths": ["[]", "[40]", "[40,60]", "[${task.length}]"],
    "task.eval_lengths.0": ["50"],
    "task.layout": ['"1997"', "2016"],
    "train": ["default"],
    "train.lr": [".1", "1e-3", "-1", "x"],
    "train.clip": ["null", "1", ".5"],
    "train.steps": ["5", "${model.hidden_size}"],
    "model.hidden_size": ["4", "8"],
    "record.wandb": ["{mode: offline}", "{mode: disabled, entity: me}"],
    "record.wandb.entity": ["null", "me"],
    "seed": ["0", "1", "2", "1.5"],
    "study": ["a", "null", "p${seed}", "'p\\${seed}'", "${hydra.job.override_dirname}", "é"],
    "task@task": ["copy"],
    "train@train": ["default"],
    "hydra.launcher.workers": ["1", "2"],
    "+new": ["1"],
    "~task.length": ["20"],
}
words = st.sampled_from(sorted(VALUES)).flatmap(lambda key: st.sampled_from([f"{key}={v}" for v in VALUES[key]]))


@st.composite
def sweeps(draw: st.DrawFn) -> list[list[str]]:
    """Jobs that mostly say the same keys with other values, in the order of the first or in another one."""
    keys = [word.partition("=")[0] for word in draw(st.lists(words, min_size=1, max_size=4))]
    jobs = [[f"{key}={draw(st.sampled_from(VALUES[key]))}" for key in keys] for _ in range(draw(st.integers(2, 4)))]
    return [draw(st.permutations(job)) if draw(st.integers(0, 5)) == 0 else job for job in jobs]


def outcome(job: Callable[[Sequence[str]], Job], said: Sequence[str]) -> Any:
    """A job, or the kind of its refusal."""
    try:
        return job(said)
    except ValueError as refusal:
        return type(refusal)


def alone(said: Sequence[str]) -> Job:
    return resolve(compose(said), said)


@pytest.mark.slow
def test_any_composed_job_is_the_job_composed_alone(examples: Callable[[int], settings]) -> None:
    @examples(10)
    @given(sweeps())
    def holds(jobs: list[list[str]]) -> None:
        composer = Composer(compose)
        for said in jobs:
            assert outcome(composer.job, said) == outcome(alone, said)

    holds()


def test_a_composed_job_is_the_job_composed_alone() -> None:
    calls: list[list[str]] = []

    def counted(overrides):  # type: ignore[no-untyped-def]
        calls.append(overrides)
        return compose(overrides)

    composer = Composer(counted)
    for said in SWEEP:
        assert composer.job(said) == alone(said)
    assert len(calls) == len(SWEEP) // 2


@pytest.mark.parametrize(
    ("axis", "names"),
    [
        ("variant.forget={activation: relu},{block: all}", ["forget_relu", "scalar_forget"]),
        ("variant.forget={kind: constant, value: 0.9},{kind: complement}", ["constant_forget", "coupled_gates"]),
        ("variant.forget={bias: frozen},{}", ["fixed_forget_bias", "lstm"]),
    ],
)
def test_a_mapping_stays_in_its_job(axis: str, names: list[str]) -> None:
    composer = Composer(compose)
    (batch,) = StudySweeper.split_arguments(OverridesParser.create().parse_overrides(["seed=0,1", axis]), None)
    assert [composer.job(said).variant.name for said in batch] == [*names, *names]


def test_of_two_words_for_one_knob_the_later_holds_in_every_job() -> None:
    composer = Composer(compose)
    for bias in ("learned", "frozen"):
        mapping = f"variant.forget={{bias: {bias}}}"
        assert composer.job(["variant.forget.bias=frozen", mapping]).variant.spec.forget.bias == bias
        assert composer.job([mapping, "variant.forget.bias=frozen"]).variant.spec.forget.bias == "frozen"


@pytest.mark.parametrize("bad", ["train.lr=x", "train.lrr=1", "seed=.5", "train.lr=-1"])
def test_values_set_in_a_composed_configuration_are_checked(bad: str) -> None:
    composer = Composer(compose)
    composer.job(["variant=gru", "train.lr=.1", "seed=1"])
    key = bad.partition("=")[0]
    said = [bad, *(o for o in ("train.lr=.1", "seed=1") if not o.startswith(f"{key}="))]
    with pytest.raises((ConfigError, ValueError), match=key):
        composer.job(["variant=gru", *said])
