"""The family once more in float64 numpy, written from the equations of the papers, to test the package against.

`NAMED` holds one small function for every file in conf/variant/; `generic` interprets any legal setting of the knobs.
Notation: s logistic sigmoid, * element-wise, ' the previous step. A pre-activation is a = W x + U h' + b, and the
arrays of one gate are {"x": W, "h": U, "b": b, "c": peephole, "bh": recurrent bias, "gates": {slot: R}}.
"""

# ruff: noqa: E741 (I is the number of inputs)

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

Array = NDArray[np.float64]
Values = dict[str, Any]  # what one step computes: {"input", "forget", "candidate", "output", "cell", "hidden", ...}
State = dict[str, Array]
Gates = Mapping[str, Mapping[str, Any]]
Config = Mapping[str, Any]
Result = tuple[Array, State, dict[str, Array]]
Oracle = Callable[..., Result]

CONF = Path(__file__).resolve().parents[2] / "conf" / "variant"
FED_BACK = ("input", "forget", "output")  # the gates that previous-gate feeds read


def softplus(a: Array) -> Array:
    """log(1 + e^a)"""
    return np.logaddexp(0.0, a)


def sigmoid(a: Array) -> Array:
    """s(a) = 1/(1 + e^-a) = e^-softplus(-a)"""
    return np.exp(-softplus(-a))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "identity": lambda a: a,
    "relu": lambda a: np.where(a > 0, a, 0.0),
    "exp": np.exp,
    "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0.0, 1.0),
    "clipped_linear": lambda a: np.clip(a / 4 + 0.5, 0.0, 1.0),
    "elliott": lambda a: 0.5 + a / (2 * (1 + np.abs(a))),
    "double_sigmoid": lambda a: 2 * sigmoid(a),
    "binary": lambda a: (a > 0).astype(np.float64),
    "gumbel": sigmoid,  # without noise, at temperature 1
}


# ---- running a step over time -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What a step reads: x[t], h[t-1], c[t-1], whatever else the cell carries, and the numbers that define it."""

    x: Array
    h: Array
    c: Array
    carried: State
    constants: Mapping[str, Any]


Equation = Callable[[Gates, Step], Values]
NAMED: dict[str, Oracle] = {}


def scan(step: Callable[[Array, State], Values], x: Array, state: State) -> Result:
    """Runs `step` along the first axis of x: (y, final state, trace), all of them H wide."""
    steps: list[dict[str, Array]] = []
    for x_t in x:
        values = {key: np.array(np.broadcast_to(value, state["h"].shape)) for key, value in step(x_t, state).items()}
        state = {key: values[{"h": "hidden", "c": "cell"}.get(key, key)] for key in state}
        steps.append(values)
    trace = {key: np.stack([values[key] for values in steps]) for key in steps[0]}
    return trace["hidden"], state, trace


def start(gates: Gates, x: Array, state: Mapping[str, Array] | None, carry: Mapping[str, float]) -> State:
    """The state before the first step: what is given, else the constant in `carry`."""
    units = max(array.shape[0] for parts in gates.values() for key, array in parts.items() if key != "gates")
    given = state or {}
    return {
        key: np.array(given.get(key, np.full((x.shape[1], units), value)), dtype=np.float64)
        for key, value in carry.items()
    }


