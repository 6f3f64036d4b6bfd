"""From what is said to a validated job: composition, identity, aliases, refusals."""

from pathlib import Path

import pytest
from hydra import initialize_config_dir

from experiments.config.catalogue import names
from experiments.config.compose import compose, load_spec
from experiments.config.extensions_option import use_extensions
from experiments.config.job import NotApplicableError
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.sweep.launcher import register
from lstm_variants import CellSpec, make_cell
from lstm_variants.gate import CONF

register()


def job(*said: str):  # type: ignore[no-untyped-def]
    return resolve(compose(said), said)


@pytest.mark.parametrize("name", names("variant"))
def test_every_variant_composes_under_its_own_name(name: str) -> None:
    made = job(f"variant={name}")
    assert made.variant.name == name
    assert made.variant.label
    assert made.variant.cite


@pytest.mark.parametrize("name", names("init"))
def test_every_init_composes(name: str) -> None:
    assert job(f"init={name}").init.max_lag == (100 if name == "chrono" else None)


@pytest.mark.parametrize("name", names("experiment"))
def test_every_experiment_composes(name: str) -> None:
    assert compose([f"experiment={name}"]).study == f"outputs/{name}"


def test_two_ways_of_saying_one_spec_are_one_run() -> None:
    file = job("variant=coupled_gates")
    said = job("variant=lstm", "variant.forget.kind=complement")
    alias = job("variant=CIFG")
    assert file.run_id == said.run_id == alias.run_id
    assert said.variant.label == "coupled gates"


def test_two_ways_of_saying_one_init_are_one_run() -> None:
    assert job("init=zero_bias").run_id == job("init.value=0").run_id == job("init=forget_bias", "init.value=0").run_id


