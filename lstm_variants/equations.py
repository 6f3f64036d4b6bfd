"""A cell's equations as text and as LaTeX, rendered from its spec.

The text form is exact enough to be computed: ``'`` marks the previous step, ``*`` is element-wise, ``W_k x`` is a
matrix product, ``f~`` is the forget gate before it is refined or normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstm_variants.activations import ACTIVATIONS
from lstm_variants.gate import SYMBOLS
from lstm_variants.spec import CellSpec

LAYER_NORM_EPSILON = 1e-5  # beside the variance, so that equal values become zeros


@dataclass(frozen=True)
class Equation:
    """One line: ``symbol = text``, its LaTeX, and a remark such as "b_f frozen"."""

    symbol: str
    text: str
    latex: str
    remark: str = ""

    def __str__(self) -> str:
        return f"{self.symbol} = {self.text}" + (f"    ({self.remark})" if self.remark else "")


@dataclass(frozen=True)
class _Expression:
    """The same expression in both notations."""

    text: str
    latex: str

    def __add__(self, other: _Expression) -> _Expression:
        return _Expression(f"{self.text} + {other.text}", f"{self.latex} + {other.latex}")


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _sum(terms: list[_Expression]) -> _Expression:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _normed(argument: _Expression, gain: str, shift: str = "") -> _Expression:
    """The layer-normalised argument, with a gain and perhaps a shift."""
    text, latex = (
        f"g_{gain} * LN({argument.text})",
        rf"g_{{{gain}}} \odot \operatorname{{LN}}\left({argument.latex}\right)",
    )
    return _Expression(text, latex) + _Expression(shift, shift) if shift else _Expression(text, latex)


def _apply(activation: str, argument: _Expression) -> _Expression:
    if activation == "identity":
        return argument
    phi = ACTIVATIONS[activation].latex
    return _Expression(f"{activation}({argument.text})", rf"{phi}\left({argument.latex}\right)")


class _Renderer:
    def __init__(self, spec: CellSpec) -> None:
        self.spec = spec

    def preactivation(self, slot: str) -> list[_Expression]:
        spec, gate, k = self.spec, self.spec[slot], SYMBOLS[slot]
        terms = []
        if "x" in gate.feeds:
            terms.append(self.product(slot, "x", _Expression(f"W_{k} x", f"W_{k} x_t")))
        if "h" in gate.feeds and (slot != "candidate" or spec.reset.kind == "absent"):
            terms.append(self.product(slot, "h", _Expression(f"U_{k} h'", f"U_{k} h_{{t-1}}")))
        if gate.gates:
            for source in spec.seen_gates:
                s = SYMBOLS[source]
                terms.append(_Expression(f"R_{k}{s} {s}'", f"R_{{{k}{s}}} {s}_{{t-1}}"))
        if "b" in gate.feeds:
            terms.append(_Expression(f"b_{k}", f"b_{k}"))
        if gate.peephole:
            c = _Expression("c", "c_t") if slot == "output" else _Expression("c'", "c_{t-1}")
            terms.append(_Expression(f"p_{k} * {c.text}", rf"p_{k} \odot {c.latex}"))
        if slot == "candidate" and spec.reset.kind != "absent":
            terms.append(self._reset_product())
        return terms

    def _reset_product(self) -> _Expression:
        if not self.spec.reset_after:
            return self.product("candidate", "h", _Expression("U_z (r * h')", r"U_z (r_t \odot h_{t-1})"))
        inner = self.product("candidate", "h", _Expression("U_z h'", "U_z h_{t-1}"))
        if "b" in self.spec.candidate.feeds:
            inner = inner + _Expression("b_hz", "b_{hz}")
        return _Expression(f"r * ({inner.text})", rf"r_t \odot ({inner.latex})")

    def product(self, slot: str, part: str, plain: _Expression) -> _Expression:
        """W x or U h', layer-normalised if the spec says so."""
        return _normed(plain, f"{SYMBOLS[slot]}{part}") if self.spec.layer_norm else plain

    def hidden(self) -> Equation:
        """h, with what LN is where it occurs."""
        read = _Expression("c", "c_t")
        if self.spec.normalises_cell:
            read = _normed(read, "c", "b_c")
        squash = _apply(self.spec.squash, read)
        if self.spec.normalises_cell and self.spec.squash == "identity":
            squash = _Expression(f"({squash.text})", rf"\left({squash.latex}\right)")
        normal = f"LN(a) = (a - mean(a)) / sqrt(var(a) + {LAYER_NORM_EPSILON:g}), over the units"
        remark = normal if self.spec.layer_norm else ""
        return Equation("h", f"o * {squash.text}", rf"o_t \odot {squash.latex}", remark)

    def learned(self, slot: str, mark: str = "") -> Equation:
        gate = self.spec[slot]
        value = _apply(gate.activation, _sum(self.preactivation(slot)))
        near = "" if gate.block == "all" else "neighbouring "
        remarks = [] if gate.block == 1 else [f"one value for {gate.block} {near}units"]
        if gate.bias == "frozen":
            recurrent = ", b_hz" if slot == "candidate" and self.spec.reset_after else ""
            remarks.append(f"b_{SYMBOLS[slot]}{recurrent} frozen")
        return Equation(SYMBOLS[slot] + mark, value.text, value.latex, ", ".join(remarks))

    def complement(self, slot: str, partner: str) -> Equation:
        gate, k, p = self.spec[slot], SYMBOLS[slot], SYMBOLS[partner]
        if not gate.offset:
            return Equation(k, f"1 - {p}", f"1 - {p}_t")
        shift = f"{'-' if gate.offset > 0 else '+'} {_number(abs(gate.offset))}"
        inner = _sum(self.preactivation(partner))
        inner = _Expression(f"{inner.text} {shift}", f"{inner.latex} {shift}")
        value = _apply(self.spec[partner].activation, inner)
        if self.spec[partner].activation == "identity":
            value = _Expression(f"({value.text})", rf"\left({value.latex}\right)")
        return Equation(k, f"1 - {value.text}", f"1 - {value.latex}")

    def gate(self, slot: str) -> list[Equation]:
        spec, gate, k = self.spec, self.spec[slot], SYMBOLS[slot]
        if gate.value is not None:
            return [Equation(k, _number(gate.value), _number(gate.value))]
        if slot == "forget" and spec.refine.learned:
            refined = Equation(k, "2 * v * f~ + (1 - 2 * v) * f~^2", r"2 v_t \tilde f_t + (1 - 2 v_t) \tilde f_t^2")
            return [self.learned("forget", "~"), self.learned("refine"), refined]
        return [self.learned(slot)]

    def input_and_forget(self) -> list[Equation]:
        if self.spec.normalise:
            ratios = [
                Equation(k, f"{k}~ / (f~ + i~)", rf"\tilde {k}_t / (\tilde f_t + \tilde i_t)") for k in ("i", "f")
            ]
            return [self.learned("input", "~"), self.learned("forget", "~"), *ratios]
        if self.spec.input.kind == "complement":
            return [*self.gate("forget"), self.complement("input", "forget")]
        if self.spec.forget.kind == "complement":
            return [*self.gate("input"), self.complement("forget", "input")]
        return [*self.gate("input"), *self.gate("forget")]

    def reset(self) -> list[Equation]:
        if self.spec.reset.kind == "same":
            source = SYMBOLS[str(self.spec.reset.of)]
            return [Equation("r", source, f"{source}_t")]
        return [self.learned("reset")] if self.spec.reset.learned else []


def gated_equations(spec: CellSpec) -> list[Equation]:
    """The equations of a spec of the gate algebra, in the order in which a step computes them."""
    render = _Renderer(spec)
    c = Equation("c", "f * c' + i * z", r"f_t \odot c_{t-1} + i_t \odot z_t")
    before = [*render.input_and_forget(), *render.reset(), render.learned("candidate")]
    return [*before, c, *render.gate("output"), render.hidden()]


def latex_line(equation: Equation) -> str:
    """``f_t = \\sigma(...)``, for a LaTeX ``align`` environment."""
    name = equation.symbol.rstrip("~")
    lhs = rf"\tilde {name}" if equation.symbol.endswith("~") else name
    return f"{lhs}_t = {equation.latex}"
