"""The baselines compute what they are said to compute, and the report says what was met. No time is tested."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from experiments.benchmark import gains, small_nets
from experiments.benchmark.busy_machine import machine
from experiments.benchmark.cases import Case, cases
from experiments.benchmark.contestants import Workers
from experiments.benchmark.loops import EagerLoop
from experiments.benchmark.measure import measure
from experiments.benchmark.table import markdown
from lstm_variants import GatedRNN
from lstm_variants.gate import SYMBOLS


def weights_of(layer: GatedRNN, loop: EagerLoop) -> dict[str, Tensor]:
    """The layer's weights as the loop of the same variant wants them."""
    gates, H = layer.gates(), layer.hidden_size
    slots = {symbol: slot for slot, symbol in SYMBOLS.items()}
    W, U, b = [], [], []
    found = {}
    for k, width in loop.loop.widths.items():
        parts = gates[slots[k]]
        W.append(parts["x"] if "x" in parts else torch.zeros(width, layer.input_size))
        b.append(parts["b"] if "b" in parts else torch.zeros(width))
        if slots[k] in loop.loop.fed:
            U.append(parts["h"])
        found[f"p_{k}"] = parts.get("c")
        found |= {f"R_{k}{SYMBOLS[source]}": matrix.T for source, matrix in parts.get("gates", {}).items()}
    candidate = gates["candidate"]
    found["U_z"] = candidate["h"].T if "h" in candidate else None
    if loop.loop.q:
        U.append(candidate["h"])
        found["b_hz"] = candidate["bh"]
    found |= {"W": torch.cat(W).T, "b": torch.cat(b), "U": torch.cat([*U, torch.zeros(0, H)]).T}
    return {name: found[name] for name in loop.weights}


@pytest.mark.parametrize("case", [c for c in cases() if c.name == c.variant], ids=lambda case: case.name)
def test_the_eager_loop_is_the_variant(case: Case) -> None:
    torch.manual_seed(0)
    layer = GatedRNN(case.spec, 2, 4, engine="reference", dtype=torch.float64)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    loop = EagerLoop(case.spec, 2, 4).double()
    loop.load_state_dict({f"weights.{name}": weight for name, weight in weights_of(layer, loop).items()})
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(loop(x)[0], layer(x)[0], rtol=1e-12, atol=1e-12)


@pytest.fixture
def workers() -> Iterator[Workers]:
    pool = Workers(2)
    yield pool
    pool.close()


@pytest.mark.slow
def test_a_row_has_every_ratio_and_says_what_was_missed(workers: Workers) -> None:
    case = Case("small", "peephole", 4, 2, 3, 3, must={"a": 1e-9, "b": 1e9, "c": 1e-9})
    row = measure(case, workers, rounds=7, sample=1)
    assert set("abc") <= set(row["ratios"])
    assert row["missed"] == {"b": 1e9}
    report = {
        "machine": machine(),
        "cases": [row],
        "small": [],
        "sampling": {"copy": 0.01},
        "overhead": {},
        "memory": {},
        "study": {},
    }
    report["mirror"] = {"both": 21.0, "bare": 15.0}
    assert "21.0 ms (must 20: **missed**)" in markdown(report)
    assert "(must 1e+09: **missed**)" in markdown(report)
    assert "at most copy 1.0%" in markdown(report)


def test_small_nets_say_where_a_step_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    short = ["task=counting", "train.batch_size=2", "train.eval_size=2", "task.length=2"]
    monkeypatch.setattr(small_nets, "LINES", {"counting": short})
    monkeypatch.setattr(small_nets, "MODELS", 2)
    (line,) = small_nets.measure(rounds=1)
    assert all(line[part] >= 0 for part in (*small_nets.PARTS, "step", "evaluation", "evaluation kernel"))
    assert "| counting |" in small_nets.markdown([line])


def test_what_is_gained_stands_on_one_screen() -> None:
    def row(name: str, variant: str, a: float, engine: str = "auto") -> dict[str, object]:
        return {
            "name": name,
            "variant": variant,
            "hidden": 64,
            "models": 8,
            "engine": engine,
            "ratios": {"a": {"median": a}},
        }

    rows = [
        row("LSTM H=64", "lstm", 2.5),
        row("mgu", "mgu", 2.0),
        row("janet", "janet", 3.0),
        row("slim1", "slim1", 1.5),
    ]
    report = {"cases": [*rows, row("reference engine", "lstm", 0.1, "reference")], "study": {"ratio": [4.0]}}
    assert gains.table(report)[2:] == [
        "| LSTM H=64, 8 at once | 2.5 |  |  |  |",
        "| 3 variants, H=64, 8 at once | 2.0 (1.5 to 3.0) |  |  |  |",
        "| a whole study, command to records | 4.0 times a skilled user's script | | | |",
    ]
    assert gains.table({"cases": [], "study": {}}) == []
