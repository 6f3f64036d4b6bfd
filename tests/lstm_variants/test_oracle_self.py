"""The two oracles agree with each other, and with facts that need neither."""

# ruff: noqa: E741 (I is the number of inputs)

import itertools

import numpy as np
import pytest
from oracle import (
    ACTIVATIONS,
    CONF,
    NAMED,
    PARAMETERS,
    Config,
    draw,
    generic,
    load,
    merge,
    parameter_count,
    shapes,
    sigmoid,
    slstm_plain,
)

T, B, I, H = 7, 4, 3, 5
FILES = sorted(path.stem for path in CONF.glob("*.yaml"))
GATED = [name for name in FILES if load(name)["cell"] == "gated"]
COUPLED = [
    "coupled_gates",
    "gru",
    "gru_no_reset",
    "gru_reset_before",
    "leaky",
    "mgu",
    "mingru",
    "minlstm",
    "refine_gate",
]


def problem(config: Config, seed: int = 0, inputs: int = I, steps: int = T):
    rng = np.random.default_rng(seed)
    return draw(shapes(config, inputs, H), rng), rng.normal(size=(steps, B, inputs))


def random_state(name: str, seed: int = 1):
    """A state with h and c unlike each other and n > 0."""
    gates, x = problem(load(name))
    rng = np.random.default_rng(seed)
    state = {key: rng.normal(size=(B, H)) for key in NAMED[name](gates, x)[1]}
    return {key: np.abs(value) + 0.5 if key == "n" else value for key, value in state.items()}


def assert_same(first, second, tolerance: float = 1e-12):
    """Two (y, state, trace) are equal, key for key."""
    np.testing.assert_allclose(first[0], second[0], rtol=tolerance, atol=tolerance)
    for mine, other in zip(first[1:], second[1:], strict=True):
        assert mine.keys() == other.keys()
        for key in mine:
            np.testing.assert_allclose(mine[key], other[key], rtol=tolerance, atol=tolerance, err_msg=key)


def zeros_under(config: Config, gates):
    """The arrays of a larger cell: those given, and zeros for the rest."""
    zeros = draw(shapes(config, I, H), np.random.default_rng(0), 0.0)
    return {slot: {**zeros[slot], **gates[slot]} for slot in zeros}


def gap(first, second) -> float:
    return float(np.abs(first[0] - second[0]).max())


def parameters(config: Config, inputs: int) -> int:
    """The sizes of all arrays, less those of frozen biases."""
    total = 0
    for slot, parts in shapes(config, inputs, H).items():
        frozen = config.get(slot, {}).get("bias") == "frozen"
        arrays = {**parts, **parts.get("gates", {})}
        arrays.pop("gates", None)
        total += sum(int(np.prod(shape)) for part, shape in arrays.items() if not (frozen and part == "b"))
    return total


def test_every_file_has_an_oracle():
    assert sorted(NAMED) == sorted(PARAMETERS) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("inputs", [I, H])
def test_parameter_count(name, inputs):
    assert parameters(load(name), inputs) == parameter_count(name, inputs, H)


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("given", [False, True])
def test_named_equals_generic(name, given):
    gates, x = problem(load(name))
    state = random_state(name) if given else None
    assert_same(NAMED[name](gates, x, state), generic(load(name), gates, x, state))


@pytest.mark.parametrize("name", FILES)
def test_trace(name):
    gates, x = problem(load(name))
    y, final, trace = NAMED[name](gates, x, random_state(name))
    assert {"input", "forget", "candidate", "output", "cell", "hidden"} <= trace.keys()
    assert all(value.shape == (T, B, H) for value in trace.values())
    np.testing.assert_array_equal(y, trace["hidden"])
    np.testing.assert_array_equal(final["h"], trace["hidden"][-1])
    np.testing.assert_array_equal(final["c"], trace["cell"][-1])


@pytest.mark.parametrize("name", FILES)
def test_a_carried_state_continues_the_sequence(name):
    gates, x = problem(load(name))
    whole = NAMED[name](gates, x, random_state(name))
    head = NAMED[name](gates, x[:3], random_state(name))
    tail = NAMED[name](gates, x[3:], head[1])
    trace = {key: np.concatenate([head[2][key], tail[2][key]]) for key in head[2]}
    assert_same(whole, (np.concatenate([head[0], tail[0]]), tail[1], trace), 0.0)


