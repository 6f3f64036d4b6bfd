"""How fast a stack of models trains, beside what one would otherwise do: ``python -m experiments.benchmark``.

A case is one training step (forward, mean square of the output, backward, Adam) of M models of one variant. In every
round ours and each baseline run once, in turn, in this process:

- (a) nn.LSTM (nn.GRU for the GRU), one model after another, on 1 or on all threads, the better of the two in each round
- (b) the same models spread over as many processes as there are cores, one thread each, at the same time
- (c) the variant as one's own loop over time in eager torch, one model after another
- (d) JAX, jit(vmap(scan)) over all models, if it is installed

A ratio is a baseline's time over ours in the same round; the table has the median and the range of the middle half.
Of baselines that run one model after another, ``sample`` models are timed and the time is multiplied.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from analysis.commandline import CommandError, about, command
from experiments import overhead
from lstm_variants import CellSpec, GatedRNN
from lstm_variants.engines import native
from lstm_variants.spec import COMPLETE_LSTM

INPUTS = 2
Step = Callable[[], None]


@dataclass(frozen=True)
class Case:
    """A row of the goal table: sizes, and by baseline letter the ratio that must be and the one aimed at."""

    name: str
    variant: str
    hidden: int
    batch: int
    steps: int
    models: int
    must: dict[str, float]
    aim: dict[str, float] = field(default_factory=dict)
    quick: bool = False
    engine: str = "auto"


def _variants() -> list[Case]:
    """Every variant of the gate algebra, beside nn.LSTM."""
    must, aim, shown = {"a": 1.3, "c": 5.0, "d": 2.5}, {"a": 2.0, "c": 10.0}, ("coupled_gates", "peephole")
    names = sorted(
        path.stem for path in COMPLETE_LSTM.parent.glob("*.yaml") if path.stem not in ("lstm", "gru", *shown)
    )
    chosen = [name for name in names if _spec(name).cell == "gated" and not _spec(name).noisy]
    return [Case(name, name, 64, 32, 200, 8, must, aim, quick=name in shown) for name in (*shown, *chosen)]


def cases() -> list[Case]:
    """The goal table's rows for the CPU."""
    return [
        Case("LSTM H=64", "lstm", 64, 32, 200, 8, {"a": 1.5, "b": 1.2}, {"a": 2.5, "b": 1.6}, quick=True),
        Case("LSTM H=32", "lstm", 32, 16, 200, 8, {"a": 2.2, "b": 1.3}, {"a": 4.0, "b": 2.0}, quick=True),
        Case("LSTM H=128", "lstm", 128, 32, 200, 8, {"a": 1.7, "b": 1.15}, {"a": 2.2, "b": 1.5}),
        Case("GRU H=64", "gru", 64, 32, 200, 8, {"a": 3.0}, {"a": 5.0}, quick=True),
        Case("GRU H=128", "gru", 128, 32, 200, 8, {"a": 3.0}, {"a": 5.0}),
        Case("tiny B=1", "lstm", 12, 1, 72, 20, {"a": 8.0}, {"a": 20.0}, quick=True),
        Case("tiny B=8", "lstm", 12, 8, 72, 20, {"a": 8.0}, {"a": 20.0}, quick=True),
        *(
            Case(f"one LSTM H={h}", "lstm", h, 32, 200, 1, {"a": 0.9}, {"a": 1.2}, quick=h == 64)
            for h in (64, 128, 256)
        ),
        Case("LSTM H=256 B=128", "lstm", 256, 128, 100, 4, {"a": 1.2}, {"a": 1.5}),
        Case("reference engine", "lstm", 64, 32, 200, 8, {}, {"a": 0.7}, engine="reference"),
        *_variants(),
    ]


@dataclass
class Options:
    """Time training steps of stacked models beside nn.LSTM, processes, eager loops and JAX."""

    quick: bool = field(default=False, metadata=about("the main cases only, half the steps; within a minute"))
    only: list[str] = field(default_factory=list, metadata=about("cases whose name contains one of these", "GRU,tiny"))
    rounds: int = field(default=7, metadata=about("rounds of each case, 7 or more"))
    sample: int = field(default=1, metadata=about("models timed of a baseline that runs one after another"))
    out: str = field(default="outputs/benchmark", metadata=about("folder for benchmark.json and benchmark.md"))


