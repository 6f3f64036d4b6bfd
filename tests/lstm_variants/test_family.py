"""Every variant computes its equation, and is what its file says: one list, every check."""

# ruff: noqa: E741 (I is the number of inputs)

import dataclasses
import itertools
import re
from unittest.mock import patch

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
    T,
    compute,
    fill,
    gates_of,
    inputs,
    layer_of,
    leaves,
    like_shaped,
    one_thread,  # noqa: F401
    oracle_of,
    said,
    state_arrays,
    state_of,
    swapped,
)
from oracle import NAMED, load, merge, parameter_count, shapes, slstm_plain
from torch import nn

from lstm_variants import CellSpec, GatedRNN
from lstm_variants.activations import ACTIVATIONS
from lstm_variants.equations import latex_line
from lstm_variants.gate import SYMBOLS
from lstm_variants.spec import flatten

every = pytest.mark.parametrize("name", VARIANTS)


def close(mine, expected, tolerance=1e-11, what=""):
    mine = mine.detach().numpy() if isinstance(mine, torch.Tensor) else mine
    np.testing.assert_allclose(mine, expected, rtol=tolerance, atol=tolerance, err_msg=what)


def same_bits(first, second):
    assert torch.equal(first, second), f"differ by up to {(first - second).abs().max():.1e}"


def same_state(first, second):
    assert first._fields == second._fields
    for mine, other in zip(first, second, strict=True):
        same_bits(mine, other)


# ---- the list -----------------------------------------------------------------------------------------------------


def test_every_file_has_an_oracle():
    assert sorted(NAMED) == VARIANTS


def test_labels_and_aliases_are_distinct():
    words = [said(name)["label"] for name in VARIANTS] + [alias for name in VARIANTS for alias in said(name)["aliases"]]
    assert len({word.casefold() for word in words}) >= len(words) - 1  # the label LSTM and its file are one name


@every
def test_a_file_says_the_change_and_nothing_else(name):
    content = said(name)
    assert all(isinstance(content[key], str) and content[key] for key in ("label", "cite"))
    if name != "lstm":
        knobs = {key: value for key, value in content.items() if key not in ("label", "cite", "aliases")}
        neutral = flatten(CellSpec.from_config().to_config())
        for key, value in flatten(knobs).items():
            assert value != neutral[key] or key in ("reset.kind", "refine.kind"), f"{key} is {value} in lstm.yaml too"
        assert flatten(knobs).items() >= SPECS[name].difference().items()


def test_no_two_variants_are_one():
    assert len(set(SPECS.values())) == len(VARIANTS)


# ---- the equation -------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("given", [False, True])
def test_equals_its_oracle(name, given):
    layer, x = layer_of(name), inputs()
    state = state_of(layer) if given else None
    y, last, trace = layer.trace(x, state)
    expected = oracle_of(name)(gates_of(layer), x.numpy(), state_arrays(state) if given else None)
    close(y, expected[0])
    assert last._asdict().keys() == expected[1].keys()
    for key, value in state_arrays(last).items():
        close(value, expected[1][key], what=key)
    assert trace.keys() == expected[2].keys() - {"n", "m"}
    for slot, value in trace.items():
        close(value, expected[2][slot], what=slot)


@every
def test_exchanged_gates_would_be_noticed(name):
    """What the comparison with the oracle is worth: any two gates of one shape, exchanged, change the output."""
    layer, x = layer_of(name), inputs()
    gates, y = gates_of(layer), layer(x)[0].detach().numpy()
    for pair in like_shaped(gates):
        assert np.abs(oracle_of(name)(swapped(gates, *pair), x.numpy())[0] - y).max() > 1e-3, pair


@every
@pytest.mark.parametrize("I", [I, H])
def test_the_printed_equations_are_the_computed_ones(name, I):
    layer, x = layer_of(name, I=I), inputs(T, B, I)
    state = state_of(layer)
    trace = layer.trace(x, state)[2]
    printed = compute(layer.cell.equations(), gates_of(layer), x.numpy(), state_arrays(state))
    assert trace.keys() <= printed.keys()
    for slot, value in trace.items():
        close(value, printed[slot], what=slot)


