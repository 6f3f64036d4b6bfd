"""How often are gates nearly shut, and how often nearly open?"""

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import _theme
from analysis.figures._figure import Layout, Panel
from analysis.figures._inside import GATES, found, looked
from analysis.figures._layers import points
from analysis.figures._legends import legend

LAYOUT = Layout(order=220, part="Looking inside", base=2.3, together=8)
CAPTION = (
    "A mark per unit and seed: the share of steps at which its gate is below .1 (to the right: nearly shut) and above "
    ".9 (upwards: nearly open). On the diagonal line a gate is always one of the two, as a 0/1 gate is; at the lower "
    "left it stays between. After Karpathy, Johnson & Fei-Fei 2015."
)
COLUMNS = ["task", "name", "gate", "seed", "layer", "unit", "shut", "open"]
DRAWN = ("forget", "input", "output")


def numbers(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Both shares of every unit, where a gate is learned; a panel per task and gate."""
    parts = []
    for run, content in found(looked(runs)):
        rows = content.units()
        rows = rows[rows["measure"].str.startswith("saturation/")]
        named = rows["measure"].str.split("/", expand=True).rename(columns={1: "gate", 2: "side"})[["gate", "side"]]
        table = pd.concat([rows, named], axis=1).pivot(index=["gate", "layer", "unit"], columns="side", values="value")
        table = table.reset_index().rename_axis(columns=None)
        kinds = {gate: run.get(f"config.resolved.variant.{gate}.kind", "learned") for gate in DRAWN}
        table = table[table["gate"].map(lambda gate, kinds=kinds: kinds.get(gate) not in ("constant", None))]
        task = run["task"] + ": " + table["gate"].map(GATES)
        parts.append(table.assign(task=task, name=run["name"], seed=run["seed"]))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def draw(on: Panel) -> Axes:
    """A mark per unit and seed."""
    on.ax.plot([0, 1], [1, 0], color=_theme.PALE, linewidth=_theme.LINE, zorder=0)
    points(on, on.rows, "shut", "open", "units", s=_theme.SEED)
    on.ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="share of steps below .1", ylabel="share above .9")
    legend(on.ax, {name: look._replace(dashes=(0, 1)) for name, look in on.looks.items()})
    return on.ax
