"""What the rows and panels of a report are called, so that nothing but seeds is ever averaged.

Only runs of one arm are replicates. Where one (task, variant) cell holds several arms, what differs between their
configurations becomes part of the name: `LSTM (train.lr=0.01)` and `LSTM (train.lr=0.001)` are two rows.
"""

import json
import re
from typing import Any

import pandas as pd

from analysis.arms import counted_runs
from analysis.common.escaping import tidy

RESOLVED = "config.resolved."
TASK = f"{RESOLVED}task."
NEVER = {
    f"{RESOLVED}{key}" for key in ("seed", "variant.label", "variant.cite", "init.needs_gate")
}  # these run nothing
TAKEN = ("chance", "solved", "solved from")  # what figures and tables call their reference lines
MEASURED = ["task.metric", "task.direction", "task.unit"]  # two runs that differ in these share no axis


def named(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with their panel as `task` and their row as `name`; runs that are not reported add no axis to others."""
    reported = counted_runs.reported(runs).index
    parts = [runs.loc[reported], runs.drop(reported)]
    panels = [part.assign(task=tasks(part)) for part in parts if len(part)]
    return pd.concat([part.assign(name=names(part)) for part in panels]).sort_index()


def tasks(runs: pd.DataFrame) -> pd.Series:
    """The panel of each run: its task's name, and what differs between the tasks of that name."""
    columns = [column for column in runs.columns if column.startswith(TASK)] + MEASURED
    panels: dict[Any, str] = {}
    for task, group in runs.groupby("task.name", sort=True):
        axes = [column for column in columns if len(present(group[column])) > 1 or alters_data(group, column)]
        short = [column.removeprefix(TASK) for column in axes]
        panels |= {
            run: qualified(str(task), short, values) for run, values in zip(group.index, rows(group, axes), strict=True)
        }
    return pd.Series(panels, dtype=object).reindex(runs.index)


def metric_label(metric: str, unit: object = "") -> str:
    """A task's metric in words, with its unit: `within .04 (share)` for `within_.04`."""
    words = tidy(str(metric).replace("_", " "))
    return f"{words} ({tidy(unit)})" if isinstance(unit, str) and unit not in ("", metric) else words


def alters_data(runs: pd.DataFrame, setting: str) -> bool:
    """Whether the runs that have a setting saw other data than those where it is null.

    It is missing as well from records that are older than the setting; those tell nothing apart.
    """
    null, known = runs[setting].map(missing), runs["data_digest"].notna()
    having, lacking = (
        set(zip(part["seed"], part["data_digest"], strict=True)) for part in (runs[known & ~null], runs[known & null])
    )
    shared = {seed for seed, _ in having} & {seed for seed, _ in lacking}
    return bool(shared) and having.isdisjoint(lacking)


def names(runs: pd.DataFrame) -> pd.Series:
    """The row of each run: its variant's label and the value of every axis; one name never holds two arms of a task."""
    firsts = runs.drop_duplicates("arm")
    labels = variant_labels(runs)
    axes = differing(firsts)
    called = rows_of(firsts, axes, labels)
    clashing = pd.DataFrame({"task": firsts["task"], "row": called}).duplicated(keep=False)
    if clashing.any():
        axes = sorted({*axes, *differing(firsts[clashing], null_is_a_value=True)})
        called = rows_of(firsts, axes, labels)
    found = runs["arm"].map(dict(zip(firsts["arm"], called, strict=True)))
    arms = runs.groupby([runs["task"], found])["arm"].transform("nunique")
    return found.where(arms == 1, found + " (arm=" + runs["arm"] + ")")


def rows_of(firsts: pd.DataFrame, axes: list[str], labels: dict[str, str]) -> "pd.Series[Any]":
    """The row of each arm: its variant's label and its values on these axes."""
    short = [axis.removeprefix(RESOLVED) for axis in axes]
    parts = zip(firsts["variant"], rows(firsts, axes), strict=True)
    return pd.Series(
        [qualified(labels[variant], short, values) for variant, values in parts], firsts.index, dtype=object
    )


def without(runs: pd.DataFrame, *settings: str) -> pd.DataFrame:
    """The runs, arms that differ in these settings alone being one: for a figure that has one of them as an axis.

    settings: columns, `config.resolved.train.lr`. `arm` and `name` are those that are left, `task` is made anew.
    """
    firsts = runs.drop_duplicates("arm")
    kept = [key for key in firsts.columns if key.startswith(RESOLVED) and key not in {*NEVER, *settings}]
    values = [
        [None if missing(value) else spelled(value) for value in row]
        for row in rows(firsts, ["task.name", "variant", *kept])
    ]
    merged: dict[str, str] = {}
    same = {arm: merged.setdefault(json.dumps(row), arm) for arm, row in zip(firsts["arm"], values, strict=True)}
    slim = runs.drop(columns=list(settings)).assign(arm=runs["arm"].map(same))
    slim = slim.assign(task=tasks(slim))
    return slim.assign(name=names(slim), **{setting: runs[setting] for setting in settings})


def settings(runs: pd.DataFrame) -> list[str]:
    """The columns of settings that alter a run."""
    return [key for key in runs.columns if key.startswith(RESOLVED) and key not in NEVER]


def differing(firsts: pd.DataFrame, null_is_a_value: bool = False) -> list[str]:
    """The configuration keys, the task's aside, that differ between arms of one variant on one task.

    A null does not count unless asked for: records that are older than a setting lack it too.
    """
    cells = firsts.groupby(["task", "variant"]).ngroup()
    several = cells[cells.duplicated(keep=False)].index
    candidates = [key for key in firsts.columns if key.startswith(RESOLVED) and not key.startswith(TASK)]
    axes = set()
    for key in [key for key in candidates if key not in NEVER and len(present(firsts[key])) + null_is_a_value > 1]:
        values = firsts.loc[several, key].map(lambda value: None if missing(value) else spelled(value))
        if (values.groupby(cells[several]).nunique(dropna=not null_is_a_value) > 1).any():
            axes.add(key)
    return sorted(axes)


def variant_labels(runs: pd.DataFrame) -> dict[str, str]:
    """variant -> the label of its latest run; variants that would share a label go by their own name instead."""
    latest = runs.sort_values(["timing.started", "record"], na_position="first").groupby("variant")["label"].last()
    labels = {str(variant): tidy(str(label)) or str(variant) for variant, label in latest.items()}
    labels = {variant: f"{label} (variant)" if label in TAKEN else label for variant, label in labels.items()}
    return {variant: variant if list(labels.values()).count(label) > 1 else label for variant, label in labels.items()}


def present(column: "pd.Series[Any]") -> set[str]:
    """The distinct values of a column; a run whose configuration lacks the key has none."""
    try:
        values = column.unique()
    except TypeError:  # lists
        values = column.to_numpy()
    return {spelled(value) for value in values if not missing(value)}


def rows(frame: pd.DataFrame, columns: list[str]) -> list[list[Any]]:
    return [list(values) for values in zip(*(frame[column] for column in columns), strict=True)] or [[]] * len(frame)


def qualified(name: str, axes: list[str], values: list[Any]) -> str:
    """`name (axis=value, ...)`, leaving out what is missing."""
    parts = [f"{axis}={spelled(value)}" for axis, value in zip(axes, values, strict=True) if not missing(value)]
    return tidy(f"{name} ({', '.join(parts)})" if parts else name) or "(no name)"


def spelled(value: Any) -> str:
    """A configuration value as one writes it; 1 and 1.0 are one value."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")


def missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def natural(name: str) -> tuple[tuple[float, str], ...]:
    """A sort key under which numbers inside names count: T=50 before T=200, 0.001 before 0.01."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", name)
    return tuple((float(part), "") if place % 2 else (-1.0, part) for place, part in enumerate(parts))