def from_latex(latex: str) -> str:
    """The text form of a LaTeX equation, without products, parentheses and spaces."""
    latex = latex.replace(r"\left", "").replace(r"\right", "").replace(r"\odot", "").replace(r"\_", "_")
    latex = re.sub(r"\\operatorname\{(\w+)\}", r"\1", latex)
    latex = re.sub(r"_\{t-1\}", "'", re.sub(r"_t\b", "", latex))
    latex = re.sub(r"\\tilde (\w)", r"\1~", latex)
    latex = (
        latex.replace(r"2\sigma", "double_sigmoid").replace(r"\sigma", "sigmoid").replace("clip(", "clipped_linear(")
    )
    return bare(re.sub(r"[{}\\]", "", latex))


def bare(text: str) -> str:
    return re.sub(r"[ *()]", "", text)


@every
def test_latex_says_what_the_text_says(name):
    for equation in layer_of(name).cell.equations():
        assert from_latex(latex_line(equation)) == bare(f"{equation.symbol}={equation.text}")


def test_a_remark_names_what_the_formula_cannot_say():
    assert "b_f frozen" in str(layer_of("fixed_forget_bias").cell.equations()[1])
    assert "one value for all units" in str(layer_of("scalar_forget").cell.equations()[1])


# ---- parameters ---------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("I", [3, 5])
def test_parameter_count(name, I):
    layer = layer_of(name, I=I, H=5)
    count = sum(parameter.numel() for parameter in layer.parameters())
    assert count == layer.cell.parameter_count(I, 5) == parameter_count(name, I, 5)


@every
@pytest.mark.parametrize("I", [I, H])
def test_what_is_removed_is_absent(name, I):
    layer = layer_of(name, I=I)
    has = {path: array.shape for path, array in leaves(gates_of(layer)).items()}
    assert has == leaves(shapes(load(name), I, H))
    assert len(list(layer.parameters())) + len(list(layer.buffers())) == len(has) == len(layer.state_dict())


def test_a_frozen_bias_is_a_buffer_and_gets_no_gradient():
    layer = layer_of("fixed_forget_bias")
    assert [path for path, _ in layer.named_buffers()] == ["layers.0.forget.b"]
    assert not layer.gates()["forget"]["b"].requires_grad


def test_a_frozen_candidate_bias_is_frozen_in_both_its_halves():
    layer = layer_of(CellSpec.from_config(merge(load("gru"), {"candidate": {"bias": "frozen"}})))
    assert [path for path, _ in layer.named_buffers()] == ["layers.0.candidate.b", "layers.0.candidate.bh"]
    assert layer.cell.parameter_count(I, H) == parameter_count("gru", I, H) - 2 * H
    assert "b_z, b_hz frozen" in str(layer.cell.equations()[3])


@every
def test_every_parameter_has_an_effect(name):
    layer, x = layer_of(name), inputs()
    layer(x)[0].square().sum().backward()
    for path, parameter in layer.named_parameters():
        assert parameter.grad is not None, path
        assert torch.isfinite(parameter.grad).all(), path
        assert parameter.grad.abs().max() > 0, path


# ---- gradients ----------------------------------------------------------------------------------------------------

KINKS = {"relu": (0.0,), "hard_sigmoid": (-3.0, 3.0), "clipped_linear": (-2.0, 2.0), "binary": (0.0,)}


def away_from_kinks(name, x, scale=0.6):
    """A small layer none of whose pre-activations is near a point where its squashing has no slope."""
    activation = SPECS[name].forget.activation
    for seed in range(100):
        layer, seen = layer_of(name, H=2, seed=seed, scale=scale), []
        state = state_of(layer, x.shape[1], seed)
        if activation not in KINKS:
            return layer, state
        phi = ACTIVATIONS[activation].phi
        spy = dataclasses.replace(ACTIVATIONS[activation], phi=lambda a, s=seen, phi=phi: s.append(a) or phi(a))
        with patch.dict(ACTIVATIONS, {activation: spy}):
            layer(x, state)
        distances = [(torch.cat(seen) - kink).abs().min() for kink in KINKS[activation]]
        if min(distances) > 0.05:
            return layer, state
    raise AssertionError("no sample away from the kinks")


def as_function(layer, fields):
    """y and the final cell as a function of x, the state and the parameters, for gradcheck."""
    names = [path for path, _ in layer.named_parameters()]

    def run(x, *tensors):
        state, parameters = tensors[: len(fields)], tensors[len(fields) :]
        made = dict(zip(names, parameters, strict=True))
        y, last = torch.func.functional_call(layer, made, (x, state if fields else None))
        return y, last.c * torch.exp(last.m) if "m" in last._fields else last.c  # m is a scale

    return run


