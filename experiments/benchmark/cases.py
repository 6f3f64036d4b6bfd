"""The rows of the goal table for the CPU."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import yaml

from lstm_variants import CellSpec
from lstm_variants.gate import COMPLETE_LSTM

INPUTS = 2


@dataclass(frozen=True)
class Case:
    """A row: sizes, and by baseline letter the ratio that must be and the one aimed at."""

    name: str
    variant: str
    hidden: int
    batch: int
    steps: int
    models: int
    must: dict[str, float] = field(default_factory=dict)
    aim: dict[str, float] = field(default_factory=dict)
    quick: bool = False
    engine: str = "auto"

    @property
    def spec(self) -> CellSpec:
        content = yaml.safe_load(COMPLETE_LSTM.with_name(f"{self.variant}.yaml").read_text(encoding="utf-8"))
        return CellSpec.from_config({key: value for key, value in content.items() if key != "defaults"})

    def halved(self) -> Case:
        """The same with half the steps."""
        return replace(self, steps=self.steps // 2)


def _variants() -> list[Case]:
    """Every variant of the gate algebra, beside nn.LSTM."""
    must, aim, shown = {"a": 1.3, "c": 5.0, "d": 2.5}, {"a": 2.0, "c": 10.0}, ("coupled_gates", "peephole")
    names = sorted(path.stem for path in COMPLETE_LSTM.parent.glob("*.yaml") if path.stem not in ("lstm", "gru"))
    found = [Case(name, name, 64, 32, 200, 8, must, aim, quick=name in shown) for name in names]
    algebra = [case for case in found if case.spec.cell == "gated" and not case.spec.noisy]
    return sorted(algebra, key=lambda case: not case.quick)


def cases() -> list[Case]:
    """All rows."""
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
