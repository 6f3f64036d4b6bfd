"""Ours and the baselines: one training step of all models of a case each.

A step is what training does: the layer, a linear read-out of every time step, its mean square, backward, Adam.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

from analysis.common import resources
from experiments.benchmark.cases import INPUTS, Case
from experiments.benchmark.loops import EagerLoop, jax_training
from lstm_variants import GatedRNN

Step = Callable[[], None]


def _training(layer: nn.Module, x: Tensor) -> Step:
    """One step of training on x, (T, B, I) or (M, T, B, I)."""
    models = x.shape[:-3]
    hidden = next(size for name, size in vars(layer).items() if name in ("hidden_size", "hidden"))
    readout = nn.Parameter(hidden**-0.5 * torch.randn(*models, hidden, 1))
    optimiser = torch.optim.Adam([*layer.parameters(), readout], lr=1e-4)

    def step() -> None:
        optimiser.zero_grad()
        output, _ = layer(x)
        (output.reshape(*models, -1, hidden) @ readout).square().mean().backward()
        optimiser.step()

    return step


def ours(case: Case) -> Step:
    """All models as one stack."""
    layer = GatedRNN(case.spec, INPUTS, case.hidden, models=case.models, engine=case.engine)
    return _training(layer, torch.randn(case.models, case.steps, case.batch, INPUTS))


def torchs(case: Case, models: int) -> Step:
    """nn.LSTM or nn.GRU, one model after another."""
    kind = nn.GRU if case.variant == "gru" else nn.LSTM
    steps = [_training(kind(INPUTS, case.hidden), torch.randn(case.steps, case.batch, INPUTS)) for _ in range(models)]

    def step() -> None:
        for own in steps:
            own()

    return step


# ---- baseline (b): a process per core --------------------------------------------------------------------------------


def _work(pipe: Connection) -> None:
    """A worker: builds the case it is sent, then takes one step each time it is told to."""
    torch.set_num_threads(1)
    step: Step | None = None
    while (message := pipe.recv()) is not None:
        if isinstance(message, tuple):
            step = torchs(*message)
            step()
        elif step is not None:
            step()
        pipe.send(True)


class Workers:
    """One process per core, one thread each."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes, self.processes = [], []
        for _ in range(count):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            self.pipes.append(mine)
            self.processes.append(process)

    def tell(self, message: object) -> None:
        """Send to all, wait for all."""
        for pipe in self.pipes:
            pipe.send(message)
        for pipe in self.pipes:
            pipe.recv()

    def close(self) -> None:
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.send(None)
            process.join()


# ---- by letter -------------------------------------------------------------------------------------------------------


def seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def _better_threads(step: Step) -> float:
    """On one thread and on all, whichever is faster this time."""
    found = []
    for count in sorted({1, resources.cores()}):
        with threads(count):
            found.append(seconds(step))
    return min(found)


def contestants(case: Case, workers: Workers, sample: int) -> dict[str, Callable[[], float]]:
    """By letter, the seconds that one step of all models takes; ``sample`` models are timed of those in sequence."""
    few = min(sample, case.models)
    own, theirs, jax = ours(case), torchs(case, few), jax_training(case) if "d" in case.must else None
    found = {"ours": lambda: seconds(own), "a": lambda: _better_threads(theirs) * case.models / few}
    if "b" in case.must:
        workers.tell((case, few))
        share = -(-case.models // len(workers.pipes)) / few
        found["b"] = lambda: seconds(lambda: workers.tell("step")) * share
    if "c" in case.must:
        eager = _training(EagerLoop(case.spec, INPUTS, case.hidden), torch.randn(case.steps, case.batch, INPUTS))
        found["c"] = lambda: _better_threads(eager) * case.models
    if jax is not None:
        found["d"] = lambda: seconds(jax)
    return found
