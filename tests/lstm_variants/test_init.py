"""Every init scheme sets what it says on every variant that has the gate, and is refused on the others."""

import numpy as np
import pytest
import torch
from family import INITS, SPECS, VARIANTS, B, H, I, gates_of, init_of, layer_of, leaves, one_thread  # noqa: F401
from oracle import ACTIVATIONS, load, merge
from scipy import stats

from lstm_variants import CellSpec, GatedRNN, SpecError
from lstm_variants.parameters import DEFAULT_INIT

# What conf/variant has without a learned bias on the gate that decides what is kept.
NO_GATE = {"no_forget_gate", "constant_forget", "elman", "gates_none", "slim2", "gates_x", "gates_xh"}
INPUT_KEEPS = {"coupled_gates", "mgu", "mingru", "mut1", "mut2", "mut3"}  # f = 1 - i: b_i = -b
ALSO_INPUT = {  # chrono's b_i = -b_f: variants with both gates learned and biased
    *("lstm", "peephole", "no_output_gate", "no_input_activation", "no_output_activation", "full_gate_recurrence"),
    *("fixed_forget_bias", "learned_decay", "scalar_forget", "slim1", "slim3", "gates_xb", "minlstm", "slstm"),
    *("no_content_recurrence", "no_content_recurrence_no_output", "no_hidden"),
    *(name for name in VARIANTS if name.startswith("forget_")),
}
STARTS = {  # the table of starting values: all keep .731
    "sigmoid": 1.0,
    "gumbel": 1.0,
    "hard_sigmoid": 1.386,
    "clipped_linear": 0.924,
    "elliott": 0.859,
    "tanh": 0.931,
    "relu": 0.731,
    "identity": 0.731,
    "exp": -0.313,
    "double_sigmoid": -0.551,
    "binary": 1.0,
}
MAX_LAG = 500


def scheme(name, **changes):
    return init_of(name, **{"max_lag": MAX_LAG} | changes if name == "chrono" else changes)


def keeper(name):
    """The slot of the gate that keeps, and the sign of its bias."""
    return ("input", -1) if name in INPUT_KEEPS else ("forget", 1)


def started(name, init, seed=0, H=8, **options):
    layer = layer_of(name, H=H, **options)
    layer.reset_parameters(init, np.random.default_rng(seed))
    return layer