def arguments(layer, x, state):
    tensors = [x, *(state or ()), *layer.parameters()]
    return tuple(tensor.detach().clone().requires_grad_() for tensor in tensors)


SMOOTH = [name for name in VARIANTS if name != "forget_binary"]


@pytest.mark.parametrize(
    ("name", "given"),
    [(name, True) for name in SMOOTH] + [(name, False) for name in SMOOTH if layer_of(name).cell.state_fields],
)
def test_gradients_are_those_of_the_equation(name, given):
    x = inputs(3, 1, I)
    layer, state = away_from_kinks(name, x)
    state = state if given else None
    run = as_function(layer, state._fields if given else ())
    assert torch.autograd.gradcheck(run, arguments(layer, x, state), fast_mode=False)


class Surrogate:
    """[a > 0] + s(a) - s(a0), a0 being the pre-activations of the first run: its slope there is the stated one."""

    def __init__(self):
        self.base, self.calls = [], 0

    def __call__(self, a):
        if self.calls == len(self.base):
            self.base.append(a.detach())
        a0 = self.base[self.calls]
        self.calls += 1
        return (a0 > 0).to(a) + torch.sigmoid(a) - torch.sigmoid(a0)


def test_the_gradient_of_binary_is_the_one_of_its_surrogate():
    x = inputs(3, 1, I)
    layer, state = away_from_kinks("forget_binary", x)
    run, given = as_function(layer, state._fields), arguments(layer, x, state)
    mine = torch.autograd.grad(run(*given)[0].square().sum(), given)
    surrogate = Surrogate()

    def with_surrogate(*tensors):
        surrogate.calls = 0
        with patch.dict(ACTIVATIONS, {"binary": dataclasses.replace(ACTIVATIONS["binary"], phi=surrogate)}):
            return run(*tensors)

    expected = torch.autograd.grad(with_surrogate(*given)[0].square().sum(), given)
    for one, other in zip(mine, expected, strict=True):
        close(one, other.numpy())
    assert torch.autograd.gradcheck(with_surrogate, given)


# ---- unrolling, batching, stacking --------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("layers", [1, 2])
def test_whole_is_stepwise_is_two_chunks(name, layers):
    layer, x = layer_of(name, num_layers=layers), inputs()
    begin = state_of(layer)
    y, last = layer(x, begin)
    for cuts in (range(T + 1), (0, 2, T)):
        state, pieces = begin, []
        for start, stop in itertools.pairwise(cuts):
            piece, state = layer(x[start:stop], state)
            pieces.append(piece)
        close(torch.cat(pieces), y.detach().numpy(), 1e-13)
        for mine, other in zip(state, last, strict=True):
            close(mine, other.detach().numpy(), 1e-13)


@every
def test_state_shapes(name):
    layer = layer_of(name, num_layers=2)
    y, state = layer(inputs())
    assert y.shape == (T, B, H)
    assert state._fields[:2] == ("h", "c")
    assert all(field.shape == (2, B, H) for field in state)
    same_bits(state.h[-1], y[-1])
    if layer.cell.spec.hidden_is_cell or name in ("mut1", "mut2", "mut3"):
        same_bits(state.h, state.c)


@every
def test_a_pair_is_a_state(name):
    layer, x = layer_of(name, num_layers=2), inputs()
    zeros = torch.zeros(2, B, H, dtype=torch.float64)
    same_bits(layer(x, (zeros, zeros))[0], layer(x)[0])
    h, c = state_of(layer)[:2]
    assert (layer(x, (h, c))[0] - layer(x, (h, -c))[0]).abs().max() > 1e-6 or name == "elman"
    if SPECS[name].seen_gates:
        full = type(layer(x)[1])(h, c, *[zeros] * len(SPECS[name].seen_gates))
        same_bits(layer(x, (h, c))[0], layer(x, full)[0])


def test_the_pair_of_an_slstm_is_its_plain_equation():
    layer, x = layer_of("slstm"), inputs()
    h, c = state_of(layer)[:2]
    plain = slstm_plain(gates_of(layer), x.numpy(), {"h": h[0].numpy(), "c": c[0].numpy()})
    close(layer(x, (h, c))[0], plain[0])


@every
def test_batch_first(name):
    layer, x = layer_of(name, num_layers=2), inputs()
    other = layer_of(name, num_layers=2, batch_first=True)
    state = state_of(layer)
    y, last, trace = layer.trace(x, state, layer=1)
    y_other, last_other, trace_other = other.trace(x.transpose(0, 1), state, layer=1)
    same_bits(y_other, y.transpose(0, 1))
    same_state(last_other, last)
    for slot, value in trace.items():
        same_bits(trace_other[slot], value.transpose(0, 1))


