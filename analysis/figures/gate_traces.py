"""What does a trained net keep and forget, step by step?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import GATES, fold_title, shown
from analysis.figures._strips import OFTEN, Strips, by_own_largest, values
from analysis.figures._text import plain
from analysis.figures._theme import EVENT, GATE_SHADES, SIGNED_SHADES, SMALL
from analysis.records.inside import Array, Inside

LAYOUT = Layout(order=200, base=5.9, part="Looking inside", wide=True)
CAPTION = (
    "One evaluation sequence, read from left to right by one trained net: the first sequence, and the first seed of "
    "the complete LSTM. Top: one unit. A bar is as tall as what it holds when a step begins; the dark part is erased "
    "by the step, the light part is kept. An arrow stands at every step that erases more than half of what the unit "
    "holds, where that is at least a quarter of the most that it holds here. It is the unit that keeps best but for "
    "one kind of event: its median forget gate times the mean share of its content that the event erases is greatest. "
    "Forget gate: a row is a unit, those that keep longest on top, dark where it erases (f near 0), light where it "
    "keeps (f near 1); the unit of the bars is framed, here and in the cell. Cell: what each unit holds after a step, "
    "orange above 0, purple below, the darker the more, each row by its own largest: rows cannot be compared with each "
    "other. Input and output gate: dark is shut, light is open. Marks and thin lines show the task's events."
)
STEPS = 48
ROWS = ("forget", "cell", "input", "output", "reset")
LABELS = {
    "erased": "one unit:\nwhat it holds as\nthe step begins\ndark: erased\nlight: kept\narrow: more than\nhalf erased",
    "forget": "forget gate f\ndark: erases\nlight: keeps",
    "cell": "cell c:\nwhat is held\nafter the step\norange: above 0\npurple: below 0\neach row by its\nown largest",
} | {slot: f"{GATES[slot]}\ndark: shut\nlight: open" for slot in ("input", "output", "reset")}
COLUMNS = ["task", "name", "seed", "run_id", "row", "unit", "step", "value", "text"]


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The first sequence of one run per task: gates, cell, inputs and events of its first steps."""
    parts = [
        one(content).assign(task=run["task"], name=run["name"], seed=run["seed"], run_id=run["run_id"])
        for run, content in shown(runs)
        if "inside" in content.arrays  # an archive has the traces of some runs
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def one(content: Inside) -> pd.DataFrame:
    """The rows of a sequence, units by time constant; of several layers the last."""
    arrays, layer = content.arrays, content.layers - 1
    steps = min(STEPS, int(arrays["inside"][:, 0].sum()))
    constants = arrays.get(f"layer{layer}/time_constant/trained/steps")
    traces = {slot: arrays.get(f"layer{layer}/trace/{slot}") for slot in ROWS}
    units = next(trace.shape[2] for trace in traces.values() if trace is not None)
    ranked = np.argsort(-constants, kind="stable") if constants is not None else np.arange(units)
    maps = {slot: trace[:steps, 0, ranked].T for slot, trace in traces.items() if trace is not None and trace.std() > 0}
    rows = [frame(slot, table) for slot, table in maps.items()]
    events = {name: arrays[name][:steps, 0].astype(float) for name in arrays if name.startswith("event/")}
    if {"forget", "cell"} <= set(maps):
        unit, kept, erased = one_unit(maps["forget"], maps["cell"], list(events.values()))
        rows += [frame("kept", kept).assign(unit=unit), frame("erased", erased).assign(unit=unit)]
    rows += [frame(name, happens[None]) for name, happens in events.items()]
    inputs = [name for name in arrays if name.startswith("input/")]
    for name in inputs:
        texts = arrays[name][:steps, 0]
        rows.append(frame(name, np.array([[_number(text) for text in texts]])).assign(text=texts))
    return pd.concat(rows)


def one_unit(f: Array, c: Array, events: list[Array]) -> tuple[int, Array, Array]:
    """The unit in which forgetting is seen best, and what each step keeps and erases of its abs c, (1, T) each.

    f, c: (H, T); what was held before the first step is not known, and counts as nothing. events: (T,) each, above 0
    where one happens; without any the step that erases most counts.
    """
    held = np.abs(np.concatenate([np.zeros_like(c[:, :1]), c[:, :-1]], axis=1))
    erased = np.clip(1 - f, 0, 1) * held
    share = erased / np.maximum(held.max(axis=1, keepdims=True), 1e-12)
    steps = [np.nonzero(happens[1:] > 0)[0] + 1 for happens in events]
    at = [share[:, found].mean(axis=1) for found in steps if 0 < len(found) <= OFTEN * f.shape[1]]
    lost = np.max(at, axis=0) if at else share.max(axis=1)
    unit = int(np.argmax(np.clip(np.median(f, axis=1), 0, 1) * lost))
    return unit, (held - erased)[unit][None], erased[unit][None]


def frame(row: str, values: Array) -> pd.DataFrame:
    unit, step = np.indices(values.shape)
    return pd.DataFrame({"row": row, "unit": unit.ravel(), "step": step.ravel(), "value": values.ravel(), "text": ""})


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def draw(on: Panel) -> Axes:
    """One unit's content, heat maps of all units below it, the inputs below them, marks at the events on top."""
    ax, rows = on.ax, on.rows
    strips = Strips(ax, int(rows["step"].max()) + 1)
    present = set(rows["row"])
    if "erased" in present:
        strips.unit(values(rows, "kept"), values(rows, "erased"), LABELS["erased"])
    for slot in [slot for slot in ROWS if slot in present]:
        _map(strips, rows, slot)
    bottom = strips.y
    _inputs(strips, rows)
    names = [name for name in rows["row"].unique() if name.startswith("event/")]
    happens = {name.removeprefix("event/"): np.nonzero(values(rows, name) > 0)[0] for name in names}
    strips.events(happens, bottom)
    ax.set_yticks(list(strips.labels), list(strips.labels.values()), fontsize=SMALL)
    ax.set(xlim=(-0.5, strips.steps - 0.5), ylim=(strips.y, -0.2), xlabel="step")
    strips.key()
    ax.set_title(plain(f"{ax.get_title(loc='left')}: {rows['name'].iloc[0]}, seed {rows['seed'].iloc[0]}"))
    fold_title(ax)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    return ax


def _map(strips: Strips, rows: pd.DataFrame, slot: str) -> None:
    """The units of a gate or of the cell; the unit of the bars is framed in those of the forget gate and the cell."""
    table = rows[rows["row"] == slot].pivot(index="unit", columns="step", values="value").to_numpy()
    tall, top = slot in ("forget", "cell"), strips.y
    height = 6.0 if tall else 3.0
    if slot == "cell":
        strips.map(by_own_largest(table), height, LABELS[slot], vmin=-1, vmax=1, cmap=SIGNED_SHADES)
    else:
        strips.map(table, height, LABELS[slot], vmin=0, vmax=1, cmap=GATE_SHADES)
    own = rows.loc[rows["row"] == "erased", "unit"]
    if tall and len(own):
        strips.frame(top + height * int(own.iloc[0]) / len(table), height / len(table), EVENT, 1, "unit")


def _inputs(strips: Strips, rows: pd.DataFrame) -> None:
    """What the net reads: a letter a step, or a strip of values for each input."""
    names = [name for name in rows["row"].unique() if name.startswith("input/")]
    for name in names:
        texts = rows[rows["row"] == name].sort_values("step")["text"].tolist()
        numbers = values(rows, name)
        if len(names) == 1 and max(map(len, texts)) == 1:
            strips.letters(texts, "reads")
        elif not np.isnan(numbers).any():
            ends: Any = {"vmin": min(0.0, numbers.min()), "vmax": max(1e-9, numbers.max())}
            strips.map(numbers[None], 1.0, plain(name.removeprefix("input/")), cmap="Greys", **ends)
