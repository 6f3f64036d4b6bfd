"""A study as a skilled user of torch writes it in one script: the baseline of ``whole_study``.

nn.LSTM and nn.GRU where they will do, a loop over time for the other variants, Adam, one process per core or all
threads in one process, a CSV of evaluations.

python experiments/benchmark/users_script.py OUT.csv STEPS EVERY PROCESSES THREADS VARIANT,... LR,... SEED,...
"""

from __future__ import annotations

import csv
import itertools
import multiprocessing
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LENGTH, HIDDEN, BATCH, EVALUATED = 100, 32, 32, 512


def adding(size: int) -> tuple[Tensor, Tensor]:
    """The adding task: x (T, B, 2), the sum of the two marked values (B,)."""
    values, marks = torch.rand(LENGTH, size), torch.zeros(LENGTH, size)
    for low in (0, LENGTH // 2):
        marks.scatter_(0, torch.randint(low, low + LENGTH // 2, (1, size)), 1.0)
    return torch.stack([values, marks], -1), (values * marks).sum(0)


class LoopLSTM(nn.Module):
    """An LSTM variant as a loop: one product a step for all gates; x (T, B, I) -> y (T, B, H)."""

    def __init__(self, variant: str, inputs: int, hidden: int) -> None:
        super().__init__()
        absent = {"coupled_gates": "f"}.get(variant, variant[3] if variant.startswith("no_") else "")
        self.gates = [gate for gate in "ifo" if gate != absent]
        self.coupled = variant == "coupled_gates"
        self.x = nn.Linear(inputs, (len(self.gates) + 1) * hidden)
        self.h = nn.Linear(hidden, (len(self.gates) + 1) * hidden, bias=False)
        self.p = nn.Parameter(torch.zeros(3, hidden)) if variant == "peephole" else None

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        h = c = x.new_zeros(x.shape[1], self.h.in_features)
        outputs = []
        for projected in self.x(x).unbind(0):
            *gates, z = (projected + self.h(h)).chunk(len(self.gates) + 1, -1)
            a = dict(zip(self.gates, gates, strict=True))
            if self.p is not None:
                a["i"], a["f"] = a["i"] + self.p[0] * c, a["f"] + self.p[1] * c
            i = torch.sigmoid(a["i"]) if "i" in a else 1.0
            f = 1 - i if self.coupled else torch.sigmoid(a["f"]) if "f" in a else 1.0
            c = f * c + i * torch.tanh(z)
            if self.p is not None:
                a["o"] = a["o"] + self.p[2] * c
            h = torch.sigmoid(a["o"]) * torch.tanh(c) if "o" in a else torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), None


class Model(nn.Module):
    """A recurrent layer and its read-out at the last step."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        torchs = {"lstm": nn.LSTM, "gru": nn.GRU}
        self.layer = torchs[variant](2, HIDDEN) if variant in torchs else LoopLSTM(variant, 2, HIDDEN)
        self.readout = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(x)
        output: Tensor = self.readout(y[-1])
        return output.squeeze(-1)


def run(setting: tuple[str, float, int, int, int, int]) -> list[tuple[str, float, int, int, float]]:
    """Train one model; a row an evaluation."""
    variant, lr, seed, steps, every, threads = setting
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = Model(variant)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    x_evaluation, y_evaluation = adding(EVALUATED)
    rows = []
    for step in range(steps + 1):
        if step % every == 0:
            with torch.no_grad():
                rows.append((variant, lr, seed, step, F.mse_loss(model(x_evaluation), y_evaluation).item()))
        if step < steps:
            x, y = adding(BATCH)
            loss = F.mse_loss(model(x), y)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
    return rows


def main(out: str, steps: str, every: str, processes: str, threads: str, *axes: str) -> None:
    """Train every combination, write the CSV."""
    variants, rates, seeds = (axis.split(",") for axis in axes)
    points = itertools.product(variants, map(float, rates), map(int, seeds))
    settings = [(*point, int(steps), int(every), int(threads)) for point in points]
    if processes == "1":
        found = [run(setting) for setting in settings]
    else:
        with multiprocessing.Pool(int(processes)) as pool:
            found = pool.map(run, settings, chunksize=1)
    with open(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("variant", "lr", "seed", "step", "loss"))
        writer.writerows(row for rows in found for row in rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