@every
def test_layers_are_oracles_in_a_row(name):
    layer, x = layer_of(name, num_layers=3), inputs()
    state = state_of(layer)
    y, last = layer(x, state)
    expected = x.numpy()
    for number in range(3):
        expected, final, _ = oracle_of(name)(gates_of(layer, number), expected, state_arrays(state, number))
        for key, value in state_arrays(last, number).items():
            close(value, final[key], what=key)
    close(y, expected)


@every
def test_float32(name):
    layer, x = layer_of(name), inputs()
    expected = layer(x)[0].detach().numpy()
    y, state = layer.to(torch.float32)(x.float())
    assert {field.dtype for field in state} == {y.dtype} == {torch.float32}
    close(y, expected, 2e-5)
    fresh = GatedRNN(SPECS[name], I, H, engine="reference")
    assert {tensor.dtype for tensor in [*fresh.parameters(), *fresh.buffers()]} == {torch.float32}


@every
def test_state_dict_round_trip(name, tmp_path):
    layer, x = layer_of(name, num_layers=2), inputs()
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    other = layer_of(name, num_layers=2, seed=1)
    assert not torch.equal(layer(x)[0], other(x)[0])
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    same_bits(layer(x)[0], other(x)[0])


@every
def test_stacked_is_alone_bit_for_bit(name):
    stack = layer_of(name, num_layers=2, models=3)
    x = inputs(3, T, B, I)
    state = state_of(stack)
    y, last, trace = stack.trace(x, state, layer=1)
    y.square().sum().backward()
    for m in range(3):
        alone = layer_of(name, num_layers=2)
        alone.load_state_dict({path: tensor[m] for path, tensor in stack.state_dict().items()})
        own = type(state)(*(field[m] for field in state))
        y_alone, last_alone, trace_alone = alone.trace(x[m], own, layer=1)
        same_bits(y_alone, y[m])
        same_state(last_alone, type(last)(*(field[m] for field in last)))
        assert all(torch.equal(trace_alone[slot], value[m]) for slot, value in trace.items())
        y_alone.square().sum().backward()
        for (path, parameter), whole in zip(alone.named_parameters(), stack.parameters(), strict=True):
            assert torch.equal(parameter.grad, whole.grad[m]), path


@every
def test_past_its_end_a_sequence_holds(name):
    layer, x = layer_of(name, num_layers=2), inputs()
    lengths = torch.tensor([T, 2, 4])
    state = state_of(layer)
    y, last = layer(x, state, lengths)
    for b, length in enumerate(lengths):
        own = type(state)(*(field[:, b : b + 1] for field in state))
        y_own, last_own = layer(x[:length, b : b + 1], own)
        close(y[:length, b : b + 1], y_own.detach().numpy(), 1e-13)
        close(y[length - 1 :, b], y_own[-1].detach().expand(T + 1 - length, H).numpy(), 1e-13)
        for mine, other in zip(last, last_own, strict=True):
            close(mine[:, b : b + 1], other.detach().numpy(), 1e-13)


@every
def test_padding_changes_nothing(name):
    layer, x = layer_of(name, num_layers=2), inputs()
    lengths = torch.tensor([T, 2, 4])
    padding = torch.arange(T)[:, None] >= lengths
    results = []
    for value in (0.0, 7.0):
        padded = torch.where(padding.unsqueeze(-1), value, x).requires_grad_()
        y, _ = layer(padded, None, lengths)
        results.append((y, *torch.autograd.grad(y.square().sum(), [padded, *layer.parameters()])))
    for one, other in zip(*results, strict=True):
        same_bits(one, other)
    assert results[0][1][padding].abs().max() == 0


# ---- trace and clamp ----------------------------------------------------------------------------------------------


@every
def test_trace_is_what_the_forward_computes(name):
    layer, x = layer_of(name, num_layers=2), inputs()
    state = state_of(layer)
    y, last, trace = layer.trace(x, state, layer=1)
    same_bits(y, layer(x, state)[0])
    same_state(last, layer(x, state)[1])
    assert trace.keys() == {*layer.cell.slots, "cell", "hidden"}
    assert all(value.shape == (T, B, H) for value in trace.values())
    same_bits(trace["hidden"], y)
    same_bits(trace["cell"][-1], last.c[1])
    before = torch.cat([state.c[1:], trace["cell"][:-1]])
    close(trace["cell"], (trace["forget"] * before + trace["input"] * trace["candidate"]).detach().numpy(), 1e-13)