@pytest.mark.parametrize("name", FILES)
def test_cell_is_a_weighted_sum_of_candidates(name):
    """c_t = prod_k f_k * c_0 + sum_j i_j * (prod_{k>j} f_k) * z_j"""
    gates, x = problem(load(name))
    state = random_state(name)
    trace = NAMED[name](gates, x, state)[2]
    f, write = trace["forget"], trace["input"] * trace["candidate"]
    for t in range(T):
        total = np.prod(f[: t + 1], axis=0) * state["c"]
        total = total + sum(write[j] * np.prod(f[j + 1 : t + 1], axis=0) for j in range(t + 1))
        np.testing.assert_allclose(trace["cell"][t], total, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COUPLED)
def test_a_coupled_cell_is_bounded_by_its_candidates(name):
    gates, x = problem(load(name), steps=40)
    trace = NAMED[name](gates, x)[2]
    np.testing.assert_allclose(trace["input"] + trace["forget"], 1.0, rtol=1e-14)
    assert np.abs(trace["cell"]).max() <= np.abs(trace["candidate"]).max()


def test_a_cell_without_forget_gate_grows_linearly():
    gates, x = problem(load("no_forget_gate"), steps=50)
    gates["candidate"]["b"] += 20.0
    gates["input"]["b"] += 30.0
    np.testing.assert_allclose(NAMED["no_forget_gate"](gates, x)[2]["cell"][-1], 50.0, rtol=1e-6)


def test_janet_is_bounded_within_a_factor_e():
    gates, x = problem(load("janet"), steps=40)
    trace = NAMED["janet"](gates, x)[2]
    assert np.all(trace["input"] < np.e * (1 - trace["forget"]))
    assert np.abs(trace["cell"]).max() <= np.e * np.abs(trace["candidate"]).max()


@pytest.mark.parametrize(("bias", "expected"), [(-800.0, lambda f: f**2), (800.0, lambda f: 1 - (1 - f) ** 2)])
def test_the_ends_of_the_refine_gate(bias, expected):
    gates, x = problem(load("refine_gate"), steps=1)
    gates["refine"]["b"] = np.full(H, bias)
    unrefined = sigmoid(x[0] @ gates["forget"]["x"].T + gates["forget"]["b"])
    trace = NAMED["refine_gate"](gates, x)[2]
    np.testing.assert_allclose(trace["forget"][0], expected(unrefined), rtol=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "exp"])
def test_the_stabiliser_changes_nothing(activation):
    gates, x = problem(load("slstm"))
    constants = {"forget_activation": activation}
    y, final, trace = NAMED["slstm"](gates, x, constants=constants)
    plain_y, plain_final, plain = slstm_plain(gates, x, constants=constants)
    np.testing.assert_allclose(y, plain_y, rtol=1e-12, atol=1e-12)
    for key in ("c", "n"):
        np.testing.assert_allclose(final[key] * np.exp(final["m"]), plain_final[key], rtol=1e-12)
    np.testing.assert_allclose(trace["input"] * np.exp(trace["m"]), plain["input"], rtol=1e-12)
    steps = np.diff(trace["m"], axis=0)
    np.testing.assert_allclose(trace["forget"][1:] * np.exp(steps), plain["forget"][1:], rtol=1e-12)


def test_a_carried_stabiliser_is_only_a_scale():
    """(c, n, m) and (c e^d, n e^d, m - d) are the same state."""
    gates, x = problem(load("slstm"))
    state = random_state("slstm")
    scaled = {**state, "c": state["c"] * np.e**2, "n": state["n"] * np.e**2, "m": state["m"] - 2}
    np.testing.assert_allclose(NAMED["slstm"](gates, x, state)[0], NAMED["slstm"](gates, x, scaled)[0], rtol=1e-12)


def test_slstm_with_large_gates_stays_finite():
    gates, x = problem(load("slstm"), steps=30)
    gates["input"]["x"] *= 1000.0
    assert np.all(np.isfinite(NAMED["slstm"](gates, x)[0]))


START = {
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
}


@pytest.mark.parametrize(("name", "bias"), START.items())
def test_every_squashing_starts_alike(name, bias):
    np.testing.assert_allclose(ACTIVATIONS[name](np.array([bias])), 0.731, atol=1e-3)


