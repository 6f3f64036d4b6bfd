"""A spec says one cell, in one way, or is refused by name; random legal specs compute what the oracle computes."""

import re

import numpy as np
import pytest
import torch
from family import (
    GATED,
    OWN,
    SPECS,
    VARIANTS,
    B,
    H,
    I,
    compute,
    gates_of,
    inputs,
    layer_of,
    leaves,
    legal_configs,
    legal_specs,
    one_thread,  # noqa: F401
    oracle_of,
    said,
    state_arrays,
    state_of,
    tame,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import shapes

from lstm_variants import CellSpec, SpecError, make_cell
from lstm_variants.extensions import registration
from lstm_variants.gate import FEEDS, complete_lstm
from lstm_variants.spec import flatten
from lstm_variants.spec_checks import READ_BY_KIND

random = settings(max_examples=25, deadline=None, derandomize=True)


def nested(*changes: str):
    """{"forget": {"kind": "complement"}} for "forget.kind=complement"."""
    config: dict = {}
    for change in changes:
        key, value = change.split("=")
        *slot, knob = key.split(".")
        value = {"true": True, "false": False}.get(value, value)
        value = float(value) if isinstance(value, str) and re.fullmatch(r"-?[\d.]+", value) else value
        (config.setdefault(slot[0], {}) if slot else config)[knob] = value
    return config


def refusal(*changes: str) -> str:
    with pytest.raises(SpecError) as error:
        make_cell(CellSpec.from_config(nested(*changes)))
    return str(error.value)


# ---- refused by name ----------------------------------------------------------------------------------------------

ILLEGAL = [
    # a complement of what is not learned
    (("input.kind=complement", "forget.kind=complement"), "variant.input.kind=complement: needs a learned forget gate"),
    (("forget.kind=complement", "input.kind=constant", "input.value=1"), "variant.forget.kind=complement: needs a"),
    (("forget.kind=constant", "forget.value=1", "input.kind=complement"), "variant.input.kind=complement: needs a"),
    (("output.kind=complement",), "variant.output.kind=complement: legal are learned, constant"),
    # knobs that the kind does not read
    (
        ("forget.kind=constant", "forget.value=1", "forget.peephole=true"),
        "variant.forget.peephole=True: has no meaning",
    ),
    (("forget.kind=constant", "forget.value=1", "forget.feeds=x"), "variant.forget.feeds=x: has no meaning for a gate"),
    (("forget.kind=constant", "forget.value=1", "forget.gates=true"), "variant.forget.gates=True: has no meaning"),
    (("input.kind=complement", "input.activation=tanh"), "variant.input.activation=tanh: has no meaning"),
    (("input.kind=complement", "input.bias=frozen"), "variant.input.bias=frozen: has no meaning"),
    (("forget.value=0.5",), "variant.forget.value=0.5: has no meaning for a gate of kind learned"),
    (("forget.offset=1",), "variant.forget.offset=1.0: has no meaning for a gate of kind learned"),
    (("forget.feeds=xh", "forget.bias=frozen"), "variant.forget.bias=frozen: has no meaning: no b in forget.feeds=xh"),
    (("reset.feeds=x",), "variant.reset.feeds=x: has no meaning for a gate of kind absent"),
    (("reset.kind=same", "reset.of=input", "reset.block=all"), "variant.reset.block=all: has no meaning"),
    (("refine.block=all",), "variant.refine.block=all: has no meaning for a gate of kind absent"),
    # values
    (("forget.kind=constant",), "variant.forget.value=None: a finite number is needed"),
    (("forget.feeds=",), "variant.forget.feeds=: legal are x, h, b, xh, xb, hb, xhb (a gate fed by nothing"),
    (("forget.feeds=xz",), "variant.forget.feeds=xz: legal are"),
    (("forget.feeds=xx",), "variant.forget.feeds=xx: legal are"),
    (("forget.activation=sigmoidal",), "variant.forget.activation=sigmoidal: legal are"),
    (("forget.activation=sigmod",), "sigmod: did you mean sigmoid"),
    (("forget.block=half",), "variant.forget.block=half: legal are a whole number of units, 1 or more, and all"),
    (("forget.block=1.5",), "variant.forget.block=1.5: legal are a whole number"),
    (("forget.block=true",), "variant.forget.block=True: legal are a whole number"),
    (("forget.shared=true",), "variant.forget.shared: unknown key"),
    (("candidate.block=2",), "variant.candidate.block: unknown key"),
    (("forget.bias=fixed",), "variant.forget.bias=fixed: legal are learned, frozen"),
    (("squash=tan",), "variant.squash=tan: legal are"),
    (("squash=gumbel",), "variant.squash=gumbel: legal are"),
    (("normalise=1",), "variant.normalise=1.0: legal are true, false"),
    (("reset.kind=learned", "reset.position=middle"), "variant.reset.position=middle: legal are before, after"),
    (("reset.kind=same", "reset.of=output"), "variant.reset.of=output: legal are input, forget"),
    (("reset.kind=same",), "variant.reset.of=None: legal are input, forget"),
    # unknown keys
    (("forgot.kind=constant",), "variant.forgot: unknown key; legal are"),
    (("forget.bais=frozen",), "variant.forget.bais: unknown key; legal are"),
    (("forget.bais=frozen",), "unknown key; did you mean bias"),
    (("candidate.peephole=true",), "variant.candidate.peephole: unknown key; legal are feeds, activation, bias"),
    # combinations
    (
        ("reset.kind=learned", "candidate.feeds=xb"),
        "variant.reset.kind=learned: resets nothing: no h in candidate.feeds",
    ),
    (
        ("reset.kind=same", "reset.of=forget", "forget.kind=complement"),
        "variant.reset.of=forget: needs a learned forget",
    ),
    (("refine.kind=learned", "forget.kind=complement"), "variant.refine.kind=learned: needs a learned forget gate"),
    (("refine.kind=learned", "normalise=true"), "variant.normalise=True: cannot go with refine.kind=learned"),
    (
        ("refine.kind=learned", "input.kind=complement", "input.offset=1"),
        "variant.input.offset=1.0: cannot go with refine",
    ),
    (("refine.kind=learned", "output.gates=true"), "variant.output.gates=True: cannot go with refine"),
    (("refine.kind=learned", "reset.kind=same", "reset.of=forget"), "variant.reset.kind=same: cannot go with refine"),
    (("normalise=true", "input.gates=true"), "variant.input.gates=True: cannot go with normalise"),
    (("normalise=true", "reset.kind=same", "reset.of=input"), "variant.reset.kind=same: cannot go with normalise"),
    (("normalise=true", "input.kind=complement"), "variant.normalise=True: needs a learned input gate"),
    (
        ("normalise=true", "forget.activation=exp"),
        "variant.normalise=True: needs a learned forget gate with activation",
    ),
    (
        ("forget.block=all", "forget.peephole=true"),
        "variant.forget.block=all: units with one value cannot go with peephole=true",
    ),
    (
        ("forget.block=all", "forget.gates=true"),
        "variant.forget.block=all: units with one value cannot go with gates=true",
    ),
    # cells of their own
    (("cell=slstn",), "variant.cell=slstn: legal are gated, mut1, mut2, mut3, slstm"),
    (("cell=_mut",), "variant.cell=_mut: legal are gated, mut1"),
    (("cell=../x",), "variant.cell=../x: the name of a file in lstm_variants/cells is needed"),
    (("cell=mut1", "forget.activation=tanh"), "variant.forget.activation=tanh: cell=mut1 does not read this"),
    (("cell=mut3", "forget.kind=constant", "forget.value=1"), "variant.forget.kind=constant: cell=mut3 does not read"),
    (("cell=slstm",), "variant.input.activation=sigmoid: legal with cell=slstm are exp"),
    (("cell=slstm", "input.activation=exp", "forget.activation=tanh"), "variant.forget.activation=tanh: legal with"),
    (
        ("cell=slstm", "input.activation=exp", "output.peephole=true"),
        "variant.output.peephole=True: cell=slstm does not",
    ),
]


@pytest.mark.parametrize(("changes", "message"), ILLEGAL, ids=[" ".join(changes) for changes, _ in ILLEGAL])
def test_an_illegal_spec_is_refused_by_name(changes, message):
    refused = refusal(*changes)
    assert message in refused or message in re.sub(r"did you mean [^?]*\? ", "", refused)


@pytest.mark.parametrize("config", [{"forget": "constant"}, {"forget": ["kind"]}])
def test_a_slot_is_a_mapping(config):
    with pytest.raises(SpecError, match=r"variant.forget=.*: a mapping with any of kind, value"):
        CellSpec.from_config(config)


@random
@given(config=legal_configs(), data=st.data())
def test_a_knob_that_the_kind_does_not_read_is_refused(config, data):
    """Whatever the spec: an unread knob, set to anything but its neutral value, is refused by its name."""
    neutral = complete_lstm()
    unread = [
        (slot, knob)
        for slot in config
        if isinstance(neutral[slot], dict) and "kind" in neutral[slot]
        for knob in neutral[slot]
        if knob not in READ_BY_KIND[config[slot]["kind"]] and knob in ("feeds", "activation", "peephole", "value")
    ]
    if not unread:
        return
    slot, knob = data.draw(st.sampled_from(unread))
    other = {"feeds": "x", "activation": "tanh", "peephole": True, "value": 0.5}[knob]
    with pytest.raises(SpecError, match=rf"variant\.{slot}\.{knob}={other}: has no meaning"):
        CellSpec.from_config({**config, slot: {**config[slot], knob: other}})


# ---- one cell, one spec -------------------------------------------------------------------------------------------

SAME = [
    ([], ["forget.kind=learned", "forget.feeds=xhb", "squash=tanh", "cell=gated"]),
    (["forget.feeds=xhb"], ["forget.feeds=bhx"]),
    (["forget.feeds=xb"], ["forget.feeds=bx"]),
    (["forget.kind=constant", "forget.value=1"], ["forget.kind=constant", "forget.value=1.0", "forget.feeds=xhb"]),
    (
        ["input.kind=complement"],
        ["input.kind=complement", "input.offset=0", "input.peephole=false", "input.bias=learned"],
    ),
    (["reset.kind=absent"], ["reset.position=after"]),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_are_one_spec(one, other):
    first, second = CellSpec.from_config(nested(*one)), CellSpec.from_config(nested(*other))
    assert first == second
    assert hash(first) == hash(second)
    assert first.to_config() == second.to_config()


def test_an_integer_is_its_number():
    first, second = (CellSpec.from_config({"forget": {"kind": "constant", "value": v}}) for v in (1, 1.0))
    assert first == second
    assert repr(first.to_config()) == repr(second.to_config())


def test_nothing_said_is_the_complete_lstm():
    assert CellSpec.from_config() == CellSpec.from_config({}) == SPECS["lstm"]
    assert SPECS["lstm"].difference() == {}


def test_words_about_a_variant_are_not_part_of_it():
    assert CellSpec.from_config({**said("gru"), "label": "another", "cite": "", "aliases": ["x"]}) == SPECS["gru"]


@pytest.mark.parametrize("name", VARIANTS)
def test_to_config_round_trip(name):
    spec = SPECS[name]
    config = spec.to_config()
    assert CellSpec.from_config(config) == spec
    assert flatten(config).keys() == flatten(complete_lstm()).keys()
    knobs = {key: value for key, value in said(name).items() if key not in ("label", "cite", "aliases")}
    assert spec.difference().items() <= flatten({**complete_lstm(), **knobs}).items()


def test_difference_between_two_variants():
    assert SPECS["gru"].difference(SPECS["gru_reset_before"]) == {"reset.position": "after"}


@pytest.mark.parametrize("name", VARIANTS)
def test_facts_that_follow_from_a_spec(name):
    layer = layer_of(name, H=4)
    hidden_is_cell = torch.equal(*layer(inputs())[1][:2])
    if name in GATED:
        assert SPECS[name].hidden_is_cell == hidden_is_cell
        assert SPECS[name].learned == tuple(layer.gates())
        assert SPECS[name].fed_by_hidden == tuple(slot for slot, parts in layer.gates().items() if "h" in parts)


def test_the_gate_that_keeps():
    assert SPECS["lstm"].keep == ("forget", 1.0)
    assert SPECS["mgu"].keep == ("input", -1.0)
    assert SPECS["no_forget_gate"].keep is None
    assert [layer_of(name).cell.keep for name in OWN] == [("input", -1.0)] * 3 + [("forget", 1.0)]


def test_specs_are_frozen():
    with pytest.raises(AttributeError):
        SPECS["lstm"].squash = "identity"


# ---- cells of a user ----------------------------------------------------------------------------------------------

OWN_FILE = '''
import torch
import torch.nn.functional as F

from lstm_variants.cell import Cell, State
from lstm_variants.equations import Equation


class OwnCell(Cell):
    """c = f c' + tanh(W_z x) with a constant f."""

    reads = {"forget.kind": ("constant",), "forget.value": ()}

    def shapes(self, input_size, hidden_size):
        return {"candidate": {"x": (hidden_size, input_size)}}

    def step(self, weights, inputs, state, tap):
        z = tap("candidate", torch.tanh(F.linear(inputs["x"], weights["candidate"]["x"])))
        c = self.spec.forget.value * state.c + z
        return State(c, c)

    def equations(self):
        return [Equation("c", f"{self.spec.forget.value} * c' + tanh(W_z x)", ""), Equation("h", "c", "")]
'''


@pytest.fixture
def extension(tmp_path):
    """A folder with a cell of the user's own."""
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "fading.py").write_text(OWN_FILE)
    registration.use([tmp_path])
    yield {"cell": "fading", "forget": {"kind": "constant", "value": 0.75}}
    registration.use([])


def test_a_user_s_cell_is_found_and_computes_its_equation(extension):
    layer, x = layer_of(CellSpec.from_config(extension), num_layers=2), inputs()
    state = state_of(layer)
    _, _, trace = layer.trace(x, state)
    printed = compute(layer.cell.equations(), gates_of(layer), x.numpy(), state_arrays(state))
    np.testing.assert_allclose(trace["cell"].detach(), printed["cell"], rtol=1e-12)
    assert layer.cell.parameter_count(I, H) == H * I


def test_a_user_s_cell_refuses_what_it_does_not_read(extension):
    with pytest.raises(SpecError, match=r"variant.forget.kind=learned: legal with cell=fading are constant"):
        make_cell(CellSpec.from_config({"cell": "fading"}))
    with pytest.raises(
        SpecError, match=r"variant.squash=relu: cell=fading does not read this; it reads forget.kind, for"
    ):
        make_cell(CellSpec.from_config({**extension, "squash": "relu"}))
    with pytest.raises(SpecError, match=r"legal are gated, fading, mut1"):
        make_cell(CellSpec.from_config({"cell": "fadin"}))


# ---- random specs -------------------------------------------------------------------------------------------------


@settings(random, max_examples=60)
@given(spec=legal_specs(), seed=st.integers(0, 2**16))
def test_a_random_spec_equals_the_oracle_and_its_printed_equations(spec, seed):
    layer, x = layer_of(spec, seed=seed, scale=0.3), inputs(4, B, I, seed=seed)
    state = state_of(layer, seed=seed)
    assume(tame(layer, x, state))
    gates, begin = gates_of(layer), state_arrays(state)
    y, last, trace = layer.trace(x, state)
    y_oracle, last_oracle, trace_oracle = oracle_of(spec)(gates, x.numpy(), begin)
    printed = compute(layer.cell.equations(), gates, x.numpy(), begin)
    np.testing.assert_allclose(y.detach(), y_oracle, rtol=1e-10, atol=1e-10)
    assert last._asdict().keys() == last_oracle.keys()
    for key, value in state_arrays(last).items():
        np.testing.assert_allclose(value, last_oracle[key], rtol=1e-10, atol=1e-10, err_msg=key)
    assert trace.keys() == trace_oracle.keys() <= printed.keys()
    for slot, value in trace.items():
        np.testing.assert_allclose(value.detach(), trace_oracle[slot], rtol=1e-10, atol=1e-10, err_msg=slot)
        np.testing.assert_allclose(value.detach(), printed[slot], rtol=1e-10, atol=1e-10, err_msg=slot)


@random
@given(spec=legal_specs())
def test_a_random_spec_has_the_parameters_of_its_feeds(spec):
    layer = layer_of(spec)
    assert {path: a.shape for path, a in leaves(gates_of(layer)).items()} == leaves(shapes(spec.to_config(), I, H))
    frozen = {path for path, _ in layer.named_buffers()}
    biases = {path for path in layer.state_dict() if path.endswith((".b", ".bh"))}
    assert frozen == {path for path in biases if spec[path.split(".")[2]].bias == "frozen"}
    assert sum(p.numel() for p in layer.parameters()) == layer.cell.parameter_count(I, H)


@random
@given(config=legal_configs())
def test_a_random_spec_survives_its_config(config):
    spec = CellSpec.from_config(config)
    assert CellSpec.from_config(spec.to_config()) == spec
    assert all(spec[slot].feeds in FEEDS for slot in ("input", "forget", "candidate", "output"))


@random
@given(spec=legal_specs(), seed=st.integers(0, 2**16))
def test_a_random_spec_runs_in_chunks_in_stacks_and_to_its_lengths(spec, seed):
    stack, x = layer_of(spec, seed=seed, scale=0.3, models=2), inputs(2, 4, B, I, seed=seed)
    state = state_of(stack)
    assume(tame(stack, x, state))
    y, last = stack(x, state)
    head, between = stack(x[:, :2], state)
    tail, end = stack(x[:, 2:], between)
    np.testing.assert_allclose(torch.cat([head, tail], 1).detach(), y.detach(), rtol=1e-12, atol=1e-12)
    for mine, other in zip(end, last, strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=1e-12, atol=1e-12)
    alone = layer_of(spec)
    alone.load_state_dict({path: tensor[1] for path, tensor in stack.state_dict().items()})
    assert torch.equal(alone(x[1], type(state)(*(field[1] for field in state)))[0], y[1])
    held, _ = stack(x, state, torch.tensor([4, 2, 4]))
    np.testing.assert_allclose(held[:, 2:, 1].detach(), y[:, 1:2, 1].expand(2, 2, H).detach(), rtol=1e-12, atol=1e-12)