# ---- what is timed ---------------------------------------------------------------------------------------------------


def _spec(variant: str) -> CellSpec:
    content = yaml.safe_load(COMPLETE_LSTM.with_name(f"{variant}.yaml").read_text(encoding="utf-8"))
    return CellSpec.from_config({key: value for key, value in content.items() if key != "defaults"})


def _training(module: nn.Module, x: Tensor) -> Step:
    """One step of training on x."""
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-4)

    def step() -> None:
        optimiser.zero_grad()
        output, _ = module(x)
        output.square().mean().backward()
        optimiser.step()

    return step


def _ours(case: Case) -> Step:
    layer = GatedRNN(_spec(case.variant), INPUTS, case.hidden, models=case.models, engine=case.engine)
    return _training(layer, torch.randn(case.models, case.steps, case.batch, INPUTS))


def _torchs(case: Case, models: int) -> Step:
    """nn.LSTM or nn.GRU, one model after another."""
    kind = nn.GRU if case.variant == "gru" else nn.LSTM
    steps = [_training(kind(INPUTS, case.hidden), torch.randn(case.steps, case.batch, INPUTS)) for _ in range(models)]

    def step() -> None:
        for own in steps:
            own()

    return step


class EagerLoop(nn.Module):
    """What one writes for a variant: all gates in one product per step, the rest gate by gate."""

    def __init__(self, inputs: int, hidden: int, coupled: bool, peephole: bool) -> None:
        super().__init__()
        self.coupled, self.gates = coupled, 3 if coupled else 4
        self.x, self.h = nn.Linear(inputs, self.gates * hidden), nn.Linear(hidden, self.gates * hidden, bias=False)
        self.p = nn.Parameter(torch.zeros(3, hidden)) if peephole else None

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """x (T, B, I) -> y (T, B, H)."""
        h = c = x.new_zeros(x.shape[1], self.h.in_features)
        outputs = []
        for projected in self.x(x).unbind(0):
            i, z, o, *f = (projected + self.h(h)).chunk(self.gates, -1)
            if self.p is not None:
                i, f = i + self.p[0] * c, [f[0] + self.p[1] * c]
            i = torch.sigmoid(i)
            c = (1 - i if self.coupled else torch.sigmoid(f[0])) * c + i * torch.tanh(z)
            o = o if self.p is None else o + self.p[2] * c
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), None


def _eager(case: Case) -> Step:
    """One model of the variant in eager torch; for variants without a loop of their own here, the reference engine."""
    own = case.variant in ("lstm", "coupled_gates", "peephole")
    loop = (
        EagerLoop(INPUTS, case.hidden, case.variant == "coupled_gates", case.variant == "peephole")
        if own
        else GatedRNN(_spec(case.variant), INPUTS, case.hidden, engine="reference")
    )
    return _training(loop, torch.randn(case.steps, case.batch, INPUTS))


# ---- baseline (b): a process per core --------------------------------------------------------------------------------


def _work(pipe: Connection) -> None:
    """A worker: builds the case it is sent, then takes one step each time it is told to."""
    torch.set_num_threads(1)
    step: Step | None = None
    while (message := pipe.recv()) is not None:
        if isinstance(message, tuple):
            step = _torchs(*message)
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


# ---- baseline (d) ----------------------------------------------------------------------------------------------------