def test_the_ends_of_the_squashings():
    far = np.array([-1e9, 1e9])
    ends = {name: [0, 1] for name in ("sigmoid", "gumbel", "hard_sigmoid", "clipped_linear", "elliott", "binary")}
    for name, expected in {**ends, "double_sigmoid": [0, 2], "tanh": [-1, 1]}.items():
        np.testing.assert_allclose(ACTIVATIONS[name](far), expected, atol=1e-8, err_msg=name)
    np.testing.assert_array_equal(ACTIVATIONS["binary"](np.array([-1.0, 0.0, 1e-300])), [0, 0, 1])


# ---- one cell as a special case of another ----------------------------------------------------------------------


def negated(gate):
    """The gate 1 - s(a) = s(-a)."""
    return {part: -array for part, array in gate.items()}


def test_mut2_with_a_projected_reset_is_gru_reset_before():
    gates, x = problem(load("mut2"), inputs=H)
    state = random_state("mut2")
    same = {
        "forget": negated(gates["input"]),
        "reset": {"x": np.eye(H), **gates["reset"]},
        "candidate": gates["candidate"],
    }
    assert_same(NAMED["mut2"](gates, x, state), NAMED["gru_reset_before"](same, x, state))


def test_mut1_is_gru_reset_before_on_x_and_tanh_x():
    gates, x = problem(load("mut1"), inputs=H)
    state = random_state("mut1")
    nothing = np.zeros((H, H))
    same = {
        "forget": {
            "x": np.hstack([-gates["input"]["x"], nothing]),
            "h": nothing,
            "b": -gates["input"]["b"],
        },
        "reset": {**gates["reset"], "x": np.hstack([gates["reset"]["x"], nothing])},
        "candidate": {"x": np.hstack([nothing, np.eye(H)]), **gates["candidate"]},
    }
    both = np.concatenate([x, np.tanh(x)], axis=-1)
    assert_same(NAMED["mut1"](gates, x, state), NAMED["gru_reset_before"](same, both, state))


def test_mut3_is_gru_reset_before_for_one_step_from_tanh_h():
    """With U_r = U_n = 0, h enters only as tanh(h) in u and as the carry."""
    gates, x = problem(load("mut3"), steps=1)
    gates["reset"]["h"] = gates["candidate"]["h"] = np.zeros((H, H))
    state = random_state("mut3")
    same = {"forget": negated(gates["input"]), "reset": gates["reset"], "candidate": gates["candidate"]}
    expected = NAMED["gru_reset_before"](same, x, {**state, "h": np.tanh(state["h"])})
    assert_same(NAMED["mut3"](gates, x, state), expected)


@pytest.mark.parametrize("name", ["mut1", "mut2"])
def test_the_embedding_is_only_a_projection_of_x(name):
    gates, x = problem(load(name))
    without = {slot: parts for slot, parts in gates.items() if slot != "embedding"}
    assert_same(NAMED[name](gates, x), NAMED[name](without, x @ gates["embedding"]["x"].T))


def test_peepholes_of_zero_and_gate_feeds_of_zero_are_nothing():
    gates, x = problem(load("lstm"))
    expected = NAMED["lstm"](gates, x)
    for name in ("peephole", "full_gate_recurrence"):
        more = zeros_under(load(name), gates)
        result = NAMED[name](more, x)
        assert_same(expected, (result[0], {key: result[1][key] for key in ("h", "c")}, result[2]))


@pytest.mark.parametrize("slot", ["input", "forget", "candidate", "output"])
@pytest.mark.parametrize("feeds", ["".join(parts) for n in range(4) for parts in itertools.combinations("xhb", n)])
def test_an_absent_feed_is_a_zero_array(slot, feeds):
    config = merge(load("lstm"), {slot: {"feeds": feeds}})
    gates, x = problem(config)
    full = zeros_under(load("lstm"), gates)
    assert_same(generic(config, gates, x), generic(load("lstm"), full, x))


def test_the_two_ways_to_couple_are_one():
    state = random_state("lstm")
    one, other = (merge(load("lstm"), {slot: {"kind": "complement"}}) for slot in ("forget", "input"))
    gates, x = problem(one)
    same = {"forget": negated(gates["input"]), "candidate": gates["candidate"], "output": gates["output"]}
    assert_same(generic(one, gates, x, state), generic(other, same, x, state))


def test_offset_on_the_other_side():
    """f = 1 - s(a_i - d) is s(d - a_i), a gate of its own with its arrays negated and d on its bias."""
    config = merge(load("lstm"), {"forget": {"kind": "complement", "offset": 0.7}})
    gates, x = problem(config)
    own = negated(gates["input"])
    same = {**gates, "forget": {**own, "b": own["b"] + 0.7}}
    assert_same(generic(config, gates, x), NAMED["lstm"](same, x))


