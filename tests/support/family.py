"""The whole family as one list, for every test: layers with nothing at zero, their oracles, and random legal specs."""

# ruff: noqa: E741 (I is the number of inputs)

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import strategies as st
from oracle import ACTIVATIONS, CONF, NAMED, generic, normed

from lstm_variants import CellSpec, GatedRNN, Init
from lstm_variants.equations import Equation
from lstm_variants.gate import FEEDS, SYMBOLS

T, B, I, H = 6, 3, 2, 4

VARIANTS = sorted(path.stem for path in CONF.glob("*.yaml"))
INITS = sorted(path.stem for path in (CONF.parent / "init").glob("*.yaml"))
SLOT_OF = {symbol: slot for slot, symbol in SYMBOLS.items()} | {"c": "cell", "h": "hidden"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """A module that imports this runs on one thread: layers this small only lose time to more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- specs and schemes from the folders -------------------------------------------------------------------------


def said(name: str) -> dict[str, Any]:
    """The content of one variant file, without its `defaults` line."""
    content = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key != "defaults"}


def spec_of(name: str) -> CellSpec:
    """The spec of one variant file."""
    return CellSpec.from_config(said(name))


def init_of(name: str, **changes: Any) -> Init:
    """The scheme of one init file, over the default one."""
    folder = CONF.parent / "init"
    default, own = (yaml.safe_load((folder / f"{file}.yaml").read_text(encoding="utf-8")) for file in ("default", name))
    return Init.from_config({key: value for key, value in {**default, **own, **changes}.items() if key != "defaults"})


SPECS = {name: spec_of(name) for name in VARIANTS}
GATED = [name for name in VARIANTS if SPECS[name].cell == "gated"]
OWN = [name for name in VARIANTS if SPECS[name].cell != "gated"]


# ---- layers -----------------------------------------------------------------------------------------------------


def layer_of(
    variant: str | CellSpec, I: int = I, H: int = H, seed: int = 0, scale: float = 0.6, **options: Any
) -> GatedRNN:
    """A float64 layer on the reference engine, all of whose tensors, frozen ones too, are drawn unlike zero."""
    spec = SPECS[variant] if isinstance(variant, str) else variant
    layer = GatedRNN(spec, I, H, **{"engine": "reference", "dtype": torch.float64, **options})
    fill(layer, seed, scale)
    return layer


@torch.no_grad()
def fill(layer: GatedRNN, seed: int, scale: float = 0.6) -> None:
    rng = np.random.default_rng(seed)
    for tensor in [*layer.parameters(), *layer.buffers()]:
        tensor.copy_(torch.from_numpy(rng.normal(0.0, scale, tuple(tensor.shape))))


def inputs(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers, (T, B, I) unless told otherwise."""
    return torch.from_numpy(np.random.default_rng(seed + 1000).normal(size=shape or (T, B, I)))


def state_of(layer: GatedRNN, batch: int = B, seed: int = 0) -> Any:
    """A random state of a layer, its fields unlike each other; a normaliser is above 0."""
    rng = np.random.default_rng(seed + 2000)
    lead = () if layer.models is None else (layer.models,)
    _, last = layer(torch.zeros(*lead, 1, batch, layer.input_size, dtype=torch.float64))
    drawn = {key: rng.normal(0.0, 0.7, tuple(field.shape)) for key, field in last._asdict().items()}
    drawn = {key: np.abs(value) + 0.5 if key == "n" else value for key, value in drawn.items()}
    return type(last)(**{key: torch.from_numpy(value) for key, value in drawn.items()})


def numpy_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries of arrays for nested dictionaries of tensors."""
    return {
        name: numpy_tree(value) if isinstance(value, Mapping) else value.detach().numpy()
        for name, value in tree.items()
    }


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"forget.x": array} for nested dictionaries."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat.update(leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value})
    return flat


def gates_of(layer: GatedRNN, number: int = 0) -> dict[str, Any]:
    """One layer's gates as the oracles take them."""
    return numpy_tree(layer.gates(number))


def state_arrays(state: Any, number: int = 0) -> dict[str, np.ndarray]:
    """One layer's state as the oracles take it."""
    return {key: field[number].detach().numpy() for key, field in state._asdict().items()}


def oracle_of(variant: str | CellSpec) -> Callable[..., Any]:
    """fn(gates, x, state) of a variant: its own function, or the interpreter of all knobs."""
    if isinstance(variant, str):
        return NAMED[variant]
    return lambda gates, x, state=None: generic(variant.to_config(), gates, x, state)


def swapped(gates: Mapping[str, Any], first: str, second: str) -> dict[str, Any]:
    """The gates with the tensors of two slots exchanged."""
    return {**gates, first: gates[second], second: gates[first]}


def like_shaped(gates: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of slots whose tensors could be exchanged unnoticed by their shapes."""
    shapes = {slot: {path: array.shape for path, array in leaves(parts).items()} for slot, parts in gates.items()}
    return [(a, b) for a in shapes for b in shapes if a < b and shapes[a] == shapes[b]]


# ---- text equations, computed -----------------------------------------------------------------------------------

FUNCTIONS = {**ACTIVATIONS, "log": np.log, "max": np.maximum, "LN": lambda a: normed(a.T).T}


NAME_OF = {"x": "W_{}", "h": "U_{}", "b": "b_{}", "c": "p_{}", "bh": "b_h{}"}
NAME_OF |= {"gain_x": "g_{}x", "gain_h": "g_{}h", "gain": "g_{}", "shift": "b_{}"}


def as_python(text: str) -> str:
    """`W_i x~ + b_i` is `W_i @ x_tilde + b_i`; a `'` is the previous step."""
    text = re.sub(r"\b([WUR]_\w+|E) (?=[a-z(])", r"\1 @ ", text)
    return text.replace("~", "_tilde").replace("'", "_before").replace("^", "**")


def symbols_of(gates: Mapping[str, Any], H: int) -> dict[str, np.ndarray]:
    """W_i, U_i, b_i, p_i, R_if, b_hz and E, as they stand in the equations; vectors are columns."""
    names: dict[str, np.ndarray] = {"E": np.eye(H)}
    for slot, parts in gates.items():
        k = "c" if slot == "cell" else SYMBOLS.get(slot)
        for part, array in parts.items():
            if part == "gates":
                names.update({f"R_{k}{SYMBOLS[source]}": R for source, R in array.items()})
            elif slot == "embedding":
                names["E"] = array
            else:
                names[NAME_OF[part].format(k)] = array if array.ndim == 2 else array[:, None]
    return names


def compute(
    equations: Sequence[Equation],
    gates: Mapping[str, Any],
    x: np.ndarray,
    state: Mapping[str, np.ndarray],
    clamp: Callable[[str, np.ndarray], np.ndarray] = lambda symbol, value: value,
) -> dict[str, np.ndarray]:
    """What the text of the equations says, step by step: {slot or "cell" or "hidden" or a symbol: (T, B, H)}."""
    batch, units = state["h"].shape
    names = symbols_of(gates, units)
    before = {SYMBOLS.get(field, field): value.T for field, value in state.items()}
    steps: list[dict[str, np.ndarray]] = []
    for x_t in x:
        scope = {**FUNCTIONS, **names, **{f"{k}_before": value for k, value in before.items()}, "x": x_t.T}
        for equation in equations:
            value = np.asarray(eval(as_python(equation.text), {"__builtins__": {}}, scope))
            if value.ndim and 1 < len(value) < units:  # a value for each block of neighbouring units
                value = np.repeat(value, units // len(value), axis=0)
            value = clamp(equation.symbol, np.array(np.broadcast_to(value, (units, batch)), dtype=np.float64))
            scope[as_python(equation.symbol)] = value
        before = {symbol: scope[symbol] for symbol in before}
        steps.append({SLOT_OF.get(e.symbol, e.symbol): scope[as_python(e.symbol)].T for e in equations})
    return {key: np.stack([step[key] for step in steps]) for key in steps[0]}


# ---- random legal specs -----------------------------------------------------------------------------------------

NUMBERS = st.floats(-1.0, 1.5, allow_nan=False).map(lambda v: round(v, 3))
SQUASHINGS = tuple(ACTIVATIONS)


@st.composite
def _learned(draw: st.DrawFn, *knobs: str, seen: bool = False, activation: str | None = None) -> dict[str, Any]:
    """A learned gate that has the given knobs; `seen`: some gate of the spec sees previous gates."""
    gate: dict[str, Any] = {"feeds": draw(st.sampled_from(FEEDS))}
    gate["activation"] = activation or draw(st.sampled_from(("sigmoid", *SQUASHINGS)))
    if "b" in gate["feeds"]:
        gate["bias"] = draw(st.sampled_from(("learned", "frozen")))
    if "peephole" in knobs:
        gate["peephole"] = draw(st.booleans())
    if "gates" in knobs:
        gate["gates"] = seen and draw(st.booleans())
    if "block" in knobs:
        gate["block"] = 1 if seen or gate.get("peephole") else draw(st.sampled_from((1, 1, 2, H, "all")))
    return gate


@st.composite
def legal_configs(draw: st.DrawFn) -> dict[str, Any]:
    """Any legal content of a variant file for the gate algebra, built from the rules, not by trying."""
    kinds = ("learned", "constant", "complement")
    i, f = draw(
        st.sampled_from([(i, f) for i in kinds for f in kinds if "complement" not in (i, f) or "learned" in (i, f)])
    )
    changed = draw(st.sampled_from(("plain", "plain", "refine", "normalise")))
    if (changed == "refine" and f != "learned") or (changed == "normalise" and (i, f) != ("learned", "learned")):
        changed = "plain"
    seen = changed == "plain" and draw(st.booleans())
    every = ("peephole", "gates", "block")

    def gate(kind: str, activation: str | None = None) -> dict[str, Any]:
        if kind == "learned":
            return {"kind": kind, **draw(_learned(*every, seen=seen, activation=activation))}
        if kind == "constant":
            return {"kind": kind, "value": draw(NUMBERS)}
        return {"kind": kind, **({} if changed == "refine" else {"offset": draw(NUMBERS)})}

    squashing = "sigmoid" if changed == "normalise" else None
    config: dict[str, Any] = {"input": gate(i, squashing), "forget": gate(f, squashing)}
    config["output"] = gate(draw(st.sampled_from(("learned", "constant"))))
    config["candidate"] = draw(_learned())
    config["squash"] = draw(st.sampled_from(("tanh", *(name for name in SQUASHINGS if name != "gumbel"))))
    if changed == "normalise":
        config["normalise"] = True
    if changed == "refine":
        config["refine"] = {"kind": "learned", **draw(_learned("block"))}
    tied = [{"kind": "same", "of": slot} for slot in ("input", "forget") if config[slot]["kind"] == "learned"]
    resets = [{"kind": "absent"}, {"kind": "learned"}, *(tied if changed == "plain" else [])]
    reset = draw(st.sampled_from(resets if "h" in config["candidate"]["feeds"] else resets[:1]))
    if reset["kind"] != "absent":
        reset["position"] = draw(st.sampled_from(("before", "after")))
    if reset["kind"] == "learned":
        reset.update(draw(_learned("peephole", "block", seen=seen)))
    return {**config, "reset": reset}


def tame(layer: GatedRNN, x: torch.Tensor, state: Any) -> bool:
    """Whether no value of the run is large: a random squashing may feed an exponential back into itself."""
    trace = layer.trace(x, state)[2]
    return all(bool((value.abs() < 1e3).all()) for value in trace.values())


def legal_specs() -> st.SearchStrategy[CellSpec]:
    """Random specs of the gate algebra; each is legal, so that a refusal is a failure."""
    return legal_configs().map(CellSpec.from_config)