@every
@pytest.mark.parametrize("units", [None, [0, 2]])
def test_a_clamped_gate_has_its_value_and_the_rest_follows(name, units):
    layer, x = layer_of(name), inputs(3, B, I)
    state = state_of(layer)
    untouched = layer(x, state)[0]
    for slot in layer.cell.slots:
        with layer.clamp(slot, 0.3, units):
            y, _, trace = layer.trace(x, state)
            same_bits(layer(x, state)[0], y)

        def clamp(symbol, value, slot=slot):
            if symbol == SYMBOLS[slot]:
                value[slice(None) if units is None else units] = 0.3
            return value

        expected = compute(layer.cell.equations(), gates_of(layer), x.numpy(), state_arrays(state), clamp)
        for key, value in trace.items():
            close(value, expected[key], what=f"{key} with {slot} clamped")
        assert (y - untouched).abs().max() > 1e-6, slot
    same_bits(layer(x, state)[0], untouched)


def test_clamp_of_one_layer_of_a_stack_with_a_value_per_sequence():
    layer, x = layer_of("lstm", num_layers=2, models=2), inputs(2, T, B, I)
    value = torch.rand(B, 2, dtype=torch.float64)
    with layer.clamp("forget", value, units=[1, 3], layer=1):
        below, clamped = (layer.trace(x, layer=number)[2]["forget"] for number in (0, 1))
    same_bits(below, layer.trace(x)[2]["forget"])
    same_bits(clamped[..., [1, 3]], value.expand(2, T, B, 2))
    first = layer.trace(x, layer=1)[2]["forget"][:, 0]
    same_bits(clamped[:, 0, :, 0], first[..., 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer.clamp("reset", 0.0), "gate=reset: legal are input, forget, candidate, output"),
        (lambda layer: layer.clamp("forget", 0.0, layer=1), "layer=1: legal are 0 to 0"),
        (lambda layer: layer.clamp("forget", 0.0, units=[H]), "legal are 0 to 3"),
        (lambda layer: layer(inputs(T, B, I + 1)), "input_size 2 is needed"),
        (lambda layer: layer(inputs(T, I)), "shape"),
        (lambda layer: layer(inputs(0, B, I)), "at least one step"),
        (lambda layer: layer(inputs(), state_of(layer, B + 1)), "state.h: shape"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, message):
    layer = layer_of("lstm")
    with pytest.raises(ValueError, match=re.escape(message)), call(layer):
        pass


# ---- torch's own layers -------------------------------------------------------------------------------------------

TORCH = {
    "lstm": (nn.LSTM, ("input", "forget", "candidate", "output")),
    "gru": (nn.GRU, ("reset", "forget", "candidate")),
}


def torch_gradients(module, number, slots):
    """The gradients of one layer of a torch module, gate by gate."""
    wx, wh, bx, bh = (
        getattr(module, f"{part}_l{number}").grad.chunk(len(slots))
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    gradients = {slot: {"x": wx[k], "h": wh[k], "b": bx[k]} for k, slot in enumerate(slots)}
    if isinstance(module, nn.GRU):
        gradients["candidate"]["bh"] = bh[2]
    return gradients


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_in_outputs_and_all_gradients(name, layers):
    kind, slots = TORCH[name]
    theirs = kind(I, H, num_layers=layers, dtype=torch.float64)
    for seed, parameter in enumerate(theirs.parameters()):
        parameter.data = inputs(*parameter.shape, seed=seed)
    mine = layer_of(name, num_layers=layers).load_torch_(theirs)
    weight = inputs(T, B, H, seed=9)

    def run(module, pair):
        x = inputs().requires_grad_()
        begin = [field.clone().requires_grad_() for field in state_of(mine)[:2]]
        y, last = module(x, pair(begin))
        fields = last if isinstance(last, tuple) else (last,)
        loss = (y * weight).sum() + sum(
            (k + 1) * field.square().sum() for k, field in enumerate(fields[: len(theirs_fields)])
        )
        loss.backward()
        return y, fields, x.grad, begin

    theirs_fields = ("h", "c") if name == "lstm" else ("h",)
    give = (lambda s: (s[0], s[1])) if name == "lstm" else (lambda s: (s[0], s[0]))
    y, last, dx, begin = run(mine, give)
    y_t, last_t, dx_t, begin_t = run(theirs, give if name == "lstm" else (lambda s: s[0]))
    close(y, y_t.detach().numpy(), 1e-12)
    close(dx, dx_t.numpy(), 1e-12)
    for k in range(len(theirs_fields)):
        close(last[k], last_t[k].detach().numpy(), 1e-12)
        close(begin[k].grad, begin_t[k].grad.numpy(), 1e-12)
    for number in range(layers):
        expected = leaves(torch_gradients(theirs, number, slots))
        own = leaves(mine.gates(number))
        assert own.keys() == expected.keys()
        for path, tensor in own.items():
            close(tensor.grad, expected[path].numpy(), 1e-12, path)
    for first, second in like_shaped(gates_of(mine)):
        wrong = oracle_of(name)(swapped(gates_of(mine), first, second), inputs().numpy())[0]
        assert np.abs(wrong - oracle_of(name)(gates_of(mine), inputs().numpy())[0]).max() > 1e-2


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_of_torch_go_only_where_they_fit(name):
    lstm = nn.LSTM(I, H, dtype=torch.float64)
    complete = leaves(shapes(load("lstm"), I, H))
    layer = layer_of(name)
    if leaves(shapes(load(name), I, H)) == complete:
        layer.load_torch_(lstm)
    else:
        before = {path: tensor.clone() for path, tensor in layer.state_dict().items()}
        with pytest.raises(ValueError, match="load_torch_"):
            layer.load_torch_(lstm)
        assert all(torch.equal(tensor, before[path]) for path, tensor in layer.state_dict().items())


# ---- torchrecurrent -----------------------------------------------------------------------------------------------
# Its cells whose equations are one of ours. Left out, because its equation is another one: LSTM, GRU (torch's own are
# compared above); FastGRNN, LightRU, LiGRU, MinimalRNN, CFN, SGRN and the rest are no variant of this family.


def torchrecurrent_cells():
    """name: (cell, its gates in its order, those of them with a recurrent matrix)"""
    import torchrecurrent as tr

    return {
        "peephole": (tr.PeepholeLSTMCell, ("input", "forget", "candidate", "output"), None),
        "no_forget_gate": (tr.OriginalLSTMCell, ("input", "candidate", "output"), None),
        "no_content_recurrence_no_output": (tr.RANCell, ("candidate", "input", "forget"), ("input", "forget")),
        "gru_no_reset": (tr.UGRNNCell, ("candidate", "forget"), None),
        "mgu": (tr.MGUCell, ("input", "candidate"), None),
        "janet": (tr.JANETCell, ("forget", "candidate"), None),
        "mut1": (tr.MUT1Cell, ("input", "reset", "candidate"), ("reset", "candidate")),
        "mut2": (tr.MUT2Cell, ("input", "reset", "candidate"), None),
        "mut3": (tr.MUT3Cell, ("input", "reset", "candidate"), None),
    }


@torch.no_grad()
def load_into(cell, gates, order, recurrent, I):
    """Our weights in a cell of torchrecurrent; what reads x without a matrix gets E, or 1, as its matrix."""
    recurrent = recurrent or order
    E = gates.get("embedding", {}).get("x", torch.eye(H, dtype=torch.float64))
    projected = "embedding" in gates or I == H
    W = [gates[slot]["x"] @ E if projected and "x" in gates[slot] else gates[slot].get("x", E) for slot in order]
    cell.weight_ih.copy_(torch.cat(W))
    cell.weight_hh.copy_(torch.cat([gates[slot]["h"] for slot in recurrent]))
    for bias in (cell.bias_ih, cell.bias_hh):
        bias.zero_()
    biased = [slot for slot in recurrent if "b" in gates[slot]]
    cell.bias_hh.copy_(torch.cat([gates[slot]["b"] for slot in biased]))
    if recurrent == ("reset", "candidate"):  # MUT1's update gate has no recurrent half: its bias is the other one
        cell.bias_ih[:H] = gates["input"]["b"]
    if hasattr(cell, "weight_ph"):
        cell.weight_ph.copy_(torch.cat([gates[slot]["c"] for slot in ("input", "forget", "output")]))


@pytest.mark.parametrize("I", [I, H])
@pytest.mark.parametrize("name", torchrecurrent_cells())
def test_equals_torchrecurrent(name, I):
    kind, order, recurrent = torchrecurrent_cells()[name]
    layer, x = layer_of(name, I=I), inputs(T, B, I)
    cell = kind(I, H, dtype=torch.float64)
    load_into(cell, layer.gates(), order, recurrent, I)
    state = state_of(layer)
    single = name in ("gru_no_reset", "mgu", *OWN)  # their state is h alone
    given = type(state)(state.h, state.h) if single else state
    y, _ = layer(x, given)
    theirs = given.h[0] if single else (given.h[0], given.c[0])
    for t in range(T):
        theirs = cell(x[t], theirs)
        close(y[t], (theirs if single else theirs[0]).detach().numpy(), 1e-12)


# ---- noise --------------------------------------------------------------------------------------------------------


def keyed(*key):
    return np.random.Generator(np.random.Philox(key=list(key)))


def test_gumbel_is_deterministic_until_it_is_given_noise():
    layer, x = layer_of("forget_gumbel"), inputs()
    same_bits(layer(x)[0], layer(x)[0])
    quiet = layer(x)[0]
    layer.noise = keyed(1, 2)
    noisy = layer(x)[0]
    assert (noisy - quiet).abs().max() > 1e-3
    assert (layer(x)[0] - noisy).abs().max() > 1e-3, "the generator moves on"
    layer.noise = keyed(1, 2)
    same_bits(layer(x)[0], noisy)
    layer.noise = keyed(1, 3)
    assert (layer(x)[0] - noisy).abs().max() > 1e-3
    layer.noise = None
    same_bits(layer(x)[0], quiet)


def test_the_noise_is_logistic_and_inside_the_squashing():
    layer, x = layer_of("forget_gumbel"), inputs(1, B, I)
    quiet = layer.trace(x)[2]["forget"]
    layer.noise = keyed(1, 2)
    noisy = layer.trace(x)[2]["forget"]
    drawn = keyed(1, 2).logistic(size=(1, B, H))
    close(torch.logit(noisy), torch.logit(quiet).detach().numpy() + drawn)


def test_a_stack_draws_each_model_s_noise_from_its_own_generator():
    stack, x = layer_of("forget_gumbel", models=2, num_layers=2), inputs(2, T, B, I)
    stack.noise = [keyed(1, m) for m in range(2)]
    y = stack(x)[0]
    for m in range(2):
        alone = layer_of("forget_gumbel", num_layers=2)
        alone.load_state_dict({path: tensor[m] for path, tensor in stack.state_dict().items()})
        alone.noise = keyed(1, m)
        same_bits(alone(x[m])[0], y[m])
    stack.noise = keyed(1, 0)
    with pytest.raises(ValueError, match="noise: 2 generators are needed, got 1"):
        stack(x)


def test_the_noise_of_a_gate_of_one_value_is_one_noise():
    layer = layer_of(CellSpec.from_config(merge(load("forget_gumbel"), {"forget": {"block": "all"}})))
    layer.noise = keyed(1, 2)
    forget = layer.trace(inputs())[2]["forget"]
    same_bits(forget, forget[..., :1].expand(-1, -1, H))


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "forget_gumbel"])
def test_noise_is_for_noisy_squashings(name):
    layer, x = layer_of(name), inputs()
    assert not SPECS[name].noisy
    quiet = layer(x)[0]
    layer.noise = keyed(1, 2)
    same_bits(layer(x)[0], quiet)


