"""Neighbouring units that share one value of a gate: `block`."""

# ruff: noqa: E741 (I is the number of inputs)

import numpy as np
import pytest
import torch
from family import SPECS, inputs, layer_of, one_thread  # noqa: F401 (the fixture is in use)

from lstm_variants import CellSpec, GatedRNN, Init, SpecError, make_cell
from lstm_variants.gate import SLOTS

I, H = 3, 12
BLOCKS = [2, 3, 4, 6, 12, "all"]
GATES = {  # every place that a gate's value enters
    "forget": {"forget": {}},
    "all gates": {"input": {}, "forget": {}, "output": {}},
    "coupled": {"input": {}, "forget": {"kind": "complement"}},
    "offset": {"input": {"kind": "complement", "offset": 1.0}, "forget": {}},
    "normalised": {"input": {}, "forget": {}, "normalise": True},
    "refined": {"forget": {}, "refine": {"kind": "learned"}},
    "reset after": {"reset": {"kind": "learned"}},
    "reset before": {"reset": {"kind": "learned", "position": "before"}},
    "tied reset": {"forget": {}, "reset": {"kind": "same", "of": "forget"}},
    "binary": {"forget": {"activation": "binary"}},
    "without h": {"forget": {"feeds": "xb"}},
    "a bias only": {"forget": {"feeds": "b"}},
}


def with_blocks(gates, block):
    """A spec all of whose learned gates have these blocks."""
    grouped = {
        key: {**knobs, "block": block} if key in SLOTS and knobs.get("kind", "learned") == "learned" else knobs
        for key, knobs in gates.items()
    }
    return CellSpec.from_config(grouped)