def test_an_ad_hoc_variant_is_called_by_its_difference() -> None:
    made = job("variant.forget.feeds=bx", "variant.forget.activation=hard_sigmoid")
    assert made.variant.name == "forget_hard_sigmoid[forget.feeds=xb]"
    assert job("variant.forget.feeds=xb").variant.label == "lstm[forget.feeds=xb]"
    assert set(made.run_id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def test_identity_holds_what_makes_results_and_nothing_else() -> None:
    base = job("seed=3")
    same = job("seed=3", "study=/tmp/x", "record.wandb.mode=disabled", "threads=1", "engine=reference", "device=cpu")
    assert same.run_id == base.run_id
    other = job("seed=4")
    assert (other.arm == base.arm, other.run_id == base.run_id) == (True, False)
    for change in ("train.lr=.1", "task.length=50", "model.hidden_size=5", "init=orthogonal", "variant=gru"):
        assert job("seed=3", change).arm != base.arm


def test_identities_stay() -> None:
    """A change here gives every existing record a new name: raise a semantics version instead."""
    assert job("variant=gru", "seed=0").run_id == "adding-gru-s0-f1c85913"
    changed = job("variant=CIFG", "seed=1", "train.lr=.01", "task.length=50", "init=zero_bias")
    assert changed.run_id == "adding-coupled_gates-s1-310b4ff0"
    assert job("variant=scalar_forget", "seed=0").run_id == "adding-scalar_forget-s0-65785f82"  # of before `block`


def test_equal_parameters_pick_the_nearest_hidden_size() -> None:
    made = job("variant=gru", "model.size=parameters", "model.hidden_size=32")

    count = lambda h: make_cell(made.variant.spec).parameter_count(made.task.input_size, h)  # noqa: E731
    assert abs(count(made.hidden_size) - made.reference_parameters) == min(
        abs(count(h) - made.reference_parameters) for h in range(1, 100)
    )
    assert job("variant=lstm", "model.size=parameters").hidden_size == 32


def test_equal_parameters_pick_a_size_that_the_blocks_divide() -> None:
    made = job("variant.forget.block=5", "variant.output.block=3", "model.size=parameters")
    count = lambda h: make_cell(made.variant.spec).parameter_count(made.task.input_size, h)  # noqa: E731
    assert made.hidden_size == min(range(15, 100, 15), key=lambda h: abs(count(h) - made.reference_parameters))


def test_init_torch_is_for_every_variant() -> None:
    assert job("init=torch", "variant=no_forget_gate").init.rule == "torch"
    assert job("init=torch").arm != job().arm
    with pytest.raises(ConfigError, match=r"init.value=2.*: has no meaning with init.rule=torch"):
        job("init=torch", "init.value=2")


def test_units_that_a_block_does_not_divide_are_not_applicable() -> None:
    assert job("variant.forget.block=4", "model.hidden_size=12").hidden_size == 12
    with pytest.raises(
        NotApplicableError, match=r"\Avariant.forget.block=5: divides no 12 units \(model.hidden_size\)\Z"
    ):
        job("variant.forget.block=5", "model.hidden_size=12")


def test_normalising_a_single_value_is_not_applicable() -> None:
    assert job("variant.layer_norm=true").variant.name == "lstm[layer_norm=true]"
    with pytest.raises(NotApplicableError, match=r"\Avariant.layer_norm=true: .* forget.block=all has no other\Z"):
        job("variant=scalar_forget", "variant.layer_norm=true")
    with pytest.raises(NotApplicableError, match=r"\Avariant.layer_norm=true: a single unit"):
        job("variant.layer_norm=true", "model.hidden_size=1")


def test_no_normalisation_is_a_run_of_before() -> None:
    assert job("variant.layer_norm=false").run_id == job().run_id != job("variant.layer_norm=true").run_id


def test_load_spec_works_inside_a_running_hydra_application() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        spec = load_spec("lstm", ["variant.forget.feeds=xb"])
    assert spec == CellSpec.from_config({"forget": {"feeds": "xb"}})


def said_alone(said: str) -> None:
    key, _, value = said.partition("=")
    use_extensions(value if key == "extensions" else None)
    job(said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("variant=gruu", ["variant=gruu", "did you mean gru", "lstm"]),
        ("task=addin", ["task=addin", "did you mean adding"]),
        ("variant=lstm,gru", ["variant=lstm,gru: several values need -m"]),
        ("train.lr=.1,.2", ["train.lr=.1,.2: several values need -m"]),
        ("variant=forget_without_input", ["input: legal are constant_forget", "such as variant=lstm variant.forget"]),
        ("experiment=nope", ["experiment=nope", "demo"]),
        ("train.lrr=3", ["train.lrr", "unknown key", "did you mean train.lr"]),
        ("hydra.launcher.wrkers=3", ["hydra.launcher.wrkers", "unknown key", "did you mean hydra.launcher.workers"]),
        ("hydra/launcher=slrm", ["hydra/launcher=slrm", "did you mean"]),
        ("foo=3", ["foo", "unknown key", "variant"]),
        ("variant.forget.kindd=x", ["variant.forget.kindd", "did you mean variant.forget.kind"]),
        ("train.steps=abc", ["train.steps", "abc", "Integer"]),
        ("train.steps=-1", ["train.steps=-1", "0 or more"]),
        ("train.lr=nan", ["train.lr=nan", "finite"]),
        ("train.lr=0", ["train.lr=0", "above 0"]),
        ("train.optimizer=adamm", ["train.optimizer=adamm", "adam, rmsprop, sgd"]),
        ("train.momentum=.5", ["train.momentum=0.5", "sgd only"]),
        ("train.warmup=-1", ["train.warmup=-1", "0 to train.steps=1000"]),
        ("train.warmup=2000", ["train.warmup=2000", "0 to train.steps=1000"]),
        ("model.hidden_size=0", ["model.hidden_size=0", "1 or more"]),
        ("model.size=big", ["model.size=big", "hidden, parameters"]),
        ("model.dropout=1", ["model.dropout=1.0", "0 to below 1"]),
        ("model.dropout=-.1", ["model.dropout=-0.1", "0 to below 1"]),
        ("model.dropout=nan", ["model.dropout=nan", "0 to below 1"]),
        ("init.rule=magic", ["init.rule=magic", "chrono"]),
        ("init.max_lag=50", ["init.max_lag=50", "no meaning with init.rule=constant"]),
        ("task.length=1", ["task.length=1"]),
        ("task.length=abc", ["task.length=abc", "whole number"]),
        ("variant.forget.feeds=q", ["variant.forget.feeds=q", "xhb"]),
        ("variant.forget.value=3", ["variant.forget.value=3", "kind learned"]),
        ("engine=fast", ["engine=fast", "reference"]),
        ("device=tpu", ["device=tpu", "auto, cpu, cuda"]),
        ("record.wandb.mode=on", ["record.wandb.mode"]),
        ("train.lr=1,2", ["train.lr"]),
        ("seed=x", ["seed", "x", "Integer"]),
        ("seed=9223372036854775808", ["seed=9223372036854775808", "9223372036854775807"]),
        ("extensions=/no/such", ["extensions"]),
    ],
)
def test_a_mistake_is_refused_by_name(said: str, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        said_alone(said)
    for word in words:
        assert word in str(caught.value)


def test_a_combination_without_sense_is_not_applicable() -> None:
    with pytest.raises(NotApplicableError, match="forget gate"):
        job("variant=no_forget_gate", "init=chrono")


def test_no_config_names_code() -> None:
    for path in Path(CONF).rglob("*.yaml"):
        assert "_target_" not in path.read_text()
