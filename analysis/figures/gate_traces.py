"""What does a trained net keep and forget, step by step?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import GATES, shown
from analysis.figures._text import plain
from analysis.figures._theme import GATE_SHADES, INK, SIGNED_SHADES
from analysis.records.inside import Array, Inside

LAYOUT = Layout(order=200, base=5.2, part="Looking inside", wide=True)
CAPTION = (
    "One evaluation sequence, read from left to right by one trained net. A row is a unit, those that keep their "
    "content longest on top. Forget gate: dark where a unit erases what it held (f near 0), light where it keeps it "
    "(f near 1). Erased: how much of what the units held the step erases, each unit in parts of what it holds on "
    "average; where a bar is tall the net forgets. Cell: what the unit holds, orange above 0, purple below, the darker "
    "the more. Input and output gate: dark is shut, light is open. Marks and thin lines show the task's events."
)
STEPS = 48
ROWS = ("forget", "cell", "input", "output", "reset")
COLUMNS = ["task", "name", "seed", "run_id", "row", "unit", "step", "value", "text"]
MARKED = 4  # kinds of events that are named


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
    units = next(values.shape[2] for values in traces.values() if values is not None)
    ranked = np.argsort(-constants, kind="stable") if constants is not None else np.arange(units)
    values = {
        slot: trace[:steps, 0, ranked].T for slot, trace in traces.items() if trace is not None and trace.std() > 0
    }
    rows = [frame(slot, value) for slot, value in values.items()]
    if {"forget", "cell"} <= set(values):
        rows.append(frame("erased", erased(values["forget"], values["cell"])))
    for name in [name for name in arrays if name.startswith("event/")]:
        rows.append(frame(name, arrays[name][None, :steps, 0].astype(float)))
    inputs = [name for name in arrays if name.startswith("input/")]
    for name in inputs:
        texts = arrays[name][:steps, 0]
        rows.append(frame(name, np.array([[_number(text) for text in texts]])).assign(text=texts))
    return pd.concat(rows)


def erased(f: Array, c: Array) -> Array:
    """How much each step erases, (1, T), the mean over units, each in parts of the abs c that it holds on average.

    f, c: (H, T); what was held before the first step is not known, and counts as nothing.
    """
    held = np.abs(c[:, :-1])
    usual = np.maximum(np.abs(c).mean(axis=1, keepdims=True), 1e-12)
    lost = np.mean(np.clip(1 - f[:, 1:], 0, 1) * held / usual, axis=0)
    return np.concatenate([[0.0], lost])[None]


def frame(row: str, values: Array) -> pd.DataFrame:
    unit, step = np.indices(values.shape)
    return pd.DataFrame({"row": row, "unit": unit.ravel(), "step": step.ravel(), "value": values.ravel(), "text": ""})


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def draw(on: Panel) -> Axes:
    """Heat maps one above the other, the inputs below them, marks at the events on top."""
    ax, rows = on.ax, on.rows
    name = rows["name"].iloc[0]
    steps = int(rows["step"].max()) + 1
    y, ticks, labels = 0.0, [], []
    for slot in [slot for slot in ROWS if (rows["row"] == slot).any()]:
        table = rows[rows["row"] == slot].pivot(index="unit", columns="step", values="value").to_numpy()
        height = 6.0 if slot in ("forget", "cell") else 3.0
        limit = float(np.abs(table).max()) if slot == "cell" else 1.0
        look: Any = (
            {"vmin": -limit, "vmax": limit, "cmap": SIGNED_SHADES}
            if slot == "cell"
            else {"vmin": 0, "vmax": 1, "cmap": GATE_SHADES}
        )
        ax.imshow(table, aspect="auto", interpolation="nearest", extent=(-0.5, steps - 0.5, y + height, y), **look)
        ax.add_patch(_frame(steps, y, height))
        ticks.append(y + height / 2)
        labels.append(
            {"cell": "cell c:\nwhat is held", "forget": "forget gate f\ndark: erases\nlight: keeps"}.get(
                slot, GATES.get(slot, slot).replace(" gate", "\ngate")
            )
        )
        y += height + 0.35
        if slot == "forget" and (rows["row"] == "erased").any():
            y = _erased(ax, rows, y, ticks, labels)
    y = _inputs(ax, rows, steps, y, ticks, labels)
    _events(ax, rows, y)
    ax.set_yticks(ticks, labels, fontsize=7)
    ax.set(xlim=(-0.5, steps - 0.5), ylim=(y, -1.8), xlabel="step")
    ax.set_title(plain(f"{ax.get_title(loc='left')}: {name}, seed {rows['seed'].iloc[0]}"))
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    return ax


def _frame(steps: int, y: float, height: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((-0.5, y), steps, height, fill=False, edgecolor="#767676", linewidth=0.5)


def _erased(ax: Axes, rows: pd.DataFrame, y: float, ticks: list[float], labels: list[str]) -> float:
    """Bars below the forget gate, as tall as the row where everything is erased, or where most is if that is more."""
    height, own = 2.0, rows[rows["row"] == "erased"]
    ax.bar(
        own["step"],
        -height * own["value"] / max(1.0, own["value"].max()),
        bottom=y + height,
        width=0.8,
        color=INK,
        gid="erased",
    )
    ax.add_patch(_frame(int(rows["step"].max()) + 1, y, height))
    ticks.append(y + height / 2)
    labels.append("erased")
    return y + height + 0.35


def _inputs(ax: Axes, rows: pd.DataFrame, steps: int, y: float, ticks: list[float], labels: list[str]) -> float:
    """What the net reads: a letter a step, or a strip of values."""
    names = [name for name in rows["row"].unique() if name.startswith("input/")]
    for name in names:
        own = rows[rows["row"] == name].sort_values("step")
        texts, values = own["text"].tolist(), own["value"].to_numpy()
        letters = len(names) == 1 and max(map(len, texts)) == 1
        if letters:
            size = min(7.0, 72 * 0.75 * ax.get_figure(root=True).get_figwidth() / steps / 0.62)  # type: ignore[union-attr]
            for step, text in enumerate(texts):
                ax.text(step, y + 0.6, plain(text), ha="center", va="center", fontsize=size, family="monospace")
        elif not np.isnan(values).any():
            low, high = min(0.0, values.min()), max(1e-9, values.max())
            ax.imshow(
                values[None], aspect="auto", cmap="Greys", vmin=low, vmax=high, extent=(-0.5, steps - 0.5, y + 1, y)
            )
            ax.add_patch(_frame(steps, y, 1))
        ticks.append(y + 0.55)
        labels.append("reads" if letters else plain(name.removeprefix("input/")))
        y += 1.2
    return y


def _events(ax: Axes, rows: pd.DataFrame, bottom: float) -> None:
    """A mark on top at each event, with a thin line down; its name at the first one."""
    names = [name for name in rows["row"].unique() if name.startswith("event/")]
    shapes = ("v", "o", "D", "s")
    for name, shape in zip(names[:MARKED], shapes, strict=False):
        steps = rows.loc[(rows["row"] == name) & (rows["value"] > 0), "step"]
        if 0 < len(steps) <= 0.4 * (rows["step"].max() + 1):
            ax.vlines(steps, 0, bottom, color="#CC3311", linewidth=0.4, alpha=0.7, zorder=3)
            look: Any = {"s": 16, "color": "#CC3311", "clip_on": False, "linewidths": 0}
            ax.scatter(steps, [-0.5] * len(steps), marker=shape, label=plain(name.removeprefix("event/")), **look)
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
