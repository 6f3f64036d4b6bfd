"""Small nets: a whole training step beside its kernel, and what the rest of the time goes to.

Five lines of twenty stacked models with 12 units, each with a seed and so data of its own. The kernel is the native
engine's forward and backward pass alone, on the same inputs. Drawing is the task's own work, laying out puts the
batches of all models side by side. Times are processor seconds of one thread; step and kernel take turns, the ratio is
of their medians, and what is done once a block of data counts as the mean over whole blocks.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from experiments.config.compose import compose
from experiments.config.resolve import resolve
from experiments.training.allocator import keep_freed_memory
from experiments.training.loop import Training
from experiments.training.network import entered
from experiments.training.streams import generator
from lstm_variants.engines import native_training

NAME = "small nets"
MODELS, HIDDEN = 20, 12
LINES = {
    "continual_adding, 8 streams": ["task=continual_adding", "train.batch_size=8"],
    "adding T=50, B=16": ["task=adding", "task.length=50", "train.batch_size=16"],
    "continual_reber, 8 streams": ["task=continual_reber", "train.batch_size=8"],
    "sequential_digits by row, B=16": ["task=sequential_digits", "task.length=8", "train.batch_size=16"],
    "counting, B=10": ["task=counting", "train.batch_size=10"],
}
MUST = 2.0  # times the kernel
PARTS = ("kernel", "drawing", "laying out", "read-out and loss", "optimiser", "rest")


def measure(rounds: int) -> list[dict[str, Any]]:
    """Every line's numbers, in milliseconds.

    Args:
        rounds: blocks of 16 training steps that are timed; three evaluations at most.
    """
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_line(name, overrides, rounds) for name, overrides in LINES.items()]
    finally:
        torch.set_num_threads(before)


def _training(overrides: list[str]) -> Training:
    sizes = [f"model.hidden_size={HIDDEN}", "study=null"]
    return Training([resolve(compose([*overrides, *sizes, f"seed={seed}"])) for seed in range(MODELS)])


def _line(name: str, overrides: list[str], rounds: int) -> dict[str, Any]:
    training = _training(overrides)
    clocks: dict[str, list[float]] = {part: [] for part in ("step", *PARTS, "evaluation", "evaluation kernel")}
    data = _data(training)
    for step in range(4 + 16 * rounds):
        if step == 4:  # warm
            for times in clocks.values():
                times.clear()
        _step(training, step, clocks)
    for _ in range(min(3, rounds)):
        _evaluation(training, clocks)
    found = {part: 1000 * statistics.median(times) for part, times in clocks.items() if times}
    found |= {part: 1000 * seconds for part, seconds in data.items()}
    found["step"] += found["drawing"] + found["laying out"]
    known = sum(found[part] for part in PARTS if part != "rest")
    found["rest"] = max(0.0, found["step"] - known)
    return {"name": name, **found}


def _data(training: Training) -> dict[str, float]:
    """Processor seconds to draw a step's data for all models, and to lay them side by side, over whole blocks."""
    data, seeds = training.data, [job.seed for job in training.jobs]
    blocks = range(1, 1 - (-8 // data.steps))
    size = data.steps * data.batch_size

    def draw() -> None:
        for block in blocks:
            for seed in seeds:
                data.task.training_block(generator(seed, "train", block), size)

    def draw_and_lay_out() -> None:
        for step in range(blocks.start * data.steps, blocks.stop * data.steps):
            data.stacked(seeds, step)

    data.stacked(seeds, 0)  # as in training, there is memory for a block by then
    drawing, both = (_processor(act) / len(blocks) / data.steps for act in (draw, draw_and_lay_out))
    return {"drawing": drawing, "laying out": max(0.0, both - drawing)}


@contextlib.contextmanager
def _timed(where: object, name: str, times: list[float]) -> Iterator[None]:
    """Inside, a function or method of an object is timed."""
    function = getattr(where, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        found = function(*args, **kwargs)
        times.append(time.process_time() - started)
        return found

    setattr(where, name, timed)
    try:
        yield
    finally:
        setattr(where, name, function)


def _processor(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def _step(training: Training, step: int, clocks: dict[str, list[float]]) -> None:
    """One training step without its data, and the kernel on the same data."""
    data = training.data.stacked([training.jobs[model].seed for model in training.alive], step)
    x, lengths = entered(data.inputs, data.lengths, training.network.layer.input_size, training.network.readout_bias)
    state = training.state if training.task.carry else None

    def kernel() -> None:
        y, _, backward = training.network.layer.forward_and_backward(x, state, lengths)
        backward(y)

    clocks["kernel"].append(_processor(kernel))
    with (
        _timed(native_training, "readout", clocks["read-out and loss"]),
        _timed(training.optimiser, "step", clocks["optimiser"]),
    ):
        clocks["step"].append(_processor(lambda: training.step(step)))


def _evaluation(training: Training, clocks: dict[str, list[float]]) -> None:
    """An evaluation without its probes, and of it the layer's forward passes."""
    forward: list[float] = []
    with _timed(training.network.layer, "forward", forward):
        clocks["evaluation"].append(
            _processor(lambda: training.evaluation.scores(training.network, training.alive, training.state))
        )
    clocks["evaluation kernel"].append(sum(forward))


def markdown(lines: list[dict[str, Any]]) -> str:
    """The table: a step and an evaluation of each line, and the shares of a step."""
    rows = [
        f"| {NAME}: {MODELS} stacked, H={HIDDEN} | step, ms | kernel, ms | ratio (must {MUST:g}) | "
        + " | ".join(f"{part}, %" for part in PARTS[1:])
        + " | evaluation, ms | its kernel, ms | ratio |",
        "|---" * 12 + "|",
    ]
    for line in lines:
        ratio = line["step"] / line["kernel"]
        shares = " | ".join(f"{100 * line[part] / line['step']:.0f}" for part in PARTS[1:])
        evaluation = f"{line['evaluation']:.1f} | {line['evaluation kernel']:.1f}"
        rows.append(
            f"| {line['name']} | {line['step']:.2f} | {line['kernel']:.2f} | {ratio:.2f}"
            f"{'' if ratio <= MUST else ' **missed**'} | {shares} | {evaluation} | "
            f"{line['evaluation'] / line['evaluation kernel']:.2f} |"
        )
    return "\n".join(rows)