def _jax(case: Case) -> Step | None:
    """All models by jit(vmap(scan)), or None without JAX or for a variant that is not written here."""
    if importlib.util.find_spec("jax") is None or case.variant not in ("lstm", "gru", "coupled_gates", "peephole"):
        return None
    jax = importlib.import_module("jax")
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    gates = 3 if case.variant in ("gru", "coupled_gates") else 4

    def cell(p: Any, carry: Any, projected: Any) -> Any:
        h, c = carry
        q = h @ p["h"]
        if case.variant == "gru":
            (a_r, a_f, a_z), (q_r, q_f, q_z) = jnp.split(projected, 3, -1), jnp.split(q, 3, -1)
            f = sigmoid(a_f + q_f)
            h = f * h + (1 - f) * jnp.tanh(a_z + sigmoid(a_r + q_r) * q_z)
            return (h, c), h
        i, z, o, *f = jnp.split(projected + q, gates, -1)
        peep = p["p"] if case.variant == "peephole" else jnp.zeros((3, 1))
        i = sigmoid(i + peep[0] * c)
        c = (sigmoid(f[0] + peep[1] * c) if f else 1 - i) * c + i * jnp.tanh(z)
        h = sigmoid(o + peep[2] * c) * jnp.tanh(c)
        return (h, c), h

    def loss(p: Any, x: Any) -> Any:
        zero = jnp.zeros((case.batch, case.hidden))
        _, y = jax.lax.scan(lambda carry, projected: cell(p, carry, projected), (zero, zero), x @ p["x"] + p["b"])
        return (y**2).mean()

    def update(p: Any, m: Any, v: Any, x: Any) -> Any:  # Adam, without its bias correction
        g = jax.grad(loss)(p, x)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        return jax.tree.map(lambda p, m, v: p - 1e-4 * m / (jnp.sqrt(v) + 1e-8), p, m, v), m, v

    width, scale = gates * case.hidden, case.hidden**-0.5
    shapes = {"x": (INPUTS, width), "h": (case.hidden, width), "b": (width,), "p": (3, case.hidden)}
    p = {name: jnp.array(scale * torch.randn(case.models, *shape).numpy()) for name, shape in shapes.items()}
    state = [p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p)]
    x = jnp.array(torch.randn(case.models, case.steps, case.batch, INPUTS).numpy())
    train = jax.jit(jax.vmap(update))

    def step() -> None:
        state[:] = jax.block_until_ready(train(*state, x))

    return step