def arrays(layer):
    return {
        path: array for number in range(layer.num_layers) for path, array in leaves(gates_of(layer, number)).items()
    }


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_scheme_applies_or_is_refused(name, init):
    layer = layer_of(name, H=8)
    before = {path: tensor.clone() for path, tensor in layer.state_dict().items()}
    one = scheme(init)
    assert one.needs_gate or init in ("default", "orthogonal", "torch")
    if one.needs_gate and name in NO_GATE:
        assert "none to set" in one.not_applicable(layer.cell, 8)
        with pytest.raises(ValueError, match="sets the bias of a forget gate and this variant has none"):
            layer.reset_parameters(one, np.random.default_rng(0))
        assert all(torch.equal(tensor, before[path]) for path, tensor in layer.state_dict().items())
    else:
        assert one.not_applicable(layer.cell, 8) is None
        layer.reset_parameters(one, np.random.default_rng(0))
        assert all(torch.isfinite(tensor).all() for tensor in layer.state_dict().values())
        assert not any(torch.equal(tensor, before[path]) for path, tensor in layer.state_dict().items())


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_init_torch_is_the_distribution_of_torch(name):
    """Of every part: the support, the moments, and the whole distribution, from 40 layers each."""
    ours, theirs = {}, {}
    copy = layer_of(name, I=3, H=16)
    for seed in range(40):
        torch.manual_seed(seed)
        copy.load_torch_({"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name](3, 16))
        for found, layer in ((theirs, copy), (ours, started(name, scheme("torch"), seed=seed, H=16, I=3))):
            for path, array in arrays(layer).items():
                found.setdefault(path, []).append(array.copy())
    for path, drawn in ours.items():
        mine, other = np.ravel(drawn), np.ravel(theirs[path])
        draws = 2 if path.endswith(".b") and (name, path) != ("gru", "candidate.b") else 1
        assert 0.8 * draws / 4 < np.abs(mine).max() <= draws / 4
        assert abs(mine.mean()) < 5 * mine.std() / len(mine) ** 0.5
        assert mine.var() == pytest.approx(draws / 48, rel=0.2)
        assert stats.ks_2samp(mine, other).pvalue > 1e-4, path


@pytest.mark.parametrize("name", VARIANTS)
def test_init_torch_draws_all_that_a_variant_has(name):
    first, again, other = (arrays(started(name, scheme("torch"), seed=seed)) for seed in (0, 0, 1))
    for path, array in first.items():
        assert np.unique(array).size == array.size, path
        assert (array == again[path]).all()
        assert not np.isin(array, other[path]).any(), path
    assert scheme("torch").notes(layer_of(name).cell) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_default_weights_are_uniform_and_other_biases_zero(name):
    layer = started(name, scheme("default"), H=12)
    slot, _ = keeper(name)
    weights = []
    for path, array in arrays(layer).items():
        part = path.split(".")[1]
        if part in ("x", "h", "c"):
            weights.append(array.ravel())
        elif path == f"{slot}.b":
            assert (array == array[0]).all()
            assert array[0] != 0
        elif path != "refine.b":
            assert not array.any(), path
    values = np.concatenate(weights)
    assert stats.kstest(values, stats.uniform(-(12**-0.5), 2 * 12**-0.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NO_GATE))
def test_all_start_by_keeping_the_same_share(name):
    slot, sign = keeper(name)
    activation = SPECS[name][slot].activation
    bias = arrays(started(name, scheme("default")))[f"{slot}.b"]
    np.testing.assert_allclose(bias, sign * STARTS[activation], atol=5e-4)
    kept = ACTIVATIONS[activation](bias)
    expected = 1.0 if activation == "binary" else 0.731
    np.testing.assert_allclose(kept if sign == 1 else 1 - kept, expected, atol=5e-4)


CHANGED_AFTER = {"refine_gate", "minlstm", "slstm"}  # refined, normalised or stabilised after the squashing


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NO_GATE - CHANGED_AFTER))
def test_the_first_forget_value_is_the_same_everywhere(name):
    trace = started(name, scheme("default")).trace(torch.zeros(1, B, I, dtype=torch.float64))[2]
    expected = 1.0 if name == "forget_binary" else 0.731
    np.testing.assert_allclose(trace["forget"].detach(), expected, atol=5e-4)


@pytest.mark.parametrize("value", [0.0, 2.0, 5.0])
@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NO_GATE))
def test_forget_bias_is_a_number_and_zero_bias_is_its_zero(name, value):
    slot, sign = keeper(name)
    layer = started(name, scheme("forget_bias", value=value))
    bias = arrays(layer)[f"{slot}.b"]
    kept = ACTIVATIONS[SPECS[name][slot].activation](bias)
    binary = name == "forget_binary"
    np.testing.assert_allclose(bias if binary else kept, value if binary else ACTIVATIONS["sigmoid"](sign * value))
    if value == 0.0:
        zero = arrays(started(name, scheme("zero_bias")))
        assert all(np.array_equal(array, zero[path]) for path, array in arrays(layer).items())


def pooled(name, init, path, H=16, seeds=60):
    return np.concatenate([arrays(started(name, init, seed, H))[path] for seed in range(seeds)])


@pytest.mark.parametrize("name", ["lstm", "coupled_gates", "fixed_forget_bias", "slim3", "mut1", "gru", "mgu", "janet"])
def test_chrono_s_time_constants_are_uniform(name):
    """1 + e^b ~ U[2, T_max]"""
    slot, sign = keeper(name)
    constants = 1 + np.exp(sign * pooled(name, scheme("chrono"), f"{slot}.b"))
    assert constants.min() >= 2
    assert constants.max() <= MAX_LAG
    assert stats.kstest(constants, stats.uniform(2, MAX_LAG - 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["lstm", "coupled_gates", "refine_gate", "mingru"])
def test_uniform_gate_is_uniform(name):
    """s(b) ~ U[1/H, 1 - 1/H]"""
    slot, sign = keeper(name)
    kept = ACTIVATIONS["sigmoid"](sign * pooled(name, scheme("uniform_gate"), f"{slot}.b"))
    assert kept.min() >= 1 / 16
    assert kept.max() <= 15 / 16
    assert stats.kstest(kept, stats.uniform(1 / 16, 14 / 16).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NO_GATE))
