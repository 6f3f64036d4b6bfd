"""What a name means: python -m experiments.show variant|task [NAME ...]"""

from __future__ import annotations

import functools
import inspect
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from analysis.common.command_line import CommandError, about, command
from experiments import tasks
from experiments.config.catalogue import config_file, names
from experiments.config.compose import compose
from experiments.config.extensions_option import use_extensions
from experiments.config.resolve import resolve
from experiments.tasks.base import Task, TaskError
from lstm_variants.catalogue.cards import card, difference, family_table
from lstm_variants.catalogue.variant_names import describe
from lstm_variants.catalogue.variants import load


@dataclass
class Options:
    """Show what variants compute or what tasks ask for.

    `show variant` lists the family; with a name it prints the equation, the change against the complete LSTM marked as
    [-removed-]{+added+}; with two names the difference between them. Words such as `variant.forget.feeds=x` change the
    variants shown, as they change those of a run. `show task` lists the tasks; with a name it prints a sample sequence
    and its target, with `task.layout=1997`, `task.path=FILE` and the like those of that task.
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
        settings: ``variant.KEY=VALUE`` or ``task.KEY=VALUE``, changes to the variants or tasks shown.

    Raises:
        CommandError: for an unknown kind or name, and for a change that cannot be made.
    """
    kind, *chosen = options.what or ["nothing"]
    if kind not in ("variant", "task"):
        raise CommandError(f"{kind}: legal are variant, task")
    try:
        use_extensions(options.extensions or None)
        if wrong := next((word for word in settings if not word.startswith(f"{kind}.")), None):
            raise CommandError(f"{wrong}: changes to what is shown begin with {kind}.")
        if settings and not chosen:
            raise CommandError(f"{settings[0]}: a {kind} must be named")
        cards = (show_variants if kind == "variant" else show_tasks)(chosen, options, settings)
        print("\n\n".join(cards))
    except ValueError as error:
        raise CommandError(str(error)) from None


def show_variants(chosen: Sequence[str], options: Options, changes: Sequence[str] = ()) -> Iterable[str]:
    """The family as a table, or the cards of variants and the difference: between two, or of a change to its file."""
    if not chosen:
        return [family_table(options.input_size, options.hidden_size)]
    shown = [describe(load(name, *changes)) for name in chosen]
    cards = [card(variant, options.input_size, options.hidden_size) for variant in shown]
    if len(shown) == 2:
        cards.append(difference(*shown))
    elif len(shown) == 1 and changes and (before := describe(load(chosen[0]))).name != "lstm":
        cards.append(difference(before, shown[0]))
    return cards


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
            lines = _levels(name)
        rows.append((f"`{name}`", _summary(name), *lines))
    return tabulate(rows, ("task", "what it asks", "chance", "solved"), tablefmt="pipe", disable_numparse=True)


def _levels(name: str) -> tuple[str, str]:
    """A task's chance and its threshold, or why they cannot be had here."""
    try:
        task = _task(name)
    except TaskError as error:  # what it is made with is missing
        return str(error), ""
    return _line(task, task.chance), _line(task, task.solved)


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
    settings = [word for word in words if word.startswith(("variant.", "task."))]
    body = functools.partial(show, settings=settings)
    return command("python -m experiments.show", Options, body, [word for word in words if word not in settings])


if __name__ == "__main__":
    sys.exit(main())
