"""Layer normalisation of the pre-activations and of the cell (Ba, Kiros & Hinton 2016): `layer_norm`."""

import numpy as np
import pytest
import torch
from family import (  # noqa: F401 (the fixture is in use)
    GATED,
    SPECS,
    B,
    H,
    I,
    T,
    compute,
    gates_of,
    inputs,
    layer_of,
    leaves,
    numpy_tree,
    one_thread,
    oracle_of,
    state_arrays,
    state_of,
)
from oracle import gated_shapes

from lstm_variants import CellSpec, GatedRNN, Init, SpecError, load, make_cell
from lstm_variants.catalogue.cards import card
from lstm_variants.catalogue.variant_names import describe
from lstm_variants.parameters import DEFAULT_INIT

CAN = [name for name in GATED if all(SPECS[name][slot].block != "all" for slot in SPECS[name].learned)]
EPSILON = 1e-5


def normalised(name: str) -> CellSpec:
    return load(name, "layer_norm=true")


def ln(z, gain, bias):
    """Equation 4 of the paper: gain / sigma * (z - mu) + bias, over the units of a layer."""
    mu = z.mean(axis=1, keepdims=True)
    sigma = np.sqrt(((z - mu) ** 2).mean(axis=1, keepdims=True) + EPSILON)
    return gain / sigma * (z - mu) + bias


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_the_lstm_is_that_of_the_paper():
    """Supplement, equations 20 to 22, a gate at a time. Our b is the sum of their b and the two biases of LN."""
    layer, x = layer_of(normalised("lstm")), inputs()
    w, state = gates_of(layer), state_arrays(state_of(layer))
    y = layer(x, state_of(layer))[0].detach().numpy()
    h, c = state["h"], state["c"]
    for t, x_t in enumerate(x.numpy()):
        a = {
            k: ln(h @ p["h"].T, p["gain_h"], 0) + ln(x_t @ p["x"].T, p["gain_x"], 0) + p["b"]
            for k, p in w.items()
            if k != "cell"
        }
        c = sigmoid(a["forget"]) * c + sigmoid(a["input"]) * np.tanh(a["candidate"])
        h = sigmoid(a["output"]) * np.tanh(ln(c, w["cell"]["gain"], w["cell"]["shift"]))
        np.testing.assert_allclose(y[t], h, rtol=0, atol=1e-12)


def test_the_gru_is_that_of_the_paper():
    """Supplement, equations 23 to 25: no normalisation of h, which is the cell. Our f is their 1 - z."""
    layer, x = layer_of(normalised("gru")), inputs()
    w, h = gates_of(layer), state_arrays(state_of(layer))["c"]
    y = layer(x, state_of(layer)._replace(h=state_of(layer).c))[0].detach().numpy()
    assert "cell" not in w
    for t, x_t in enumerate(x.numpy()):
        f, r = (
            sigmoid(ln(h @ p["h"].T, p["gain_h"], 0) + ln(x_t @ p["x"].T, p["gain_x"], p["b"]))
            for p in (w["forget"], w["reset"])
        )
        p = w["candidate"]
        z = np.tanh(ln(x_t @ p["x"].T, p["gain_x"], p["b"]) + r * ln(h @ p["h"].T, p["gain_h"], p["bh"]))
        h = f * h + (1 - f) * z
        np.testing.assert_allclose(y[t], h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CAN)
def test_every_variant_is_what_its_equations_say(name):
    layer, x = layer_of(normalised(name)), inputs()
    state = state_of(layer)
    y, last, trace = layer.trace(x, state)
    expected, final, _ = oracle_of(layer.spec)(gates_of(layer), x.numpy(), state_arrays(state))
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(last.c[0].detach().numpy(), final["c"], rtol=0, atol=1e-12)
    printed = compute(layer.cell.equations(), gates_of(layer), x.numpy(), state_arrays(state))
    for slot, value in trace.items():
        np.testing.assert_allclose(value.detach().numpy(), printed[slot], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CAN)
def test_shapes_and_the_number_of_parameters(name):
    spec = normalised(name)
    cell, shapes = make_cell(spec), gated_shapes(spec.to_config(), I, H)
    assert cell.shapes(I, H) == shapes
    gains = {path: shape for path, shape in leaves(shapes).items() if "gain" in path or "shift" in path}
    plain = make_cell(load(name))
    assert cell.parameter_count(I, H) == plain.parameter_count(I, H) + sum(map(np.prod, gains.values()))
    layer = GatedRNN(spec, I, H)
    assert sum(p.numel() for p in layer.parameters()) == cell.parameter_count(I, H)