@torch.no_grad()
def repeated(layer):
    """The layer with a gate for each unit: every row of a block is the block's row."""
    plain = CellSpec.from_config(
        {
            slot: {**knobs, "block": 1} if "block" in knobs else knobs
            for slot, knobs in layer.spec.to_config().items()
            if slot in SLOTS
        }
        | {"normalise": layer.spec.normalise}
    )
    other = GatedRNN(plain, I, H, engine="reference", dtype=torch.float64)
    for name, value in layer.state_dict().items():
        own = other.state_dict()[name]
        own.copy_(value.repeat_interleave(len(own) // len(value), dim=0))
    return other


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("gates", GATES.values(), ids=GATES)
def test_a_block_is_units_with_equal_rows(gates, block):
    layer = layer_of(with_blocks(gates, block), I=I, H=H)
    other, x = repeated(layer), inputs(5, 2, I)
    y, expected = layer(x)[0], other(x)[0]
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    y.square().sum().backward()
    expected.square().sum().backward()
    theirs = dict(other.named_parameters())
    for name, parameter in layer.named_parameters():
        summed = theirs[name].grad.unflatten(0, (len(parameter), -1)).sum(1)
        torch.testing.assert_close(parameter.grad, summed, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("gates", GATES.values(), ids=GATES)
def test_the_native_engine_has_the_same_blocks(gates, block):
    spec = with_blocks(gates, block)
    exact = layer_of(spec, I=I, H=H, models=2)
    native = GatedRNN(spec, I, H, models=2, engine="native")
    native.load_state_dict({name: value.float() for name, value in exact.state_dict().items()})
    x = inputs(2, 5, 3, I)
    for layer, seen in ((exact, x), (native, x.float())):
        layer(seen)[0].square().sum().backward()
    with torch.no_grad():
        close(native(x.float())[0], exact(x)[0])
    for (name, mine), theirs in zip(native.named_parameters(), exact.parameters(), strict=True):
        close(mine.grad, theirs.grad, name)
    for _ in range(2):  # by hand too, and after the weights have changed where they lie
        y, _, backward = native.forward_and_backward(x.float())
        for by_hand, parameter in zip(backward(2 * y.detach()), native.parameters(), strict=True):
            assert torch.equal(by_hand, parameter.grad)
        with torch.no_grad():
            for parameter in native.parameters():
                parameter.mul_(0.5).grad = None
        native(x.float())[0].square().sum().backward()


def close(mine, theirs, name=None):
    torch.testing.assert_close(mine.double(), theirs, rtol=2e-4, atol=2e-4, msg=name)


def test_a_stack_of_nets_with_blocks_has_the_bits_of_each_alone():
    spec, x = with_blocks(GATES["all gates"], 3), torch.randn(3, 6, 4, I)
    stack = GatedRNN(spec, I, H, models=3, engine="native")
    stack(x)[0].square().sum().backward()
    for m in range(3):
        alone = GatedRNN(spec, I, H, models=1, engine="native")
        alone.load_state_dict({name: value[m : m + 1] for name, value in stack.state_dict().items()})
        alone(x[m : m + 1])[0].square().sum().backward()
        for mine, theirs in zip(alone.parameters(), stack.parameters(), strict=True):
            assert torch.equal(mine.grad[0], theirs.grad[m])


def test_one_unit_a_block_is_the_complete_lstm_and_one_for_all_the_scalar_gate():
    assert CellSpec.from_config({"forget": {"block": 1}}) == SPECS["lstm"]
    assert CellSpec.from_config({"forget": {"block": "all"}}) == SPECS["scalar_forget"]


@pytest.mark.parametrize(("block", "rows"), [(1, 12), (2, 6), (3, 4), (4, 3), (6, 2), (12, 1), ("all", 1)])
def test_a_block_has_one_row_of_weights(block, rows):
    cell = make_cell(CellSpec.from_config({"forget": {"block": block}}))
    assert cell.shapes(I, H)["forget"] == {"x": (rows, I), "h": (rows, H), "b": (rows,)}
    assert cell.parameter_count(I, H) == (3 * H + rows) * (I + H + 1)


@pytest.mark.parametrize("value", [0, -2, 1.5, 2.0, True, "2", "half", None])
def test_a_block_is_a_whole_number_of_units_or_all(value):
    with pytest.raises(SpecError, match=rf"variant.forget.block={value}: legal are a whole number of units.*, and all"):
        CellSpec.from_config({"forget": {"block": value}})


def test_units_that_a_block_does_not_divide_are_refused():
    spec = CellSpec.from_config({"input": {"block": 4}, "forget": {"block": 5}})
    with pytest.raises(SpecError, match=r"\Avariant.forget.block=5: divides no 12 units \(model.hidden_size\)\Z"):
        GatedRNN(spec, I, H)
    assert spec.unit_step == 20
    GatedRNN(spec, I, 20)


def test_a_noisy_gate_draws_one_noise_for_a_block():
    layer = layer_of(CellSpec.from_config({"forget": {"activation": "gumbel", "block": 3}}), I=I, H=H)
    layer.noise = np.random.default_rng(0)
    forget = layer.trace(inputs(4, 2, I))[2]["forget"].unflatten(-1, (4, 3))
    assert torch.equal(forget, forget[..., :1].expand_as(forget))
    assert len(forget[0, 0, :, 0].unique()) == 4


def test_the_bias_of_a_block_starts_as_one_and_that_of_other_blocks_at_its_mean():
    spec = CellSpec.from_config({"input": {"block": 6}, "forget": {"block": 2}})
    layer = GatedRNN(spec, I, H, dtype=torch.float64, engine="reference")
    chrono = Init(rule="chrono", value=1.0, max_lag=50, recurrent="uniform", needs_gate=True)
    layer.reset_parameters(chrono, np.random.default_rng(0))
    forget, put_in = (layer.gates()[slot]["b"].detach() for slot in ("forget", "input"))
    assert len(forget.unique()) == 6
    torch.testing.assert_close(put_in, -forget.reshape(2, 3).mean(1))


@pytest.mark.parametrize(
    ("block", "remark"), [(1, ""), (3, "one value for 3 neighbouring units"), ("all", "one value for all units")]
)
def test_the_printed_gate_says_its_block(block, remark):
    (line,) = [e for e in make_cell(CellSpec.from_config({"forget": {"block": block}})).equations() if e.symbol == "f"]
    assert line.remark == remark
    assert line.text == "sigmoid(W_f x + U_f h' + b_f)"