def test_chrono_and_uniform_gate_keep_alike_whatever_the_squashing(name):
    """The draws of one seed keep the same share under every squashing."""
    slot, sign = keeper(name)
    for init in ("chrono", "uniform_gate"):
        bias = arrays(started(name, scheme(init)))[f"{slot}.b"]
        assert len(set(bias)) == bias.size, "one draw per unit"
        kept = ACTIVATIONS[SPECS[name][slot].activation](bias)
        kept = ACTIVATIONS["sigmoid"](bias) if name == "forget_binary" else kept if sign == 1 else 1 - kept
        low = 0.5 if init == "chrono" else 1 / 8
        assert (kept >= low).all()
        assert (kept < 1).all()


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NO_GATE))
def test_chrono_sets_the_input_gate_too(name):
    tensors = arrays(started(name, scheme("chrono")))
    if name in ALSO_INPUT:
        b_i, b_f = tensors["input.b"], tensors["forget.b"]
        kept, written = (ACTIVATIONS[SPECS[name][s].activation](tensors[f"{s}.b"]) for s in ("forget", "input"))
        if SPECS[name].forget.activation == "sigmoid" and name != "slstm":
            np.testing.assert_array_equal(b_i, np.broadcast_to(-b_f, b_i.shape))
        if name != "forget_binary":
            np.testing.assert_allclose(written, np.broadcast_to(1 - kept, written.shape))
    else:
        assert "input.b" not in tensors or keeper(name)[0] == "input"
    for init in ("default", "forget_bias", "uniform_gate"):
        own = arrays(started(name, scheme(init)))
        assert "input.b" not in own or keeper(name)[0] == "input" or not own["input.b"].any()


@pytest.mark.parametrize("init", sorted({*INITS} - {"torch"}))
def test_the_refine_gate_starts_at_minus_b_f(init):
    tensors = arrays(started("refine_gate", scheme(init)))
    np.testing.assert_array_equal(tensors["refine.b"], -tensors["forget.b"])


@pytest.mark.parametrize("init", INITS)
def test_frozen_biases_are_set_too(init):
    frozen, learned = (arrays(started(name, scheme(init))) for name in ("fixed_forget_bias", "lstm"))
    assert all(np.array_equal(array, learned[path]) for path, array in frozen.items())


@pytest.mark.parametrize("name", VARIANTS)
def test_orthogonal_matrices_are_orthogonal(name):
    orthogonal, default = (arrays(started(name, scheme(init))) for init in ("orthogonal", "default"))
    recurrent = [array for path, array in orthogonal.items() if path.endswith(".h") and array.shape[0] == 8]
    for matrix in recurrent:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-12)
    assert len({matrix.tobytes() for matrix in recurrent}) == len(recurrent)
    for path, array in orthogonal.items():
        if path.endswith(".b"):
            np.testing.assert_array_equal(array, default[path])
        elif not (path.endswith(".h") and array.shape[0] == 8):
            assert np.abs(array).max() <= 8**-0.5


def test_orthogonal_matrices_are_drawn_evenly():
    """Haar: the determinant is as often 1 as -1, and at H = 4 an entry has the semicircle's density."""
    matrices = [arrays(started("elman", scheme("orthogonal"), seed, H=4))["candidate.h"] for seed in range(300)]
    assert stats.binomtest(int(sum(np.linalg.det(m) > 0 for m in matrices)), 300).pvalue > 1e-3
    assert stats.kstest([m[0, 0] for m in matrices], stats.semicircular.cdf).pvalue > 1e-3