def test_a_complete_lstm_has_two_gains_a_gate_and_gain_and_bias_of_the_cell():
    extra = make_cell(normalised("lstm")).parameter_count(8, 64) - make_cell(load("lstm")).parameter_count(8, 64)
    assert extra == 4 * 2 * 64 + 2 * 64


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_reset_before", "peephole", "refine_gate", "minlstm"])
def test_gradients(name):
    layer = layer_of(normalised(name), I=2, H=3)
    names = [n for n, _ in layer.named_parameters()]

    def run(x, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))[0]

    x = inputs(3, 2, 2).requires_grad_()
    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(run, (x, *weights))


def test_it_starts_as_a_normalisation_on_the_weights_of_the_plain_net():
    for init in (DEFAULT_INIT, Init.from_config({**vars(DEFAULT_INIT), "rule": "torch"})):
        plain, layer = (GatedRNN(spec, I, H) for spec in (load("lstm"), normalised("lstm")))
        for each in (plain, layer):
            each.reset_parameters(init, np.random.default_rng(0))
        started = leaves(numpy_tree(layer.gates()))
        for path, value in leaves(numpy_tree(plain.gates())).items():
            np.testing.assert_array_equal(started.pop(path), value)
        for path, value in started.items():
            np.testing.assert_array_equal(value, float("gain" in path))


def test_stacked_models_have_the_bits_they_have_alone():
    stack = GatedRNN(normalised("peephole"), I, H, models=3)
    x, lengths = torch.randn(3, T, B, I), torch.tensor([[2, 4, 3], [T, 1, 1], [3, 3, 3]])
    y, last = stack(x, None, lengths)
    for m in range(3):
        alone = GatedRNN(stack.spec, I, H, models=1)
        alone.load_state_dict({name: value[m : m + 1] for name, value in stack.state_dict().items()})
        steps = int(lengths[m].max())
        own, state = alone(x[m : m + 1, :steps], None, lengths[m : m + 1])
        assert torch.equal(own[0], y[m, :steps])
        assert torch.equal(state.c[0], last.c[m])


def test_the_reference_engine_computes_it():
    layer = GatedRNN(normalised("lstm"), I, H)
    assert (layer.engine, layer.engine_reason) == (
        "reference",
        "native cannot run here: native has no layer normalisation",
    )
    with pytest.raises(ValueError, match="engine=native cannot run here: native has no layer normalisation"):
        GatedRNN(normalised("lstm"), I, H, engine="native")


def test_the_card_prints_the_equations():
    text = card(describe(normalised("lstm")), I, H)
    assert "{+g_fx * LN(+}W_f x" in text or "g_fx * LN(W_f x) + g_fh * LN(U_f h') + b_f" in text
    assert "LN(a) = (a - mean(a)) / sqrt(var(a) + 1e-05), over the units" in text
    equations = {line.symbol: line.text for line in make_cell(normalised("lstm")).equations()}
    assert equations["f"] == "sigmoid(g_fx * LN(W_f x) + g_fh * LN(U_f h') + b_f)"
    assert equations["h"] == "o * tanh(g_c * LN(c) + b_c)"
    equations = {line.symbol: line.text for line in make_cell(normalised("no_output_activation")).equations()}
    assert equations["h"] == "o * (g_c * LN(c) + b_c)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["layer_norm=1"], "variant.layer_norm=1.*: legal are true, false"),
        (["layer_norm=maybe"], "variant.layer_norm=maybe: legal are true, false"),
        (["candidate.feeds=b", *(f"{slot}.kind=constant" for slot in ("input", "forget", "output"))], "nothing to"),
    ],
)
def test_what_makes_no_sense_is_refused(words, message):
    values = [f"{slot}.value=1" for slot in ("input", "forget", "output")] if len(words) > 1 else []
    switches = ["squash=identity", "layer_norm=true"] if values else []
    with pytest.raises(SpecError, match=message):
        load("lstm", *words, *values, *switches)


@pytest.mark.parametrize(
    ("variant", "size", "message"),
    [
        ("scalar_forget", 4, "variant.layer_norm=true: a single value less its mean is nothing, and forget.block=all"),
        ("lstm", 1, "variant.layer_norm=true: a single unit less its mean is nothing"),
    ],
)
def test_one_value_is_not_normalised(variant, size, message):
    with pytest.raises(SpecError, match=message):
        GatedRNN(normalised(variant), I, size)


def test_own_cells_say_that_they_do_not_read_it():
    with pytest.raises(SpecError, match=r"variant\.layer_norm=True: cell=slstm does not read this"):
        make_cell(load("slstm", "layer_norm=true"))
