"""Variants as text: the family as a table, one variant's card, the difference between two."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable

import torch

from lstm_variants.catalogue.variants import Variant, variants
from lstm_variants.cell import Cell
from lstm_variants.cells import make_cell
from lstm_variants.layer import GatedRNN
from lstm_variants.spec import CellSpec

LITTLE_IN_COMMON = 0.7  # share of equal terms below which a line is shown as replaced


def family_table(input_size: int, hidden_size: int) -> str:
    """Every variant file as a Markdown table: what changes, how many parameters, where it is from."""
    rows = []
    for variant in _in_order(variants().values()):
        changed = "; ".join(f"`{line}`" for line in changed_equations(variant.spec)) or "the complete LSTM"
        count = make_cell(variant.spec).parameter_count(input_size, hidden_size)
        rows.append((f"`{variant.name}`", changed, f"{count:,}", variant.cite))
    header = ("variant", "what changes", f"parameters (I={input_size}, H={hidden_size})", "source")
    head, *body = (re.sub(r" {2,}", " ", f"| {' | '.join(row)} |") for row in (header, *rows))
    return "\n".join([head, "|---" * len(header) + "|", *body])


def _in_order(known: Iterable[Variant]) -> list[Variant]:
    """The complete LSTM first, then by how much differs from it."""
    return sorted(known, key=lambda v: (v.spec.cell != "gated", len(v.spec.difference()), v.name))


def changed_equations(spec: CellSpec) -> list[str]:
    """The lines of a variant's equations that the complete LSTM does not have."""
    complete = {str(line) for line in make_cell(CellSpec.from_config()).equations()}
    return [str(line) for line in make_cell(spec).equations() if str(line) not in complete]


def card(variant: Variant, input_size: int, hidden_size: int) -> str:
    """A variant's equations, difference, parameter count, initial memory and source."""
    cell = make_cell(variant.spec)
    count = cell.parameter_count(input_size, hidden_size)
    complete = make_cell(CellSpec.from_config()).parameter_count(input_size, hidden_size)
    changes = ", ".join(f"{key}={value}" for key, value in variant.spec.difference().items()) or "nothing"
    facts = [
        ("differs from lstm in", changes),
        ("parameters", f"{count:,} at I={input_size}, H={hidden_size} ({count / complete:.0%} of lstm's {complete:,})"),
        ("at the start", initial_memory(variant.spec)),
        ("source", variant.cite),
    ]
    body = [f"  {line}" for line in marked_equations(cell)]
    return "\n".join([f"{variant.name}: {variant.label}", *body, *(f"  {key + ':':<22}{text}" for key, text in facts)])


def marked_equations(cell: Cell) -> list[str]:
    """A cell's equations, changes against the complete LSTM marked as [-removed-]{+added+}."""
    complete = {line.symbol: str(line) for line in make_cell(CellSpec.from_config()).equations()}
    marked = []
    for line in cell.equations():
        before = complete.get(line.symbol)
        marked.append(f"{{+{line}+}}" if before is None else marked_difference(before, str(line)))
    return marked


def marked_difference(before: str, after: str) -> str:
    """Term by term, ``f = sigmoid(W_f x [-+ U_f h' -]+ b_f)``; a right-hand side with little in common as a whole."""
    old, new = (re.findall(r"[WU]_\w+ [xh][~']?|\s+|[\w~^'.]+|\S", text) for text in (before, after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < LITTLE_IN_COMMON and before:
        symbol, _, right = after.partition(" = ")
        return f"{symbol} = [-{before.partition(' = ')[2]}-]{{+{right}+}}"
    pieces = []
    for tag, i, j, k, m in matcher.get_opcodes():
        removed, added = "".join(old[i:j]), "".join(new[k:m])
        if tag == "equal":
            pieces.append(removed)
        else:
            pieces.append((f"[-{removed}-]" if removed else "") + (f"{{+{added}+}}" if added else ""))
    return "".join(pieces)


@torch.no_grad()
def initial_memory(spec: CellSpec) -> str:
    """The forget gate f at init ``default`` and no input: what a step leaves, f's half-life, its time constant."""
    layer = GatedRNN(spec, 2, 2 * spec.unit_step, engine="reference", dtype=torch.float64)
    for name, tensor in layer.named_parameters():
        if not name.endswith(".b"):
            tensor.zero_()
    _, _, values = layer.trace(torch.zeros(3, 1, 2, dtype=torch.float64))
    if "forget" not in values:
        return "no forget gate says what is kept"
    keep = values["forget"][-1].mean().item()
    if not 0 < keep < 1:
        return f"the forget gate is {keep:.3g}"
    half_life = f"{math.log(0.5) / math.log(keep):.3g}"
    half = f"{half_life} steps leave half of it" if half_life != "1" else "1 step leaves half of it"
    left = f"a step leaves {keep:.1%} of the cell, {half}"
    return f"the forget gate is {keep:.3g}: {left} (time constant {-1 / math.log(keep):.3g} steps)"


def difference(first: Variant, second: Variant) -> str:
    """What tells two variants apart."""
    mine, theirs = first.spec.difference(second.spec), second.spec.difference(first.spec)
    rows = [f"  {key}: {first.name} {mine[key]}, {second.name} {theirs[key]}" for key in mine]
    lines = {line.symbol: str(line) for line in make_cell(first.spec).equations()}
    changed = [
        f"  {marked_difference(lines.get(line.symbol, ''), str(line))}"
        for line in make_cell(second.spec).equations()
        if lines.get(line.symbol) != str(line)
    ]
    return "\n".join([f"from {first.name} to {second.name}:", *rows, *changed])