def test_the_constructor_starts_at_default():
    assert init_of("default") == DEFAULT_INIT
    for name in VARIANTS:
        torch.manual_seed(3)
        first = GatedRNN(SPECS[name], I, 40, engine="reference", dtype=torch.float64)
        torch.manual_seed(3)
        again = GatedRNN(SPECS[name], I, 40, engine="reference", dtype=torch.float64)
        other = GatedRNN(SPECS[name], I, 40, engine="reference", dtype=torch.float64)
        drawn = arrays(started(name, scheme("default"), H=40))
        mine = arrays(first)
        assert all(np.array_equal(mine[path], array) for path, array in arrays(again).items())
        assert any(not np.array_equal(mine[path], array) for path, array in arrays(other).items())
        for path, array in drawn.items():
            if path.split(".")[1] in ("b", "bh", "gates"):
                np.testing.assert_array_equal(mine[path], array)
        weights = "candidate.h" if "candidate.h" in mine else "candidate.x"
        assert stats.ks_2samp(mine[weights].ravel(), drawn[weights].ravel()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "init"),
    [(name, "chrono") for name in sorted(set(VARIANTS) - NO_GATE)] + [("lstm", init) for init in INITS],
)
def test_the_same_bits_alone_and_stacked(name, init):
    stack = layer_of(name, num_layers=2, models=2)
    stack.reset_parameters(scheme(init), [np.random.default_rng(m) for m in range(2)])
    for m in range(2):
        alone = started(name, scheme(init), m, H, num_layers=2)
        assert all(torch.equal(tensor, stack.state_dict()[path][m]) for path, tensor in alone.state_dict().items())


def test_a_stack_of_several_schemes():
    stack = layer_of("lstm", models=2)
    stack.reset_parameters([scheme("forget_bias", value=2.0), scheme("chrono")], [np.random.default_rng(4)] * 2)
    assert (stack.gates()["forget"]["b"][0] == 2.0).all()
    assert (stack.gates()["input"]["b"][1] == -stack.gates()["forget"]["b"][1]).all()
    with pytest.raises(ValueError, match="generator: 2 are needed, got 1"):
        stack.reset_parameters(scheme("default"), np.random.default_rng(0))


def test_a_gate_without_a_bias_is_skipped_and_noted():
    only_input = layer_of(CellSpec.from_config(merge(load("lstm"), {"forget": {"feeds": "xh"}})))
    only_forget = layer_of(CellSpec.from_config(merge(load("lstm"), {"input": {"feeds": "xh"}})))
    chrono = scheme("chrono")
    assert chrono.notes(only_input.cell) == ["init: the forget gate has no bias to set"]
    assert chrono.notes(only_forget.cell) == ["init: the input gate has no bias to set"]
    assert chrono.notes(layer_of("lstm").cell) == []
    only_input.reset_parameters(chrono, np.random.default_rng(0))
    only_forget.reset_parameters(chrono, np.random.default_rng(0))
    assert (only_input.gates()["input"]["b"] < 0).all()
    assert (only_forget.gates()["forget"]["b"] > 0).all()


def test_a_gate_of_one_value_has_one_bias_and_the_input_gate_its_mean():
    tensors = arrays(started("scalar_forget", scheme("chrono")))
    assert tensors["forget.b"].shape == (1,)
    np.testing.assert_array_equal(tensors["input.b"], np.full(8, -tensors["forget.b"][0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "chronos"}, "init.rule=chronos: legal are constant, chrono, uniform_gate"),
        ({"recurrent": "eye"}, "init.recurrent=eye: legal are uniform, orthogonal"),
        ({"value": float("nan")}, "init.value=nan: a finite number is needed"),
        ({"value": True}, "init.value=True"),
        ({"max_lag": 1}, "init.max_lag=1: a whole number of steps, 2 or more"),
        ({"lag": 5}, "init.lag: unknown key; legal are rule, value, max_lag"),
    ],
)
def test_an_illegal_scheme_is_refused_by_name(changes, message):
    with pytest.raises(SpecError, match=message):
        init_of("default", **changes)


@pytest.mark.parametrize("name", ["forget_tanh", "forget_elliott"])
def test_a_bias_that_is_no_number_is_refused(name):
    with pytest.raises(ValueError, match=f"init.value=60.0: no finite bias of the forget gate, a {name[7:]}"):
        started(name, scheme("forget_bias", value=60.0))


def test_what_a_scheme_needs_is_said():
    cell = layer_of("lstm").cell
    assert "needs init.max_lag" in init_of("chrono").not_applicable(cell, 8)
    assert "needs 2 units, got 1" in init_of("uniform_gate").not_applicable(cell, 1)