def runner(equation: Equation, carry: Mapping[str, float], defaults: Mapping[str, Any]) -> Oracle:
    """The oracle that runs one equation: fn(gates, x, state=None, constants=None) -> (y, final_state, trace)."""

    def run(
        gates: Gates,
        x: Array,
        state: Mapping[str, Array] | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> Result:
        numbers = {**defaults, **(constants or {})}
        begin = start(gates, x, state, {"h": 0.0, "c": 0.0, **carry})
        return scan(lambda x_t, s: equation(gates, Step(x_t, s["h"], s["c"], s, numbers)), x, begin)

    return run


def named(carry: Mapping[str, float] | None = None, **constants: Any) -> Callable[[Equation], Equation]:
    """Enters an equation in NAMED under its own name."""

    def enter(equation: Equation) -> Equation:
        NAMED[equation.__name__] = runner(equation, carry or {}, constants)
        return equation

    return enter


# ---- terms the equations share ----------------------------------------------------------------------------------


def w(gate: Mapping[str, Any], x: Array) -> Array:
    """W x"""
    return np.asarray(x @ gate["x"].T)


def u(gate: Mapping[str, Any], h: Array) -> Array:
    """U h"""
    return np.asarray(h @ gate["h"].T)


def xhb(gate: Mapping[str, Any], t: Step) -> Array:
    """W x + U h' + b"""
    return np.asarray(w(gate, t.x) + u(gate, t.h) + gate["b"])


def values(i: Any, f: Any, z: Any, o: Any, c: Any, h: Any, **more: Any) -> Values:
    return {"input": i, "forget": f, "candidate": z, "output": o, "cell": c, "hidden": h, **more}


# ---- the LSTM, and one thing removed ----------------------------------------------------------------------------


@named()
def lstm(g: Gates, t: Step) -> Values:
    """z = tanh(W_z x + U_z h' + b_z); i, f, o = s(W x + U h' + b); c = f*c' + i*z; h = o*tanh(c)"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(xhb(g["forget"], t))
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


@named()
def fixed_forget_bias(g: Gates, t: Step) -> Values:
    """The forward equations of lstm: only the training of b_f differs."""
    return lstm(g, t)


@named()
def peephole(g: Gates, t: Step) -> Values:
    """i = s(.. + p_i*c'), f = s(.. + p_f*c'), o = s(.. + p_o*c)"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t) + g["input"]["c"] * t.c)
    f = sigmoid(xhb(g["forget"], t) + g["forget"]["c"] * t.c)
    c = f * t.c + i * z
    o = sigmoid(xhb(g["output"], t) + g["output"]["c"] * c)
    return values(i, f, z, o, c, o * np.tanh(c))


@named()
def no_forget_gate(g: Gates, t: Step) -> Values:
    """c = c' + i*z"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    o = sigmoid(xhb(g["output"], t))
    c = t.c + i * z
    return values(i, 1.0, z, o, c, o * np.tanh(c))


@named()
def no_input_gate(g: Gates, t: Step) -> Values:
    """c = f*c' + z"""
    z = np.tanh(xhb(g["candidate"], t))
    f = sigmoid(xhb(g["forget"], t))
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + z
    return values(1.0, f, z, o, c, o * np.tanh(c))


@named()
def no_output_gate(g: Gates, t: Step) -> Values:
    """h = tanh(c)"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(xhb(g["forget"], t))
    c = f * t.c + i * z
    return values(i, f, z, 1.0, c, np.tanh(c))


@named()
def no_input_activation(g: Gates, t: Step) -> Values:
    """z = W_z x + U_z h' + b_z"""
    z = xhb(g["candidate"], t)
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(xhb(g["forget"], t))
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


@named()
def no_output_activation(g: Gates, t: Step) -> Values:
    """h = o*c"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(xhb(g["forget"], t))
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * c)


@named(carry={"input": 0.0, "forget": 0.0, "output": 0.0})
def full_gate_recurrence(g: Gates, t: Step) -> Values:
    """k = s(W_k x + U_k h' + R_ik i' + R_fk f' + R_ok o' + b_k) for k = i, f, o; the first i', f', o' are 0"""

    def gate(k: str) -> Array:
        R, before = g[k]["gates"], t.carried
        a = xhb(g[k], t)
        a = a + before["input"] @ R["input"].T + before["forget"] @ R["forget"].T + before["output"] @ R["output"].T
        return sigmoid(a)

    z = np.tanh(xhb(g["candidate"], t))
    i, f, o = gate("input"), gate("forget"), gate("output")
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


@named()
def coupled_gates(g: Gates, t: Step) -> Values:
    """c = (1 - i)*c' + i*z"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    o = sigmoid(xhb(g["output"], t))
    c = (1 - i) * t.c + i * z
    return values(i, 1 - i, z, o, c, o * np.tanh(c))


@named(forget=0.9)
def constant_forget(g: Gates, t: Step) -> Values:
    """c = .9*c' + i*z"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    o = sigmoid(xhb(g["output"], t))
    c = t.constants["forget"] * t.c + i * z
    return values(i, t.constants["forget"], z, o, c, o * np.tanh(c))


@named()
def learned_decay(g: Gates, t: Step) -> Values:
    """f = s(b_f)"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(g["forget"]["b"])
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


@named()
def scalar_forget(g: Gates, t: Step) -> Values:
    """f = s(w.x + u.h' + b), one number for all units"""
    z = np.tanh(xhb(g["candidate"], t))
    i = sigmoid(xhb(g["input"], t))
    w_f, u_f, (b_f,) = g["forget"]["x"][0], g["forget"]["h"][0], g["forget"]["b"]
    f = sigmoid(t.x @ w_f + t.h @ u_f + b_f)[:, None]
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


# ---- what feeds the gates ---------------------------------------------------------------------------------------


def with_gates(a: Callable[[Mapping[str, Any], Step], Array]) -> Equation:
    """The LSTM whose i, f, o have the pre-activation a."""

    def equation(g: Gates, t: Step) -> Values:
        z = np.tanh(xhb(g["candidate"], t))
        i, f, o = sigmoid(a(g["input"], t)), sigmoid(a(g["forget"], t)), sigmoid(a(g["output"], t))
        c = f * t.c + i * z
        return values(i, f, z, o, c, o * np.tanh(c))

    return equation


@named()
def slim1(g: Gates, t: Step) -> Values:
    """i, f, o = s(U h' + b)"""
    return with_gates(lambda gate, t: u(gate, t.h) + gate["b"])(g, t)


@named()
def slim2(g: Gates, t: Step) -> Values:
    """i, f, o = s(U h')"""
    return with_gates(lambda gate, t: u(gate, t.h))(g, t)


@named()
def slim3(g: Gates, t: Step) -> Values:
    """i, f, o = s(b)"""
    return with_gates(lambda gate, t: gate["b"])(g, t)


@named()
def gates_x(g: Gates, t: Step) -> Values:
    """i, f, o = s(W x)"""
    return with_gates(lambda gate, t: w(gate, t.x))(g, t)


@named()
def gates_xb(g: Gates, t: Step) -> Values:
    """i, f, o = s(W x + b)"""
    return with_gates(lambda gate, t: w(gate, t.x) + gate["b"])(g, t)


@named()
def gates_xh(g: Gates, t: Step) -> Values:
    """i, f, o = s(W x + U h')"""
    return with_gates(lambda gate, t: w(gate, t.x) + u(gate, t.h))(g, t)


@named()
def gates_none(g: Gates, t: Step) -> Values:
    """c = c'/2 + z/2; h = tanh(c)/2"""
    z = np.tanh(xhb(g["candidate"], t))
    c = (t.c + z) / 2
    return values(0.5, 0.5, z, 0.5, c, np.tanh(c) / 2)


# ---- the squashing of f -----------------------------------------------------------------------------------------


def with_forget(phi: Callable[[Array], Array]) -> Equation:
    """The LSTM with f = phi(W_f x + U_f h' + b_f)."""

    def equation(g: Gates, t: Step) -> Values:
        z = np.tanh(xhb(g["candidate"], t))
        i = sigmoid(xhb(g["input"], t))
        f = phi(xhb(g["forget"], t))
        o = sigmoid(xhb(g["output"], t))
        c = f * t.c + i * z
        return values(i, f, z, o, c, o * np.tanh(c))

    return equation


SQUASHINGS = (
    "hard_sigmoid",
    "clipped_linear",
    "elliott",
    "double_sigmoid",
    "tanh",
    "relu",
    "identity",
    "exp",
    "binary",
    "gumbel",
)
NAMED.update({f"forget_{name}": runner(with_forget(ACTIVATIONS[name]), {}, {}) for name in SQUASHINGS})


# ---- Levy et al. 2018 -------------------------------------------------------------------------------------------


@named()
def no_content_recurrence(g: Gates, t: Step) -> Values:
    """z = W_z x"""
    z = w(g["candidate"], t.x)
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(xhb(g["forget"], t))
    o = sigmoid(xhb(g["output"], t))
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


@named()
def no_content_recurrence_no_output(g: Gates, t: Step) -> Values:
    """z = W_z x; h = tanh(c)"""
    z = w(g["candidate"], t.x)
    i = sigmoid(xhb(g["input"], t))
    f = sigmoid(xhb(g["forget"], t))
    c = f * t.c + i * z
    return values(i, f, z, 1.0, c, np.tanh(c))


@named()
def no_hidden(g: Gates, t: Step) -> Values:
    """z = W_z x; i, f, o = s(W x + b)"""
    z = w(g["candidate"], t.x)
    i = sigmoid(w(g["input"], t.x) + g["input"]["b"])
    f = sigmoid(w(g["forget"], t.x) + g["forget"]["b"])
    o = sigmoid(w(g["output"], t.x) + g["output"]["b"])
    c = f * t.c + i * z
    return values(i, f, z, o, c, o * np.tanh(c))


# ---- cells whose output is their state --------------------------------------------------------------------------


@named()
def gru(g: Gates, t: Step) -> Values:
    """r, z = s(W x + U h' + b); n = tanh(W_n x + b_n + r*(U_n h' + b_hn)); h = (1 - z)*n + z*h'"""
    r = sigmoid(xhb(g["reset"], t))
    z = sigmoid(xhb(g["forget"], t))
    N = g["candidate"]
    n = np.tanh(w(N, t.x) + N["b"] + r * (u(N, t.h) + N["bh"]))
    h = (1 - z) * n + z * t.c
    return values(1 - z, z, n, 1.0, h, h, reset=r)


@named()
def gru_no_reset(g: Gates, t: Step) -> Values:
    """z = s(W x + U h' + b); n = tanh(W_n x + U_n h' + b_n); h = (1 - z)*n + z*h'"""
    z = sigmoid(xhb(g["forget"], t))
    n = np.tanh(xhb(g["candidate"], t))
    h = (1 - z) * n + z * t.c
    return values(1 - z, z, n, 1.0, h, h)


@named()
def gru_reset_before(g: Gates, t: Step) -> Values:
    """r, z = s(W x + U h' + b); n = tanh(W_n x + U_n (r*h') + b_n); h = z*h' + (1 - z)*n"""
    r = sigmoid(xhb(g["reset"], t))
    z = sigmoid(xhb(g["forget"], t))
    N = g["candidate"]
    n = np.tanh(w(N, t.x) + u(N, r * t.h) + N["b"])
    h = z * t.c + (1 - z) * n
    return values(1 - z, z, n, 1.0, h, h, reset=r)


@named()
def mgu(g: Gates, t: Step) -> Values:
    """f = s(W x + U h' + b); n = tanh(W_n x + U_n (f*h') + b_n); h = (1 - f)*h' + f*n. f is the input gate here."""
    f = sigmoid(xhb(g["input"], t))
    N = g["candidate"]
    n = np.tanh(w(N, t.x) + u(N, f * t.h) + N["b"])
    h = (1 - f) * t.c + f * n
    return values(f, 1 - f, n, 1.0, h, h, reset=f)


@named(beta=1.0)
def janet(g: Gates, t: Step) -> Values:
    """a = W_f x + U_f h' + b_f; c = s(a)*c' + (1 - s(a - beta))*tanh(W_c x + U_c h' + b_c); h = c; beta = 1"""
    a = xhb(g["forget"], t)
    z = np.tanh(xhb(g["candidate"], t))
    i = 1 - sigmoid(a - t.constants["beta"])
    c = sigmoid(a) * t.c + i * z
    return values(i, sigmoid(a), z, 1.0, c, c)


@named()
def mingru(g: Gates, t: Step) -> Values:
    """z = s(W_z x + b_z); n = W_n x + b_n; h = (1 - z)*h' + z*n. This z is the input gate here."""
    z = sigmoid(w(g["input"], t.x) + g["input"]["b"])
    n = w(g["candidate"], t.x) + g["candidate"]["b"]
    h = (1 - z) * t.c + z * n
    return values(z, 1 - z, n, 1.0, h, h)


@named()
def minlstm(g: Gates, t: Step) -> Values:
    """f^, i^ = s(W x + b); f = f^/(f^ + i^) = s(log f^ - log i^), i = 1 - f; h = f*h' + i*(W_z x + b_z)"""
    a_f = w(g["forget"], t.x) + g["forget"]["b"]
    a_i = w(g["input"], t.x) + g["input"]["b"]
    ratio = softplus(-a_i) - softplus(-a_f)
    f, i = sigmoid(ratio), sigmoid(-ratio)
    z = w(g["candidate"], t.x) + g["candidate"]["b"]
    h = f * t.c + i * z
    return values(i, f, z, 1.0, h, h)


@named()
def leaky(g: Gates, t: Step) -> Values:
    """h = f*h' + (1 - f)*tanh(W x + U h' + b) with f = s(b_f)"""
    f = sigmoid(g["forget"]["b"])
    z = np.tanh(xhb(g["candidate"], t))
    h = f * t.c + (1 - f) * z
    return values(1 - f, f, z, 1.0, h, h)


@named()
def elman(g: Gates, t: Step) -> Values:
    """h = tanh(W x + U h' + b)"""
    h = np.tanh(xhb(g["candidate"], t))
    return values(1.0, 0.0, h, 1.0, h, h)


# ---- refine gate ------------------------------------------------------------------------------------------------


@named()
def refine_gate(g: Gates, t: Step) -> Values:
    """f, r, o = s(W x + U h' + b); g = r*(1 - (1 - f)^2) + (1 - r)*f^2; c = g*c' + (1 - g)*z; h = o*tanh(c)"""
    f = sigmoid(xhb(g["forget"], t))
    r = sigmoid(xhb(g["refine"], t))
    o = sigmoid(xhb(g["output"], t))
    z = np.tanh(xhb(g["candidate"], t))
    effective = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
    c = effective * t.c + (1 - effective) * z
    return values(1 - effective, effective, z, o, c, o * np.tanh(c), refine=r)


# ---- Jozefowicz et al. 2015; their u is the input gate here ------------------------------------------------------


def embed(g: Gates, x: Array) -> Array:
    """x~ = E x, or x where it is H wide already and there is no E"""
    return w(g["embedding"], x) if "embedding" in g else x


def mut(update: Array, n: Array, r: Array, t: Step) -> Values:
    """h = u*n + (1 - u)*h'"""
    h = update * n + (1 - update) * t.c
    return values(update, 1 - update, n, 1.0, h, h, reset=r)


@named()
def mut1(g: Gates, t: Step) -> Values:
    """u = s(W_u x~ + b_u); r = s(W_r x~ + U_r h' + b_r); n = tanh(U_n (r*h') + tanh(x~) + b_n)"""
    x = embed(g, t.x)
    update = sigmoid(w(g["input"], x) + g["input"]["b"])
    r = sigmoid(w(g["reset"], x) + u(g["reset"], t.h) + g["reset"]["b"])
    n = np.tanh(u(g["candidate"], r * t.h) + np.tanh(x) + g["candidate"]["b"])
    return mut(update, n, r, t)


@named()
def mut2(g: Gates, t: Step) -> Values:
    """u = s(W_u x~ + U_u h' + b_u); r = s(x~ + U_r h' + b_r); n = tanh(U_n (r*h') + W_n x~ + b_n)"""
    x = embed(g, t.x)
    update = sigmoid(w(g["input"], x) + u(g["input"], t.h) + g["input"]["b"])
    r = sigmoid(x + u(g["reset"], t.h) + g["reset"]["b"])
    n = np.tanh(u(g["candidate"], r * t.h) + w(g["candidate"], x) + g["candidate"]["b"])
    return mut(update, n, r, t)


@named()
def mut3(g: Gates, t: Step) -> Values:
    """u = s(W_u x + U_u tanh(h') + b_u); r = s(W_r x + U_r h' + b_r); n = tanh(U_n (r*h') + W_n x + b_n)"""
    update = sigmoid(w(g["input"], t.x) + u(g["input"], np.tanh(t.h)) + g["input"]["b"])
    r = sigmoid(w(g["reset"], t.x) + u(g["reset"], t.h) + g["reset"]["b"])
    n = np.tanh(u(g["candidate"], r * t.h) + w(g["candidate"], t.x) + g["candidate"]["b"])
    return mut(update, n, r, t)


# ---- sLSTM ------------------------------------------------------------------------------------------------------


@named(carry={"n": 0.0, "m": -np.inf}, forget_activation="sigmoid")
def slstm(g: Gates, t: Step) -> Values:
    """m = max(log f + m', log i); i^ = e^(log i - m), f^ = e^(log f + m' - m); c = f^*c' + i^*z, n = f^*n' + i^,
    h = o*c/n. The trace has the stabilised i^ and f^: the plain ones are i = i^*e^m and f = f^*e^(m - m')."""
    a_f = xhb(g["forget"], t)
    log_i = xhb(g["input"], t)
    log_f = {"sigmoid": -softplus(-a_f), "exp": a_f}[t.constants["forget_activation"]]
    m = np.maximum(log_f + t.carried["m"], log_i)
    i, f = np.exp(log_i - m), np.exp(log_f + t.carried["m"] - m)
    z, o = np.tanh(xhb(g["candidate"], t)), sigmoid(xhb(g["output"], t))
    c, n = f * t.c + i * z, f * t.carried["n"] + i
    return values(i, f, z, o, c, o * c / n, n=n, m=m)


def slstm_equation(g: Gates, t: Step) -> Values:
    """i = e^a_i, f = s(a_f) or e^a_f; c = f*c' + i*z, n = f*n' + i, h = o*c/n"""
    i = np.exp(xhb(g["input"], t))
    f = ACTIVATIONS[t.constants["forget_activation"]](xhb(g["forget"], t))
    z, o = np.tanh(xhb(g["candidate"], t)), sigmoid(xhb(g["output"], t))
    c, n = f * t.c + i * z, f * t.carried["n"] + i
    return values(i, f, z, o, c, o * c / n, n=n)


slstm_plain = runner(slstm_equation, {"n": 0.0}, {"forget_activation": "sigmoid"})  # no stabiliser: for short sequences


# ---- any setting of the knobs -----------------------------------------------------------------------------------


@cache
def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def load(name: str, folder: Path = CONF) -> dict[str, Any]:
    """The knobs of one variant: lstm.yaml with the file's own entries put over it, one level deep."""
    knobs = merge(read(folder / "lstm.yaml"), read(folder / f"{name}.yaml"))
    return deepcopy({key: value for key, value in knobs.items() if key not in ("defaults", "label", "cite", "aliases")})


def merge(knobs: Config, changes: Config) -> dict[str, Any]:
    changed = {key: {**knobs[key], **value} if isinstance(value, Mapping) else value for key, value in changes.items()}
    return {**knobs, **changed}


def learned(config: Config, slot: str) -> bool:
    return bool(config[slot].get("kind", "learned") == "learned")  # the candidate has no kind: it is always learned


def carried_gates(config: Config) -> tuple[str, ...]:
    """The gates whose previous value some gate sees: all learned ones of i, f, o, or none."""
    slots = tuple(slot for slot in FED_BACK if learned(config, slot))
    return slots if any(config[slot]["gates"] for slot in slots) else ()


def undefined(config: Config) -> str | None:
    """What the equations give no meaning to."""
    i, f = config["input"], config["forget"]
    if i["kind"] == f["kind"] == "complement":
        return "input and forget gate are each other's complement"
    for gate, partner in ((i, f), (f, i)):
        if gate["kind"] == "complement" and gate["offset"] and partner["kind"] != "learned":
            return "an offset needs the pre-activation of a learned gate"
    if config["normalise"] and config["refine"]["kind"] == "learned":
        return "the order of normalising and refining"
    if any(config[slot].get("block", 1) != 1 and config[slot].get("peephole") for slot in (*FED_BACK, "reset")):
        return "a peephole of a gate whose units share a value"
    if config["reset"]["kind"] == "same" and config["reset"]["of"] == "output" and config["output"]["peephole"]:
        return "a reset gate that waits for c[t]"
    return None


def normed(a: Array) -> Array:
    """(a - mean) / sqrt(variance + 1e-5), over the units"""
    deviation = a - a.mean(axis=-1, keepdims=True)
    return deviation / np.sqrt((deviation * deviation).mean(axis=-1, keepdims=True) + 1e-5)


def product(gate: Mapping[str, Any], part: str, value: Array) -> Array:
    """W x or U h', and with layer normalisation g * LN of it"""
    a = value @ gate[part].T
    gain = gate.get(f"gain_{part}")
    return a if gain is None else gain * normed(a)


def affine(knobs: Config, gate: Mapping[str, Any], x: Array, h: Array) -> Array:
    """The terms of W x + U h' + b that `feeds` names; a row for each block of units stands for all of them."""
    a = np.zeros((len(x), 1))
    if "x" in knobs["feeds"]:
        a = a + product(gate, "x", x)
    if "h" in knobs["feeds"]:
        a = a + product(gate, "h", h)
    if "b" in knobs["feeds"]:
        a = a + gate["b"]
    block = knobs.get("block", 1)
    return a if block == "all" else np.repeat(a, block, axis=1)


def reads_the_cell_itself(config: Config) -> bool:
    """h = c"""
    return bool(not learned(config, "output") and config["output"]["value"] == 1 and config["squash"] == "identity")


def before_peephole(config: Config, gates: Gates, slot: str, x: Array, state: State) -> Array:
    """W x + U h' + b + sum_j R_j g_j'"""
    a = affine(config[slot], gates.get(slot, {}), x, state["h"])
    if config[slot].get("gates"):
        for j in carried_gates(config):
            a = a + state[j] @ gates[slot]["gates"][j].T
    return a


def carry_gates(config: Config, gates: Gates, x: Array, state: State) -> dict[str, Array]:
    """The effective i and f, with the refine gate's own value where there is one."""
    a: dict[str, Array] = {}
    out: dict[str, Array] = {}
    for slot in ("input", "forget"):
        if learned(config, slot):
            a[slot] = before_peephole(config, gates, slot, x, state)
            if config[slot]["peephole"]:
                a[slot] = a[slot] + gates[slot]["c"] * state["c"]
            out[slot] = ACTIVATIONS[config[slot]["activation"]](a[slot])
        elif config[slot]["kind"] == "constant":
            out[slot] = np.full_like(state["h"], config[slot]["value"])

    def complement(slot: str, partner: str) -> Array:
        offset = config[slot]["offset"]
        if offset:
            return 1 - ACTIVATIONS[config[partner]["activation"]](a[partner] - offset)
        return 1 - out[partner]

    if config["forget"]["kind"] == "complement":
        out["forget"] = complement("forget", "input")
    if learned(config, "refine"):
        refine = ACTIVATIONS[config["refine"]["activation"]](
            affine(config["refine"], gates.get("refine", {}), x, state["h"])
        )
        out["forget"] = 2 * refine * out["forget"] + (1 - 2 * refine) * out["forget"] ** 2
        out["refine"] = refine
    if config["input"]["kind"] == "complement":
        out["input"] = complement("input", "forget")
    if config["normalise"]:
        total = out["forget"] + out["input"]
        out["forget"], out["input"] = out["forget"] / total, out["input"] / total
    return out


def output_gate(config: Config, gates: Gates, x: Array, state: State, c: Array | None) -> Array:
    """o, with the peephole p_o*c where there is one"""
    if config["output"]["kind"] == "constant":
        return np.full_like(state["h"], config["output"]["value"])
    a = before_peephole(config, gates, "output", x, state)
    if config["output"]["peephole"]:
        a = a + gates["output"]["c"] * c
    return ACTIVATIONS[config["output"]["activation"]](a)


def reset_gate(config: Config, gates: Gates, x: Array, state: State, known: Mapping[str, Array]) -> Array | None:
    """r of its own, or equal to another gate, or None"""
    knobs = config["reset"]
    if knobs["kind"] == "absent":
        return None
    if knobs["kind"] == "same":
        of = knobs["of"]
        return output_gate(config, gates, x, state, None) if of == "output" else known[of]
    a = affine(knobs, gates.get("reset", {}), x, state["h"])
    if knobs["peephole"]:
        a = a + gates["reset"]["c"] * state["c"]
    return ACTIVATIONS[knobs["activation"]](a)


def candidate(config: Config, gates: Gates, x: Array, h: Array, r: Array | None) -> Array:
    """phi(W x + b + U h'); with a reset after phi(W x + b + r*(U h' + bh)), before phi(W x + b + U (r*h'))"""
    knobs, gate = config["candidate"], gates.get("candidate", {})
    phi = ACTIVATIONS[knobs["activation"]]
    if r is None or config["reset"]["position"] == "before":
        return phi(affine(knobs, gate, x, h if r is None else r * h))
    outside = {"feeds": [part for part in knobs["feeds"] if part != "h"]}
    inside = {"feeds": [part for part in knobs["feeds"] if part != "x"]}
    recurrent = {"h": gate.get("h"), "b": gate.get("bh"), "gain_h": gate.get("gain_h")}
    return phi(affine(outside, gate, x, h) + r * affine(inside, recurrent, x, h))


def generic(config: Config, gates: Gates, x: Array, state: Mapping[str, Array] | None = None) -> Result:
    """Any legal setting of the knobs: c = f*c' + i*z; h = o*squash(c)."""
    problem = undefined(config)
    if problem:
        raise ValueError(f"undefined: {problem}")

    def step(x_t: Array, s: State) -> Values:
        gated = carry_gates(config, gates, x_t, s)
        r = reset_gate(config, gates, x_t, s, gated)
        z = candidate(config, gates, x_t, s["h"], r)
        c = gated["forget"] * s["c"] + gated["input"] * z
        o = output_gate(config, gates, x_t, s, c)
        reset = {} if r is None else {"reset": r}
        read = c
        if config["layer_norm"] and not reads_the_cell_itself(config):
            read = gates["cell"]["gain"] * normed(c) + gates["cell"]["shift"]
        h = o * ACTIVATIONS[config["squash"]](read)
        return {**gated, **reset, "candidate": z, "output": o, "cell": c, "hidden": h}

    carry = dict.fromkeys(("h", "c", *carried_gates(config)), 0.0)
    return scan(step, x, start(gates, x, state, carry))


# ---- shapes and sizes -------------------------------------------------------------------------------------------


def shapes(config: Config, I: int, H: int) -> dict[str, dict[str, Any]]:
    """{slot: {part: shape}} of every array the cell has, frozen biases included."""
    special = {"mut1": mut1_shapes, "mut2": mut2_shapes, "mut3": mut3_shapes, "slstm": slstm_shapes}
    return gated_shapes(config, I, H) if config["cell"] == "gated" else special[config["cell"]](I, H)


def gated_shapes(config: Config, I: int, H: int) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for slot in ("input", "forget", "candidate", "output", "reset", "refine"):
        knobs = config[slot]
        if not learned(config, slot):
            continue
        block = knobs.get("block", 1)
        rows = 1 if block == "all" else H // block
        terms = {"x": (rows, I), "h": (rows, H), "b": (rows,)}
        out[slot] = {part: shape for part, shape in terms.items() if part in knobs["feeds"]}
        if knobs.get("peephole"):
            out[slot]["c"] = (H,)
        if knobs.get("gates"):
            out[slot]["gates"] = dict.fromkeys(carried_gates(config), (rows, H))
        if config["layer_norm"]:
            out[slot].update({f"gain_{part}": (rows,) for part in "xh" if part in knobs["feeds"]})
    if config["layer_norm"] and not reads_the_cell_itself(config):
        out["cell"] = {"gain": (H,), "shift": (H,)}
    inside = config["reset"]["kind"] != "absent" and config["reset"]["position"] == "after"
    if inside and "b" in config["candidate"]["feeds"]:
        out["candidate"]["bh"] = (H,)
    return out


def embedding_shapes(I: int, H: int) -> dict[str, dict[str, Any]]:
    return {} if I == H else {"embedding": {"x": (H, I)}}


def mut1_shapes(I: int, H: int) -> dict[str, dict[str, Any]]:
    return {
        **embedding_shapes(I, H),
        "input": {"x": (H, H), "b": (H,)},
        "reset": {"x": (H, H), "h": (H, H), "b": (H,)},
        "candidate": {"h": (H, H), "b": (H,)},
    }


def mut2_shapes(I: int, H: int) -> dict[str, dict[str, Any]]:
    return {
        **embedding_shapes(I, H),
        "input": {"x": (H, H), "h": (H, H), "b": (H,)},
        "reset": {"h": (H, H), "b": (H,)},
        "candidate": {"x": (H, H), "h": (H, H), "b": (H,)},
    }


def mut3_shapes(I: int, H: int) -> dict[str, dict[str, Any]]:
    return {slot: {"x": (H, I), "h": (H, H), "b": (H,)} for slot in ("input", "reset", "candidate")}


def slstm_shapes(I: int, H: int) -> dict[str, dict[str, Any]]:
    return {slot: {"x": (H, I), "h": (H, H), "b": (H,)} for slot in ("input", "forget", "candidate", "output")}


def draw(tree: Mapping[str, Any], rng: np.random.Generator, scale: float = 0.7) -> dict[str, Any]:
    """Normal arrays for a tree of shapes."""
    return {
        key: draw(value, rng, scale) if isinstance(value, Mapping) else rng.normal(0.0, scale, value)
        for key, value in tree.items()
    }


def parameter_count(name: str, I: int, H: int) -> int:
    """The learned parameters of one recurrent layer."""
    return PARAMETERS[name](I, H, I + H + 1)


PARAMETERS: dict[str, Callable[[int, int, int], int]] = {
    "lstm": lambda I, H, N: 4 * H * N,
    "peephole": lambda I, H, N: 4 * H * N + 3 * H,
    "no_forget_gate": lambda I, H, N: 3 * H * N,
    "no_input_gate": lambda I, H, N: 3 * H * N,
    "no_output_gate": lambda I, H, N: 3 * H * N,
    "no_input_activation": lambda I, H, N: 4 * H * N,
    "no_output_activation": lambda I, H, N: 4 * H * N,
    "full_gate_recurrence": lambda I, H, N: 4 * H * N + 9 * H**2,
    "coupled_gates": lambda I, H, N: 3 * H * N,
    "fixed_forget_bias": lambda I, H, N: 4 * H * N - H,
    "constant_forget": lambda I, H, N: 3 * H * N,
    "learned_decay": lambda I, H, N: 3 * H * N + H,
    "scalar_forget": lambda I, H, N: (3 * H + 1) * N,
    "slim1": lambda I, H, N: H * N + 3 * H * (H + 1),
    "slim2": lambda I, H, N: H * N + 3 * H**2,
    "slim3": lambda I, H, N: H * N + 3 * H,
    "gates_x": lambda I, H, N: H * N + 3 * H * I,
    "gates_xb": lambda I, H, N: H * N + 3 * H * (I + 1),
    "gates_xh": lambda I, H, N: H * N + 3 * H * (I + H),
    "gates_none": lambda I, H, N: H * N,
    "forget_hard_sigmoid": lambda I, H, N: 4 * H * N,
    "forget_clipped_linear": lambda I, H, N: 4 * H * N,
    "forget_elliott": lambda I, H, N: 4 * H * N,
    "forget_double_sigmoid": lambda I, H, N: 4 * H * N,
    "forget_tanh": lambda I, H, N: 4 * H * N,
    "forget_relu": lambda I, H, N: 4 * H * N,
    "forget_identity": lambda I, H, N: 4 * H * N,
    "forget_exp": lambda I, H, N: 4 * H * N,
    "forget_binary": lambda I, H, N: 4 * H * N,
    "forget_gumbel": lambda I, H, N: 4 * H * N,
    "no_content_recurrence": lambda I, H, N: 3 * H * N + H * I,
    "no_content_recurrence_no_output": lambda I, H, N: 2 * H * N + H * I,
    "no_hidden": lambda I, H, N: H * I + 3 * H * (I + 1),
    "gru": lambda I, H, N: 3 * H * N + H,
    "gru_no_reset": lambda I, H, N: 2 * H * N,
    "gru_reset_before": lambda I, H, N: 3 * H * N,
    "mgu": lambda I, H, N: 2 * H * N,
    "janet": lambda I, H, N: 2 * H * N,
    "mingru": lambda I, H, N: 2 * H * (I + 1),
    "minlstm": lambda I, H, N: 3 * H * (I + 1),
    "mut1": lambda I, H, N: (0 if I == H else H * I) + 4 * H**2 + 3 * H,
    "mut2": lambda I, H, N: (0 if I == H else H * I) + 5 * H**2 + 3 * H,
    "mut3": lambda I, H, N: 3 * H * N,
    "refine_gate": lambda I, H, N: 4 * H * N,
    "slstm": lambda I, H, N: 4 * H * N,
    "leaky": lambda I, H, N: H * N + H,
    "elman": lambda I, H, N: H * N,
}