@pytest.mark.parametrize("position", ["before", "after"])
def test_a_tied_reset_gate_is_one_with_the_same_arrays(position):
    config = merge(load("lstm"), {"reset": {"kind": "learned", "position": position, "peephole": True}})
    config = merge(config, {"input": {"peephole": True}})
    gates, x = problem(config)
    gates["reset"] = gates["input"]
    tied = merge(config, {"reset": {"kind": "same", "of": "input"}})
    assert_same(generic(config, gates, x), generic(tied, gates, x))


def test_reset_positions_agree_on_a_diagonal_recurrence_without_bias():
    before = merge(load("gru_reset_before"), {"candidate": {"feeds": "xh"}})
    after = merge(before, {"reset": {"position": "after"}})
    gates, x = problem(before)
    gates["candidate"]["h"] = np.diag(np.diag(gates["candidate"]["h"]))
    assert_same(generic(before, gates, x), generic(after, gates, x))


def test_a_refined_complement_is_the_refined_gate():
    """Refining f^ = 1 - i gives what refining a learned f^ of the same value gives, and i stays as it is."""
    config = merge(load("lstm"), {"forget": {"kind": "complement"}, "refine": {"kind": "learned"}})
    gates, x = problem(config)
    learned = merge(config, {"forget": {"kind": "learned"}})
    same = {**gates, "forget": negated(gates["input"])}
    assert_same(generic(config, gates, x), generic(learned, same, x))


def test_previous_gates_are_the_effective_ones():
    """Feeds of learned gates only, and of their values after normalising."""
    changes = {"input": {"gates": True}, "forget": {"gates": True}, "output": {"kind": "constant", "value": 0.7}}
    config = merge(load("lstm"), {**changes, "normalise": True})
    gates, x = problem(config)
    assert gates["input"]["gates"].keys() == {"input", "forget"}
    first = generic(config, gates, x[:1])
    np.testing.assert_array_equal(first[1]["input"], first[2]["input"][-1])
    a = {
        slot: x[1] @ gates[slot]["x"].T
        + first[1]["h"] @ gates[slot]["h"].T
        + gates[slot]["b"]
        + sum(first[2][j][0] @ gates[slot]["gates"][j].T for j in ("input", "forget"))
        for slot in ("input", "forget")
    }
    expected = sigmoid(a["forget"]) / (sigmoid(a["forget"]) + sigmoid(a["input"]))
    np.testing.assert_allclose(generic(config, gates, x)[2]["forget"][1], expected, rtol=1e-12)


def test_a_gate_of_one_value_is_one_with_equal_rows():
    config = merge(load("lstm"), {slot: {"block": "all"} for slot in ("input", "output")})
    gates, x = problem(config)
    full = {slot: dict(parts) for slot, parts in gates.items()}
    for slot in ("input", "output"):
        full[slot] = {part: np.repeat(array, H, axis=0) for part, array in gates[slot].items()}
    assert_same(generic(config, gates, x), NAMED["lstm"](full, x))


UNDEFINED = [
    {"input": {"kind": "complement"}, "forget": {"kind": "complement"}},
    {"input": {"kind": "complement", "offset": 1.0}, "forget": {"kind": "constant", "value": 0.9}},
    {"normalise": True, "refine": {"kind": "learned"}},
    {"forget": {"block": 2, "peephole": True}},
    {"output": {"peephole": True}, "reset": {"kind": "same", "of": "output"}},
]


@pytest.mark.parametrize("changes", UNDEFINED)
def test_what_has_no_meaning_is_refused(changes):
    gates, x = problem(load("lstm"))
    with pytest.raises(ValueError, match="undefined"):
        generic(merge(load("lstm"), changes), gates, x)


def test_initial_carry_and_output_are_read_apart():
    """Where h = c, the recurrent product reads h and the carry reads c."""
    for name in ("gru", "mgu", "janet", "mut1", "mut3"):
        gates, x = problem(load(name), steps=1)
        state = random_state(name)
        _, _, trace = NAMED[name](gates, x, state)
        np.testing.assert_allclose(
            trace["cell"][0], trace["forget"][0] * state["c"] + trace["input"][0] * trace["candidate"][0], rtol=1e-12
        )
        assert gap(NAMED[name](gates, x, state), NAMED[name](gates, x, {**state, "h": state["c"]})) > 1e-6
