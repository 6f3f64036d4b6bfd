"""What figures are made of: score axes with their levels, medians with their seeds, legends."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from analysis.common.escaping import tidy
from analysis.figures import Panel, _theme
from analysis.records import checks

Looks = dict[str, _theme.Style]
SHORTCUT = "task.references."  # a column, followed by a name and `.score`
LEVELS = (  # of a caption
    "Dashed: what chance scores. Dash-dotted: the threshold from which the task counts as solved. Dotted, with its "
    "name: what a shortcut scores, on tasks that state one."
)


def shown(scores: "pd.Series[float]", of: "pd.Series[float]", runs: pd.DataFrame) -> "pd.Series[float]":
    """Where scores are drawn: that of a diverged run, which is infinite, at the worst of those `of` and of chance."""
    levels = pd.concat([of, runs["task.chance"]]).astype(float)
    finite = levels[levels.abs() < math.inf]
    return scores.clip(finite.min(), finite.max()) if len(finite) else scores.clip(1, 1)


def reference(ax: Axes, runs: pd.DataFrame, along: str) -> None:
    """Levels across the score axis `along`, "x" or "y": chance, the solved threshold, what named shortcuts reach."""
    line = ax.axvline if along == "x" else ax.axhline
    levels = [("task.chance", "chance", (5, 3)), ("task.solved", "solved", (6, 1.5, 1, 1.5))]
    named = [column for column in map(str, runs) if column.startswith(SHORTCUT) and column.endswith(".score")]
    shortcuts = [(column, column.removeprefix(SHORTCUT).removesuffix(".score"), (1, 1.5)) for column in named]
    for column, label, dashes in [*levels, *shortcuts]:
        numbers = pd.to_numeric(runs[column], errors="coerce")
        for level in sorted(set(numbers[numbers.abs() < math.inf])):
            line(level, color=_theme.FAINT, linewidth=1, dashes=dashes, label=label, zorder=1)
            if column in named:
                beside(ax, level, label, along)


def beside(ax: Axes, level: float, name: str, along: str) -> None:
    """Write what a line across the score axis is beside its end, inside the axes and behind the data."""
    upright = along == "x"
    ax.annotate(
        _theme.folded(name),
        (level, 1) if upright else (1, level),
        xycoords=ax.get_xaxis_transform() if upright else ax.get_yaxis_transform(),
        xytext=(-1, -1) if upright else (-1, 1),
        textcoords="offset points",
        rotation=90 if upright else 0,
        ha="right",
        va="top" if upright else "bottom",
        fontsize=6,
        color=_theme.FAINT,
        zorder=1,
    )


def scale(ax: Axes, runs: pd.DataFrame, values: "pd.Series[float]", along: str) -> None:
    """Name the score axis; it is logarithmic for losses that span more than a factor of 30."""
    metric, unit, direction = runs.iloc[0][["task.metric", "task.unit", "task.direction"]]
    named = tidy(f"{metric} ({unit})" if isinstance(unit, str) and unit not in ("", metric) else str(metric))
    better = "lower is better" if direction == "min" else "higher is better"
    ax.set(**{f"{along}label": _theme.plain(f"{named}, {better}" if along == "x" else f"{named}\n{better}")})
    positive = values[values.abs() < math.inf]
    if direction == "min" and len(positive) and positive.min() > 0 and positive.max() / positive.min() > 30:
        logarithmic(ax, along)


def logarithmic(ax: Axes, along: str) -> None:
    """A log axis, `along` "x" or "y", without the ticks between the decades: they take most of the time of drawing."""
    ax.set(**{f"{along}scale": "log"})
    (ax.xaxis if along == "x" else ax.yaxis).set_minor_locator(NullLocator())


def legend(ax: Axes, looks: dict[str, _theme.Style], *marks: Line2D) -> None:
    """The variants first, then the lines and marks that mean the same for all of them."""
    variants = [
        Line2D(
            [],
            [],
            color=look.colour,
            dashes=look.dashes,
            marker=look.marker,
            markersize=3.5,
            linewidth=0.8,
            label=_theme.folded(name),
        )
        for name, look in looks.items()
    ]
    levels = {str(line.get_label()): line for line in ax.lines if line.get_label() in ("chance", "solved")}
    ax.legend(handles=[*variants, *levels.values(), *marks])


def name_rows(ax: Axes, names: Iterable[str]) -> None:
    """One row per name, from the top."""
    texts = [_theme.folded(name) for name in names]
    ax.set_yticks(range(len(texts)), texts, fontsize=6 if any("\n" in text for text in texts) else 8, linespacing=0.9)
    ax.set_ylim(len(texts) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def mark(shape: str, label: str, **look: Any) -> Line2D:
    """A legend entry for a mark that means the same for every variant."""
    return Line2D([], [], color=_theme.FAINT, marker=shape, linestyle="", label=label, **look)


def medians(on: Panel, x: str) -> None:
    """Per variant a line that joins the medians along `x`, and a small point per seed (columns `median`, `value`)."""
    ax, rows = on.ax, on.rows
    for name, look in on.looks.items():
        own = rows[rows["name"] == name]
        line = own.drop_duplicates(x).sort_values(x)
        points: Any = {"s": 5, "color": look.colour, "alpha": 0.6, "linewidths": 0, "gid": f"seeds:{name}"}
        ax.scatter(own[x], shown(own["value"], rows["value"], on.runs), **points)
        ax.plot(
            line[x],
            shown(line["median"], rows["value"], on.runs),
            color=look.colour,
            dashes=look.dashes,
            linewidth=1,
            marker=look.marker,
            markersize=3.5,
            gid=name,
        )


def costs(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Score and cost of every run that counts, with their medians over seeds, for tasks on which the costs differ."""
    rows = checks.scored(runs).rename(columns={column: "cost", "score": "value"})
    rows = rows[rows["cost"].notna()]
    rows = rows[rows.groupby("task")["cost"].transform("nunique") > 1]
    groups = rows.groupby(["task", "name"])
    rows = rows.assign(median_cost=groups["cost"].transform("median"), median=groups["value"].transform("median"))
    columns = ["task", "name", "seed", "run_id", "status", "cost", "value", "median_cost", "median"]
    return rows[columns].sort_values(["task", "name", "seed"])