# ---- exact facts --------------------------------------------------------------------------------------------------

BOUNDED = [
    name
    for name in GATED
    if "complement" in (SPECS[name].input.kind, SPECS[name].forget.kind)
    and not (SPECS[name].input.offset or SPECS[name].forget.offset)
] + ["minlstm", "mut1", "mut2", "mut3"]


@every
def test_the_cell_is_a_weighted_sum_of_candidates(name):
    """c_t = sum_j (i_j * prod_{k>j} f_k) * z_j, and prod_k f_k * c_0"""
    layer, x = layer_of(name), inputs()
    state = state_of(layer)
    trace = {slot: value.detach() for slot, value in layer.trace(x, state)[2].items()}
    f, write = trace["forget"], trace["input"] * trace["candidate"]
    for t in range(T):
        total = f[: t + 1].prod(0) * state.c[0]
        total = total + sum(write[j] * f[j + 1 : t + 1].prod(0) for j in range(t + 1))
        close(trace["cell"][t], total.numpy())


@every
def test_along_the_cell_the_gradient_is_the_product_of_forget_gates(name):
    """dc_T/dc_0 = prod f where every gate and candidate is held at its value."""
    layer, x = layer_of(name), inputs()
    state = state_of(layer)
    values = [{slot: v[t].detach() for slot, v in layer.trace(x, state)[2].items()} for t in range(T)]
    inside = {name: v.detach() for name, v in layer.cell.project(layer.gates(), x).items()}
    c = state.c[0].clone().requires_grad_()
    own = type(state)(*(field[0] for field in state))._replace(c=c)
    for t in range(T):
        held = values[t]
        now = {name: v[t] for name, v in inside.items()}
        own = layer.cell.step(layer.gates(), now, own, lambda slot, value, held=held: held[slot])
    (gradient,) = torch.autograd.grad(own.c.sum(), c)
    product = torch.stack([held["forget"] for held in values]).prod(0)
    close(gradient, product.numpy())


