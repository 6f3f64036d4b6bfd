"""What Python says to run and sweep arrives as it is, or is refused by name before anything is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import experiments
from experiments.config.compose import compose
from experiments.config.python_values import axis, words
from experiments.config.schema import ConfigError
from experiments.config.words import parse
from lstm_variants.spec import flatten

TINY = {"task": "adding", "task.length": 9, "model.hidden_size": 2, "threads": 1}
STEPS = {"steps": 1, "eval_every": 1, "eval_size": 2, "batch_size": 2}
texts = st.one_of(
    st.text(max_size=12), st.text("${}\\'\",=()[]: aé~#/.-+1e", max_size=12), st.sampled_from(["null", "1e3", "", "on"])
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts.filter(lambda text: text != "???"))
keys = st.text("abcxyz_", min_size=1, max_size=4).filter(lambda key: key not in ("null", "true", "false"))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


def test_any_value_arrives_as_it_is(examples: Callable[[int], settings]) -> None:
    @examples(150)
    @given(values)
    @example("p${seed}")
    @example("\\${seed}\\")
    @example([{"a": "x,y"}, [None, -0.0, 1e22, float("inf")]])
    def holds(value: Any) -> None:
        (word,) = words([("key", [value])])  # in a list, for a mapping is one setting for each of its keys
        config = OmegaConf.create({"seed": 3, "key": parse(word).value()})
        assert repr(OmegaConf.to_container(config, resolve=True)["key"]) == repr([value])  # type: ignore[index, call-overload]

    holds()


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a,b"), "a,b"),
        (np.array(2.5), 2.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (torch.tensor(3), 3),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
        (range(3), [0, 1, 2]),
        ((1, "2"), [1, "2"]),
        (Path("/tmp/é x"), "/tmp/é x"),
        ([Path("a"), np.float64(1)], ["a", 1.0]),
    ],
)
def test_values_of_other_libraries_arrive_as_plain_ones(value: Any, arrives: Any) -> None:
    (word,) = words([("key", value)])
    assert repr(parse(word).value()) == repr(arrives)


@pytest.mark.parametrize(
    "value",
    [{1, 2}, b"x", 1 + 2j, iter([1]), np.datetime64("2020"), pd.NA, object(), len, pd.DataFrame({"a": [1]}), "???"],
)
def test_what_no_setting_can_have_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"\Atrain\.lr[:=][^\n]*\Z"):
        words([("train", {"lr": value})])


@pytest.mark.parametrize(
    ("values", "arrive"),
    [
        (np.arange(2), [0, 1]),
        (np.array(3), [3]),
        (np.float64(0.5), [0.5]),
        (torch.arange(2), [0, 1]),
        (pd.Series([1, 2], index=[5, 6]), [1, 2]),
        (pd.Index(["a"]), ["a"]),
        (range(2, 0, -1), [2, 1]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ab"), ["a", "b"]),
        ((seed for seed in (4, 5)), [4, 5]),
        (map(str, [1]), ["1"]),
        ({"a": 1}.keys(), ["a"]),
        ({"activation": "relu"}, [{"activation": "relu"}]),
        ([[40], [50, 60]], [[40], [50, 60]]),
        ("lstm", ["lstm"]),
        (Path("x"), [Path("x")]),
        (None, [None]),
        (True, [True]),
    ],
)
def test_an_axis_is_what_can_be_iterated_over(values: Any, arrive: list[Any]) -> None:
    assert repr(axis("seed", values)) == repr(arrive)


@pytest.mark.parametrize(
    "values", [[], (), range(0), np.array([]), iter(()), set(), np.zeros((2, 2)), {1, "a"}, [0, 1, 0]]
)
def test_an_axis_without_values_or_order_or_with_one_twice_is_refused(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"\Aseed: "):
        experiments.sweep({"seed": values})


@pytest.mark.parametrize(
    ("axes", "shared", "key"),
    [
        ({"train.lr": [0.1, 0.2]}, {"train": {"lr": 0.3}}, "train.lr"),
        ({"seed": [1, 2]}, {"seed": 3}, "seed"),
        ({}, {"train": {"steps": 2}, "train.steps": 3}, "train.steps"),
        ({"variant.forget": [{"bias": "frozen"}]}, {"variant": {"forget": {"bias": "learned"}}}, "variant.forget.bias"),
        ({"variant.forget": [None]}, {"variant.forget.bias": "learned"}, "variant.forget.bias"),
        ({"+lr": [1]}, {}, "lr"),
        ({"train.lrr": [1]}, {}, "train.lrr"),
        ({3: [1]}, {}, "3"),
        ({"hydra.launcher.workers": [2]}, {}, "hydra.launcher.workers"),
        ({"engine": ["auto", "reference"]}, {}, "engine"),
        ({"extensions": ["a", "b"]}, {}, "extensions"),
        ({"seed": range(10**7)}, {}, "seed|runs in a sweep"),
        ({"variant": ["no_forget_gate"]}, {"init": "chrono"}, "nothing to run"),
        ({"seed": [1]}, {"study": ""}, "study"),
        ({"seed": [1]}, {"workers": 0}, "workers"),
        ({"seed": [1]}, {"experiment": "demo"}, "experiment"),
        ({"seed": [[1, 2]]}, {}, "seed"),
        ({"train.lr": [float("nan")]}, {}, "train.lr"),
        ({"task.length": [True]}, {}, "task.length"),
    ],
)
def test_what_would_not_arrive_is_refused_by_name(
    axes: dict[Any, Any], shared: dict[str, Any], key: str, away: Path
) -> None:
    with pytest.raises(ValueError, match=rf"\A[^\n]*({key})[^\n]*\Z"):
        experiments.sweep(axes, **TINY, **shared)
    assert list(away.iterdir()) == []


def test_a_sweep_trains_what_its_rows_say(away: Path) -> None:
    axes = {"variant.forget": [{"activation": "relu"}, {"block": "all"}], "train.lr": np.array([1e-3, 1e-1])}
    frame = experiments.sweep(axes, **TINY, train=STEPS, study=Path("é ${seed}"))
    assert len(frame["run_id"].unique()) == 4
    for row in frame.to_dict("records"):
        resolved = experiments.load_run(away / "é ${seed}" / row["run_id"]).config
        assert resolved["train"]["lr"] == row["train.lr"]
        ((knob, value),) = row["variant.forget"].items()
        assert resolved["variant"]["forget"][knob] == value


def test_a_text_of_a_number_stays_a_text() -> None:
    assert compose(words([("task.layout", "1997"), ("study", "1e3")])).study == "1e3"
    assert compose(words([("task.layout", "1997")])).task.layout == "1997"


@pytest.mark.parametrize(
    "settings", [{"train.lr": 10**400}, {"train.clip": -(2**64)}, {"init": {"value": 10**30}}, {"seed": 2**63}]
)
def test_a_number_too_large_is_refused_by_name(settings: dict[str, Any]) -> None:
    told = (
        rf"\A{next(iter(flatten(settings)))}=.*: a whole number is from -9223372036854775808 to 9223372036854775807\Z"
    )
    with pytest.raises(ConfigError, match=told):
        experiments.run(**TINY, **settings)
    ((key, value),) = flatten(settings).items()
    with pytest.raises(ConfigError, match=told):
        experiments.sweep({key: [1, value]}, **TINY)