def against(on: Panel, label: str) -> Axes:
    """Scores over costs: per variant a large marker at the medians, and a small point per seed."""
    ax, rows = on.ax, on.rows
    for name, look in on.looks.items():
        own = rows[rows["name"] == name]
        own = own.assign(
            value=shown(own["value"], rows["value"], on.runs), median=shown(own["median"], rows["value"], on.runs)
        )
        ax.scatter(own["cost"], own["value"], s=5, color=look.colour, alpha=0.6, linewidths=0, gid=f"seeds:{name}")
        middle = own.iloc[:1]
        style: Any = {"color": look.colour, "marker": look.marker, "edgecolors": "white", "linewidths": 0.4}
        ax.scatter(middle["median_cost"], middle["median"], s=36, zorder=3, gid=name, **style)
    reference(ax, on.runs, "y")
    scale(ax, on.runs, rows["value"], "y")
    ax.set_xlabel(label)
    ax.locator_params(axis="x", nbins=5)
    if rows["cost"].max() > 10 * rows["cost"].min() > 0:
        logarithmic(ax, "x")
    legend(ax, {name: look._replace(dashes=(0, 1)) for name, look in on.looks.items()})
    return ax


def shares(ax: Axes, rows: pd.DataFrame, faint: str) -> None:
    """A bar per row of `effect`, `share` and the text `said` beside it, from the top; the effect `faint` in grey."""
    colours = ["#CCCCCC" if effect == faint else _theme.COLOURS[1] for effect in rows["effect"]]
    bars = ax.barh(range(len(rows)), rows["share"], color=colours, height=0.7)
    ax.bar_label(bars, [_theme.plain(text) for text in rows["said"]], padding=3, fontsize=7)
    name_rows(ax, rows["effect"])
    ax.set(xlim=(0, 1.25 * max(rows["share"].max(), 0.1)), xlabel="share of the variance")
