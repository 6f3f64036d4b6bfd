"""What an archive keeps of the inside of trained nets: the numbers that a claim or a page can name, and few arrays.

Arrays of every run are those of which a figure draws a mark or a line a run: time constants and saturation, unit by
unit, and the forget gate around events, the mean over units. Of one run an arm there are traces too, of the sequence
that `gate_traces` shows. The reach of what a net holds, what single units cost, and weights are left behind.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.arms.counted_runs import scored
from analysis.records import inside
from analysis.records.inside import Inside

Array = NDArray[Any]
NUMBERS = re.compile(  # that a figure draws or a page says, beside those of the study's claims
    r"untouched|surgery/[^/]+(/cost)?|cut/[^/]+/[^/]+(/cost)?|feeds/[^/]+/[^/]+"
    r"|events/.+|around/.+/forget|mean/[^/]+|saturation/[^/]+/(shut|open)|time_constant/(un)?trained|half_lag"
)
UNITS = re.compile(r"layer\d+/(time_constant/(un)?trained/steps|saturation/(forget|input|output)/(shut|open))")
TRACES = re.compile(r"layer\d+/trace/(forget|cell|input|output|reset)|inside|event/.+|input/.+")
STEPS, SEQUENCES = 48, 1  # of a trace


def traced(runs: pd.DataFrame) -> set[str]:
    """The runs whose gates are kept step by step: of each variant on each task the first seed that was looked at."""
    if "inside.untouched" not in runs:
        return set()
    looked = scored(runs)
    looked = looked[looked["inside.untouched"].notna()].sort_values("seed")
    return set(looked.drop_duplicates(["task", "name"])["run_id"])


def claimed(folder: Path) -> set[str]:
    """The numbers that the claims of a study's study.json are about; nothing if it has none that can be read."""
    try:
        content = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        metrics = [str(claim.get("metric")) for claim in content["claims"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
    return {metric.removeprefix("inside/") for metric in metrics if metric.startswith("inside/")}


def kept(content: Inside, traced: bool) -> dict[str, Array]:
    """The arrays of one run that an archive keeps. traced: whether its traces are among them."""
    arrays = {name: values for name, values in content.arrays.items() if UNITS.fullmatch(name)}
    arrays |= around_events(content)
    if traced:
        found = {name: values for name, values in content.arrays.items() if TRACES.fullmatch(name)}
        arrays |= {name: values[:STEPS, :SEQUENCES] for name, values in found.items()}
    return arrays


def around_events(content: Inside) -> dict[str, Array]:
    """The mean forget gate over all units, (offsets, 1), under the name of the first layer's array."""
    rows = content.events()
    rows = rows[rows["slot"] == "forget"]
    return {
        f"layer0/around/{event}/forget": part.groupby("offset")["value"].mean().to_numpy()[:, None]
        for event, part in rows.groupby("event", sort=False)
    }


def collected(folders: Mapping[str, Path], traced: set[str]) -> dict[str, dict[str, Array]]:
    """Run -> what is kept of its arrays. folders: of the runs that were looked inside; traced: runs to trace."""
    found = ((run, inside.read(folder, None)) for run, folder in folders.items())
    return {run: kept(content, run in traced) for run, content in found if content is not None}


def packed(found: Mapping[str, Mapping[str, Array]]) -> bytes:
    """The content of an .npz file with few members: one an array and run would be larger than what is in them."""
    index, pieces = {}, dict[str, list[Array]]()
    for run, arrays in found.items():
        index[run] = [[name, values.dtype.str, values.shape] for name, values in arrays.items()]
        for values in arrays.values():
            pieces.setdefault(values.dtype.str, []).append(values.ravel())
    joined = {f"values{place}": np.concatenate(parts) for place, parts in enumerate(pieces.values())}
    text = json.dumps({"types": list(pieces), "runs": index})
    return inside.packed({"index": np.frombuffer(text.encode(), dtype=np.uint8), **joined})


def unpacked(file: Mapping[str, Array]) -> dict[str, Inside]:
    """Run -> what is kept of it; raises ValueError, KeyError or TypeError where that is damaged."""
    index = json.loads(file["index"].tobytes())
    left = {kind: file[f"values{place}"] for place, kind in enumerate(index["types"])}
    found = {}
    for run, arrays in index["runs"].items():
        found[run] = Inside()
        for name, kind, shape in arrays:
            size = int(np.prod(shape))
            found[run].arrays[name], left[kind] = left[kind][:size].reshape(shape), left[kind][size:]
    return found