@pytest.mark.parametrize("name", BOUNDED)
def test_a_coupled_cell_is_bounded_by_its_candidates(name):
    layer = layer_of(name, scale=2.0)
    trace = layer.trace(inputs(40, B, I))[2]
    close(trace["input"] + trace["forget"], 1.0, 1e-14)
    assert trace["cell"].abs().max() <= trace["candidate"].abs().max()


def test_janet_is_bounded_within_a_factor_e():
    trace = layer_of("janet", scale=2.0).trace(inputs(40, B, I))[2]
    assert (trace["input"] <= np.e * (1 - trace["forget"]) + 1e-15).all()
    assert trace["cell"].abs().max() <= np.e * trace["candidate"].abs().max()


@torch.no_grad()
def test_a_cell_without_a_forget_gate_grows_linearly():
    layer = layer_of("no_forget_gate")
    for slot in ("input", "candidate"):
        layer.gates()[slot]["b"].fill_(40.0)
    close(layer.trace(inputs(50, B, I))[2]["cell"][-1], 50.0, 1e-9)


@pytest.mark.parametrize(("bias", "expected"), [(-800.0, lambda f: f**2), (800.0, lambda f: 1 - (1 - f) ** 2)])
@torch.no_grad()
def test_the_ends_of_the_refine_gate(bias, expected):
    layer, x = layer_of("refine_gate"), inputs(1, B, I)
    layer.gates()["refine"]["b"].fill_(bias)
    plain = layer_of("lstm")
    for slot, parts in plain.gates().items():
        for part, tensor in parts.items():
            if slot == "forget":
                tensor.copy_(layer.gates()[slot][part])
    f = plain.trace(x)[2]["forget"]
    close(layer.trace(x)[2]["forget"], expected(f).numpy(), 1e-12)