# ---- timing ----------------------------------------------------------------------------------------------------------


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def _seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _contestants(case: Case, workers: Workers, sample: int) -> dict[str, Callable[[], float]]:
    """By letter, seconds that one step of all models takes."""
    few = min(sample, case.models)
    ours, torchs, jax = _ours(case), _torchs(case, few), _jax(case)

    def better_threads() -> float:
        found = []
        for count in sorted({1, _cores()}):
            with threads(count):
                found.append(_seconds(torchs))
        return min(found) * case.models / few

    contestants = {"ours": lambda: _seconds(ours), "a": better_threads}
    if "b" in case.must:
        workers.tell((case, few))
        share = -(-case.models // len(workers.pipes)) / few
        contestants["b"] = lambda: _seconds(lambda: workers.tell("step")) * share
    if "c" in case.must:
        eager = _eager(case)
        contestants["c"] = lambda: _on_one_thread(eager) * case.models
    if jax is not None:
        contestants["d"] = lambda: _seconds(jax)
    return contestants


def _on_one_thread(step: Step) -> float:
    with threads(1):
        return _seconds(step)


def _middle(values: Sequence[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def measure(case: Case, workers: Workers, rounds: int, sample: int) -> dict[str, Any]:
    """All contestants in turn, in an order that moves on from round to round."""
    contestants = _contestants(case, workers, sample)
    seconds: dict[str, list[float]] = {letter: [] for letter in contestants}
    for number in range(-1, rounds):  # the first round warms up
        order = list(contestants)
        order = order[number % len(order) :] + order[: number % len(order)]
        for letter in order:
            taken = contestants[letter]()
            if number >= 0:
                seconds[letter].append(taken)
    ratios = {
        letter: _middle([theirs / ours for theirs, ours in zip(own, seconds["ours"], strict=True)])
        for letter, own in sorted(seconds.items())
        if letter != "ours"
    }
    return {
        **asdict(case),
        "seconds": {letter: _middle(own) for letter, own in seconds.items()},
        "ratios": ratios,
        "missed": {
            letter: bar for letter, bar in case.must.items() if letter in ratios and ratios[letter]["median"] < bar
        },
    }


# ---- memory ----------------------------------------------------------------------------------------------------------


def _status(name: str) -> float:
    """A line of /proc/self/status, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _growth(pipe: Connection, case: Case, mine: bool) -> None:
    """Megabytes by which three training steps raise the peak of a fresh process, per model."""
    small = Case("", case.variant, 8, 2, 3, 1, {})
    torch.set_num_threads(1)
    (_ours(small) if mine else _torchs(small, 1))()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    step = _ours(case) if mine else _torchs(case, 1)
    for _ in range(3):
        step()
    pipe.send((_status("VmHWM") - before) / (case.models if mine else 1))


def memory(case: Case) -> dict[str, float]:
    """Peak memory of training per run, ours and nn.LSTM's, in megabytes (Linux only)."""
    found: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    for name, mine in (("ours", True), ("nn", False)):
        receive, send = context.Pipe()
        process = context.Process(target=_growth, args=(send, case, mine))
        process.start()
        found[name] = round(receive.recv(), 1)
        process.join()
    return found


# ---- the report ------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What the numbers belong to."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return {
        "cpu": next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor()
        ),
        "cores": _cores(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compiler": native.compiler(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def _busy(facts: dict[str, Any]) -> str:
    load = facts["load"][0]
    if load < 0.5:
        return ""
    return (
        f"**BUSY MACHINE**: {load} processes wanted to run on {facts['cores']} cores before the start; "
        "trust no absolute time and doubt every ratio.\n\n"
    )


def _cell(letter: str, row: dict[str, Any]) -> str:
    ratio = row["ratios"].get(letter)
    if ratio is None:
        return ""
    bar = row["must"].get(letter)
    mark = "" if bar is None else f" (must {bar:g}: {'**missed**' if letter in row['missed'] else 'met'})"
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}-{ratio['high']:.2f}]{mark}"


def markdown(report: dict[str, Any]) -> str:
    """The table."""
    facts = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    lines = [
        "# Training steps, times faster than each baseline",
        "",
        _busy(report["machine"]) + facts,
        "",
        "Median of the ratios of each round, and the range of their middle half. (a) torch's own module in sequence, "
        "(b) a process per core, (c) an eager loop, (d) JAX.",
        "",
        "| case | M | B | T | ours, ms | (a) | (b) | (c) | (d) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["cases"]:
        ours = row["seconds"]["ours"]["median"] * 1000
        cells = " | ".join(_cell(letter, row) for letter in "abcd")
        lines.append(f"| {row['name']} | {row['models']} | {row['batch']} | {row['steps']} | {ours:.1f} | {cells} |")
    if shares := report["sampling"]:
        worst = ", ".join(f"{name} {share:.1%}" for name, share in sorted(shares.items(), key=lambda s: -s[1])[:5])
        lines += ["", f"Drawing a batch, of a training step on the reference engine at H=64: at most {worst}."]
    for mode, seconds in report["overhead"].items():
        lines += ["", f"A one-step run, composed, recorded, wandb {mode}: {1000 * seconds:.0f} ms."]
    for name, own in report["memory"].items():
        lines += ["", f"Peak memory of training per run, {name}: {own['ours']} MB, nn's {own['nn']} MB."]
    return "\n".join(lines) + "\n"


def _chosen(options: Options) -> list[Case]:
    chosen = [case for case in cases() if case.quick or not options.quick]
    if options.only:
        chosen = [case for case in chosen if any(part in case.name for part in options.only)]
    if not chosen:
        raise CommandError(
            f"only={','.join(options.only)}: no such case; there is {', '.join(c.name for c in cases())}"
        )
    return [Case(**{**asdict(c), "steps": c.steps // 2}) if options.quick else c for c in chosen]


def run(options: Options) -> None:
    """Measure, print as it goes, write the report."""
    if options.rounds < 7:
        raise CommandError(f"rounds={options.rounds}: a median of fewer than 7 says little")
    report: dict[str, Any] = {"machine": machine(), "cases": [], "memory": {}, "sampling": {}, "overhead": {}}
    if note := _busy(report["machine"]):
        print(note.strip(), file=sys.stderr, flush=True)
    workers = Workers(_cores())
    try:
        for case in _chosen(options):
            row = measure(case, workers, options.rounds, options.sample)
            report["cases"].append(row)
            print(case.name, *(f"({k}) {_cell(k, row)}" for k in row["ratios"]), file=sys.stderr, flush=True)
    finally:
        workers.close()
    for case in (c for c in _chosen(options) if c.name in ("LSTM H=64", "LSTM H=128") and sys.platform == "linux"):
        report["memory"][case.name] = memory(case)
    if not (options.quick or options.only):
        report["sampling"] = {name: overhead.sampling_share(name) for name in overhead.bundled_tasks()}
        report["overhead"] = {mode: overhead.seconds_per_run(500, mode) for mode in ("disabled", "offline")}
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / "benchmark.md").write_text(markdown(report))
    print(markdown(report))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return command("python -m experiments.benchmark", Options, run, argv)


if __name__ == "__main__":
    sys.exit(main())
