"""A variant as the loop over time that one writes oneself, in eager torch or in JAX: baselines (c) and (d).

The loop is read off the equations' text, and written as a careful user would: what x gives is computed for all steps
ahead, what h gives is one product a step for all gates, the rest goes gate by gate.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.benchmark.cases import INPUTS, Case
from lstm_variants.activations import ACTIVATIONS
from lstm_variants.cell import GatedCell
from lstm_variants.equations import gated_equations
from lstm_variants.gate import SYMBOLS
from lstm_variants.spec import CellSpec


def _python(text: str) -> str:
    """``sigmoid(W_f x + U_f h' + b_f)`` is ``sigmoid(a_f)``; ``q`` is the product behind a reset gate."""
    for pattern, by in (
        (r"r \* \(U_z h'(?: \+ b_hz)?\)", "r * q"),
        (r"U_z \(r \* h'\)", "((r * h_before) @ U_z)"),
        (r"R_(\w)(\w) \w'", r"(\2_before @ R_\1\2)"),
        (r" \+ (?:U_\w h'|b_\w)(?= |$|\))", ""),
        (r"(?:W_(\w) x|U_(\w) h'|\bb_(\w)\b)", lambda m: f"a_{m[1] or m[2] or m[3]}"),
    ):
        text = re.sub(pattern, by, text)
    return text.replace("'", "_before").replace("~", "_own").replace("^", "**")


class Loop:
    """One step of a variant, with its weights side by side.

    Attributes:
        shapes: W (I, all gates), b (all gates), U (H, what h feeds), and U_z, R_kj, p_k, b_hz where the cell has them.
    """

    def __init__(self, spec: CellSpec, inputs: int, hidden: int) -> None:
        own = GatedCell(spec).shapes(inputs, hidden)
        self.fields = ("h", "c", *(SYMBOLS[slot] for slot in spec.seen_gates))
        self.fed = [k for k in own if "h" in own[k] and not (k == "candidate" and spec.reset.kind != "absent")]
        self.q = spec.reset.kind != "absent" and spec.reset_after
        order = [*self.fed, *(k for k in own if k not in self.fed)]
        self.widths = {SYMBOLS[k]: spec[k].rows(hidden) for k in order}
        blocks = {SYMBOLS[k]: 1 if spec[k].block == "all" else int(spec[k].block) for k in order}
        self.places = {k: np.repeat(np.arange(self.widths[k]), block) for k, block in blocks.items()}  # of each unit
        self.behind_h = sum(self.widths[SYMBOLS[k]] for k in self.fed)
        columns = sum(self.widths.values())
        self.shapes: dict[str, tuple[int, ...]] = {"W": (inputs, columns), "b": (columns,)}
        if self.behind_h or self.q:
            self.shapes["U"] = (hidden, self.behind_h + self.q * hidden)
        if self.q:
            self.shapes["b_hz"] = (hidden,)
        elif "h" in own["candidate"] and "candidate" not in self.fed:
            self.shapes["U_z"] = (hidden, hidden)
        for k, parts in own.items():
            self.shapes |= {f"R_{SYMBOLS[k]}{SYMBOLS[source]}": (hidden, hidden) for source in parts.get("gates", ())}
            self.shapes |= {f"p_{SYMBOLS[k]}": (hidden,)} if "c" in parts else {}
        self.program: list[tuple[str, CodeType]] = [
            (_python(e.symbol), compile(_python(e.text), e.symbol, "eval")) for e in gated_equations(spec)
        ]

    def step(
        self, functions: Mapping[str, Any], weights: Mapping[str, Any], projected: Any, state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The state after a step: projected = x W + b of the step, (B, all gates); fields (B, H)."""
        names = {**functions, **weights, **{f"{field}_before": value for field, value in state.items()}}
        if "U" in weights:
            fed = state["h"] @ weights["U"]
            if self.q:
                names["q"] = fed[:, self.behind_h :] + weights["b_hz"]
            with_h = projected[:, : self.behind_h] + fed[:, : self.behind_h]
        first = 0
        for k, width in self.widths.items():
            source = with_h if first < self.behind_h else projected
            names[f"a_{k}"] = source[:, first : first + width]
            if 1 < len(self.places[k]) != width:
                names[f"a_{k}"] = names[f"a_{k}"][:, self.places[k]]
            first += width
        for symbol, code in self.program:
            names[symbol] = eval(code, {}, names)
        return {field: names[field] for field in state}


class EagerLoop(nn.Module):
    """The loop in eager torch; x (T, B, I) -> y (T, B, H)."""

    functions = {name: activation.phi for name, activation in ACTIVATIONS.items()}  # noqa: RUF012

    def __init__(self, spec: CellSpec, inputs: int, hidden: int) -> None:
        super().__init__()
        self.loop, self.hidden = Loop(spec, inputs, hidden), hidden
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(hidden**-0.5 * torch.randn(shape)) for name, shape in self.loop.shapes.items()}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        weights = dict(self.weights.items())
        state = dict.fromkeys(self.loop.fields, x.new_zeros(x.shape[1], self.hidden))
        outputs = []
        for projected in (x @ weights["W"] + weights["b"]).unbind(0):
            state = self.loop.step(self.functions, weights, projected, state)
            outputs.append(state["h"])
        return torch.stack(outputs), None


def _jax_functions(jax: Any) -> dict[str, Callable[[Any], Any]]:
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    return {
        "sigmoid": sigmoid,
        "tanh": jnp.tanh,
        "relu": jax.nn.relu,
        "exp": jnp.exp,
        "hard_sigmoid": jax.nn.hard_sigmoid,
        "clipped_linear": lambda a: jnp.clip(a / 4 + 0.5, 0, 1),
        "elliott": lambda a: 0.5 + a / (2 * (1 + abs(a))),
        "double_sigmoid": lambda a: 2 * sigmoid(a),
        "binary": lambda a: sigmoid(a) + jax.lax.stop_gradient((a > 0) - sigmoid(a)),
    }


def jax_training(case: Case) -> Callable[[], None] | None:
    """A training step of all models by jit(vmap(scan)), with Adam; None without JAX."""
    try:
        jax = importlib.import_module("jax")
    except ImportError:
        return None
    jnp, functions, loop = jax.numpy, _jax_functions(jax), Loop(case.spec, INPUTS, case.hidden)

    def loss(p: Any, x: Any) -> Any:
        state = dict.fromkeys(loop.fields, jnp.zeros((case.batch, case.hidden)))

        def body(state: Any, projected: Any) -> Any:
            after = loop.step(functions, p, projected, state)
            return after, after["h"]

        _, y = jax.lax.scan(body, state, x @ p["W"] + p["b"])
        return ((y @ p["readout"]) ** 2).mean()

    def update(p: Any, m: Any, v: Any, x: Any) -> Any:  # Adam, without its bias correction
        g = jax.grad(loss)(p, x)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        return jax.tree.map(lambda p, m, v: p - 1e-4 * m / (jnp.sqrt(v) + 1e-8), p, m, v), m, v

    shapes = {**loop.shapes, "readout": (case.hidden, 1)}
    scale = case.hidden**-0.5
    p = {name: jnp.array(scale * torch.randn(case.models, *shape).numpy()) for name, shape in shapes.items()}
    state = [p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p)]
    x = jnp.array(torch.randn(case.models, case.steps, case.batch, INPUTS).numpy())
    train = jax.jit(jax.vmap(update))

    def step() -> None:
        state[:] = jax.block_until_ready(train(*state, x))

    return step