def test_the_three_forms_of_the_sigmoid():
    """s(a) = 1 - exp(-softplus(a)) = e^a / (1 + e^a)"""
    a = torch.linspace(-30, 30, 101, dtype=torch.float64)
    s = ACTIVATIONS["sigmoid"].phi(a)
    close(-torch.expm1(-nn.functional.softplus(a, threshold=100)), s.numpy(), 1e-13)
    close(a.exp() / (1 + a.exp()), s.numpy(), 1e-13)


def test_a_content_state_without_recurrence_is_linear():
    linear = {name for name in VARIANTS if SPECS[name].linear_recurrence}
    assert linear == {"no_hidden", "mingru", "minlstm"}
    for name in sorted(linear):
        layer, x = layer_of(name), inputs()
        begin = state_of(layer)
        cells = [
            layer.trace(x, begin._replace(h=h * begin.h, c=c * begin.c))[2]["cell"] for h, c in ((0, 0), (5, 1), (0, 2))
        ]
        close(cells[2] - cells[1], (cells[1] - cells[0]).detach().numpy())


def test_slstm_with_huge_gates_stays_finite_in_value_and_gradient():
    layer = layer_of("slstm")
    fill(layer, 0, 300.0)
    y, _ = layer(inputs(30, B, I))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


@pytest.mark.parametrize("activation", ["sigmoid", "exp"])
def test_both_forget_gates_of_slstm(activation):
    layer = layer_of(CellSpec.from_config(merge(load("slstm"), {"forget": {"activation": activation}})))
    x, state = inputs(), state_of(layer)
    expected = NAMED["slstm"](gates_of(layer), x.numpy(), state_arrays(state), {"forget_activation": activation})
    close(layer(x, state)[0], expected[0])
    printed = compute(layer.cell.equations(), gates_of(layer), x.numpy(), state_arrays(state))
    close(printed["hidden"], expected[0])
