"""What a name means: python -m experiments.show variant|task [NAME ...]"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tabulate import tabulate

from analysis.common.command_line import CommandError, about, command
from experiments import tasks
from experiments.config.catalogue import config_file, names
from experiments.config.compose import compose, expand_aliases, load_spec
from experiments.config.extensions import use_extensions
from experiments.config.resolve import resolve
from experiments.tasks.base import Task
from lstm_variants import CellSpec, GatedRNN
from lstm_variants.catalogue import Variant, variants
from lstm_variants.cell import Cell
from lstm_variants.cells import make_cell

LITTLE_IN_COMMON = 0.7  # share of equal terms below which a line is shown as replaced


@dataclass
class Options:
    """Show what variants compute or what tasks ask for.

    `show variant` lists the family; with a name it prints the equation, the change against the complete LSTM marked as
    [-removed-]{+added+}; with two names the difference between them. `show task` lists the tasks; with a name it
    prints a sample sequence and its target, with `task.layout=1997`, `task.path=FILE` and the like those of that task.
    """

    what: list[str] = field(
        default_factory=list, metadata=about("variant or task, then names", example="variant gru", positional=True)
    )
    input_size: int = field(default=8, metadata=about("I, for the parameter count"))
    hidden_size: int = field(default=64, metadata=about("H, for the parameter count"))
    seed: int = field(default=0, metadata=about("seed of a task's sample"))
    plot: str | None = field(default=None, metadata=about("draw a task's sample into this file", example=""))
    extensions: list[str] = field(
        default_factory=list, metadata=about("folders with your own conf/, cells/, tasks/ ..., separated by commas")
    )


def show(options: Options, settings: Sequence[str] = ()) -> None:
    """Print what was asked for.

    Args:
        settings: ``task.KEY=VALUE``, changes to the settings of the tasks shown.

    Raises:
        CommandError: for an unknown kind or name.
    """
    kind, *chosen = options.what or ["nothing"]
    if kind not in ("variant", "task"):
        raise CommandError(f"{kind}: legal are variant, task")
    try:
        use_extensions(options.extensions or None)
        if settings and (kind != "task" or not chosen):
            raise CommandError(f"{settings[0]}: a task must be named")
        cards = show_variants(chosen, options) if kind == "variant" else show_tasks(chosen, options, settings)
        print("\n\n".join(cards))
    except ValueError as error:
        raise CommandError(str(error)) from None


def show_variants(chosen: Sequence[str], options: Options) -> Iterable[str]:
    """The family as a table, one variant's card, or two cards' difference."""
    if not chosen:
        return [family_table(options.input_size, options.hidden_size)]
    for name in chosen:
        load_spec(name)
    known = variants()
    cards = [card(known[_file(name)], options.input_size, options.hidden_size) for name in chosen]
    if len(chosen) == 2:
        cards.append(difference(*(known[_file(name)] for name in chosen)))
    return cards


def _file(name: str) -> str:
    """A variant's file, from its name or alias."""
    return expand_aliases([f"variant={name}"])[0].partition("=")[2]


def family_table(input_size: int, hidden_size: int) -> str:
    """Every variant file as a Markdown table: what changes, how many parameters, where it is from."""
    rows = []
    for variant in _in_order(variants().values()):
        changed = "; ".join(f"`{line}`" for line in changed_equations(variant.spec)) or "the complete LSTM"
        count = make_cell(variant.spec).parameter_count(input_size, hidden_size)
        rows.append((f"`{variant.name}`", changed, f"{count:,}", variant.cite))
    header = ("variant", "what changes", f"parameters (I={input_size}, H={hidden_size})", "source")
    return _without_padding(tabulate(rows, header, tablefmt="github", disable_numparse=True))


