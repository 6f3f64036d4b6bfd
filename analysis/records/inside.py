"""What looking inside a trained net has found: `inside.json` and `inside.npz` of a run directory (docs/inside.md)."""

import hashlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.common.command_line import decoded
from analysis.records import read as records

JSON, NPZ = "inside.json", "inside.npz"
SCHEMA = 1
WHO = ("run_id", "data_digest", "semantics")  # of run.json: what was looked at
KINDS = {"numbers": dict, "lacks": list, "findings": list}  # what inside.json has at these keys
PARTS = "semantics."
COLUMN = "inside."  # what the names of these numbers begin with in the frame of runs
FOLDER = f"{COLUMN}folder"  # where the run directory is, empty for a run read from wandb or an archive
ARCHIVE = f"{COLUMN}archive"  # where the archive is that the run was read from, empty for any other
Array = NDArray[Any]


@dataclass
class Inside:
    """The measures of one net.

    Attributes:
        numbers: by name, `surgery/forget=1`; of one layer of several with `@layer0` in it. None: not finite.
        arrays: by name, `layer0/trace/forget`.
        lacks: what could not be measured, a sentence each.
        findings: what units were found to do, see docs/inside.md.
        net: what a page that runs the net needs beside its weights: how its task writes steps, its equations.
    """

    numbers: dict[str, float | None] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    net: dict[str, Any] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len({name.partition("/")[0] for name in self.arrays if name.startswith("layer")})

    def traces(self) -> pd.DataFrame:
        """Columns layer, slot, sequence, step, unit, value; steps of padding are left out."""
        inside = self.arrays["inside"]
        rows = self._rows("trace", ("step", "sequence", "unit"), ("slot",))
        return rows[inside[rows["step"], rows["sequence"]]].reset_index(drop=True)

    def events(self) -> pd.DataFrame:
        """Columns layer, event, slot (or abs_cell), offset in steps from the event, unit, value: the mean."""
        rows = self._rows("around", ("offset", "unit"), ("event", "slot"), lambda name: not name.endswith("/counts"))
        return rows.assign(offset=rows["offset"] - rows["offset"].max() // 2)

    def units(self) -> pd.DataFrame:
        """Columns layer, measure, unit, value: everything that there is one number of for each unit."""
        kinds = ("saturation", "mean", "time_constant", "half_lag", "feeds")
        found = [self._rows(kind, ("unit",), ()) for kind in kinds]
        lost = self._rows("unit_surgery", ("kind", "unit"), ("slot",))
        names = np.array(["0", "1", "mean", "shuffled"])[lost["kind"].to_numpy(dtype=int)]
        lost = lost.assign(measure="surgery/" + lost["slot"].astype(str) + "=" + names + "/loss_cost")
        columns = ["layer", "measure", "unit", "value"]
        parts = [part for part in [*found, lost] if len(part)]  # an empty one has no types
        return pd.concat(parts)[columns].reset_index(drop=True) if parts else lost[columns]

    def lags(self) -> pd.DataFrame:
        """Columns layer, measure, lag in steps, value: the mean weight in the cell's sum, and gradients."""
        weights = self._rows("weight_by_lag", ("lag", "unit"), ())
        means = weights.groupby(["layer", "measure", "lag"])["value"].mean().reset_index()
        return pd.concat([means, self._rows("gradient", ("lag",), ())], ignore_index=True)

    def _rows(
        self,
        kind: str,
        axes: tuple[str, ...],
        named: tuple[str, ...],
        wanted: Callable[[str], bool] = lambda name: True,
    ) -> pd.DataFrame:
        """One row a number of every array of a kind with these axes; what its name says, in columns."""
        frames = []
        for name, values in self.arrays.items():
            layer, _, rest = name.partition("/")
            if (
                not layer.startswith("layer")
                or rest.split("/")[0] != kind
                or values.ndim != len(axes)
                or not wanted(name)
            ):
                continue
            places = {axis: place.ravel() for axis, place in zip(axes, np.indices(values.shape), strict=True)}
            said = rest.split("/")[1:] if named else []
            known = dict(zip(named, ["/".join(said[:-1]), said[-1]] if len(named) == 2 else said, strict=True))
            frames.append(
                pd.DataFrame({"layer": int(layer[5:]), "measure": rest, **known, **places, "value": values.ravel()})
            )
        columns = ["layer", "measure", *named, *axes, "value"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def described(folder: Path, record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The content of a run's inside.json; None if there is none, it is damaged, or not of the run as it is.

    record: its run.json; None where it is known that they belong together.
    """
    try:
        content = records.parsed((folder / JSON).read_text(encoding="utf-8"))
        same = content["schema"] == SCHEMA and (record is None or all(content[key] == record[key] for key in WHO))
        sound = all(isinstance(content[key], kind) for key, kind in KINDS.items())
        sound = sound and {type(value) for value in content["numbers"].values()} <= {type(None), int, float}
        return {**content, "net": dict(content.get("net", {}))} if same and sound else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def columns(folder: Path, row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a run as the frame of runs has them, `inside.surgery/forget=1`; what is not finite is inf.

    row: its run.json, flat.
    """
    semantics = {key.removeprefix(PARTS): value for key, value in row.items() if key.startswith(PARTS)}
    content = described(folder, {**{key: row.get(key) for key in WHO}, "semantics": semantics})
    numbers = content["numbers"] if content else {}
    return {COLUMN + decoded(name): math.inf if value is None else float(value) for name, value in numbers.items()}


def read(folder: Path, record: Mapping[str, Any] | None, arrays: bool = True) -> Inside | None:
    """What was found in a run, None if nothing was or it cannot be read.

    record: as for :func:`described`. arrays: whether to read them too, but for the weights.
    """
    content = described(folder, record)
    if content is None:
        return None
    numbers = {name: None if value is None else float(value) for name, value in content["numbers"].items()}
    found = Inside(numbers, {}, content["lacks"], content["findings"], content["net"])
    if not arrays:
        return found
    whole = arrays_of(folder, content)
    if whole is None:
        return None
    found.arrays = {name: values for name, values in whole.items() if not name.startswith("weights/")}
    return found


def arrays_of(folder: Path, content: Mapping[str, Any]) -> dict[str, Array] | None:
    """The arrays of a run's inside.npz; None unless they are those that its inside.json was written with."""
    try:
        whole = (folder / NPZ).read_bytes()
    except OSError:
        return None
    if digest(whole) != content.get("arrays"):
        return None
    with np.load(io.BytesIO(whole), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def digest(arrays: bytes) -> str:
    """16 hex digits that change with any byte of an inside.npz."""
    return hashlib.sha256(arrays).hexdigest()[:16]


def packed(arrays: Mapping[str, Array]) -> bytes:
    """The content of an .npz file; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def finite(value: float) -> float | None:
    """A number as JSON has it: null for what is infinite or none."""
    return float(value) if math.isfinite(value) else None