def _without_padding(table: str) -> str:
    return re.sub(r"-{4,}", "---", re.sub(r" {2,}", " ", table))


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
    """What the forget gate keeps a step at init ``default`` and no input, its time constant 1/(1 - f) and half-life."""
    layer = GatedRNN(spec, 2, 2, engine="reference", dtype=torch.float64)
    for name, tensor in layer.named_parameters():
        if not name.endswith(".b"):
            tensor.zero_()
    _, _, values = layer.trace(torch.zeros(3, 1, 2, dtype=torch.float64))
    if "forget" not in values:
        return "no forget gate says what is kept"
    keep = values["forget"][-1].mean().item()
    if not 0 < keep < 1:
        return f"keeps {keep:.3g} of the cell each step"
    half_life = math.log(0.5) / math.log(keep)
    memory = f"time constant {1 / (1 - keep):.3g} steps, half-life {half_life:.3g} steps"
    return f"keeps {keep:.3g} of the cell each step: {memory}"


def difference(one: Variant, other: Variant) -> str:
    """What tells two variants apart."""
    mine, theirs = one.spec.difference(other.spec), other.spec.difference(one.spec)
    rows = [f"  {key}: {one.name} {mine[key]}, {other.name} {theirs[key]}" for key in mine]
    lines = {line.symbol: str(line) for line in make_cell(one.spec).equations()}
    changed = [
        f"  {marked_difference(lines.get(line.symbol, ''), str(line))}"
        for line in make_cell(other.spec).equations()
        if lines.get(line.symbol) != str(line)
    ]
    return "\n".join([f"from {one.name} to {other.name}:", *rows, *changed])


def show_tasks(chosen: Sequence[str], options: Options, settings: Sequence[str]) -> Iterable[str]:
    """The tasks as a table, or samples of the named ones."""
    if not chosen:
        return [task_table()]
    if options.plot and len(chosen) > 1:
        raise CommandError(f"plot={options.plot}: one task is needed, {len(chosen)} are named")
    return [task_card(_task(name, settings), name, options) for name in chosen]


def _task(name: str, settings: Sequence[str] = ()) -> Task:
    """A task with its defaults, or changed as a run's command line changes it."""
    defaults = config_file("task", name)
    return resolve(compose([f"task={name}", *settings])).task if settings else tasks.load_task(name, defaults)


def _summary(name: str) -> str:
    return (inspect.getdoc(tasks.task_module(name)) or "").splitlines()[0]


def task_table() -> str:
    """Every task as a Markdown table."""
    rows = []
    for name in names("task"):
        lines = "needs task.path=FILE", ""
        if config_file("task", name).get("path", "") is not None:
            task = _task(name)
            lines = _line(task, task.chance), _line(task, task.solved)
        rows.append((f"`{name}`", _summary(name), *lines))
    return tabulate(rows, ("task", "what it asks", "chance", "solved"), tablefmt="pipe", disable_numparse=True)


def _line(task: Task, value: float | None) -> str:
    return "" if value is None else f"{task.metric} {value:.4g}"


def task_card(task: Task, name: str, options: Options) -> str:
    """A sample sequence with its target, as wide as the terminal, its levels: chance, shortcuts, solved."""
    drawn = task.example(options.seed, shutil.get_terminal_size((120, 24)).columns)
    if options.plot:
        try:
            task.plot(Path(options.plot), options.seed)
        except ValueError as error:  # a file name that matplotlib knows no format for
            raise CommandError(f"plot={options.plot}: {error}") from None
    levels = {
        "chance": _line(task, task.chance) or "not known",
        **{shortcut: _line(task, reference.score) for shortcut, reference in task.references.items()},
        "solved": _line(task, task.solved) or "reported only",
    }
    foot = "   ".join(f"{level}: {value}" for level, value in levels.items())
    return f"{name}: {_summary(name)}\n\n{drawn}\n\n{foot} ({task.unit})"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    words = sys.argv[1:] if argv is None else list(argv)
    settings = [word for word in words if word.startswith("task.")]
    body = functools.partial(show, settings=settings)
    return command("python -m experiments.show", Options, body, [word for word in words if word not in settings])


if __name__ == "__main__":
    sys.exit(main())
