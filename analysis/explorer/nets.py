"""The trained nets of a study as plain values for the page: weights, spec, and the sequences that they read."""

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.arms import order
from analysis.arms.counted_runs import reported
from analysis.records.inside import FOLDER, NPZ, arrays_of, described
from analysis.records.load import Records
from analysis.records.read import read_content

MOST_UNITS = 32
STREAM = 72  # steps of an endless stream that are shown: some strings of the Reber grammar; more until some are due
DUE = 2  # steps of a stream at which something is due that are shown at least, as far as there are
CELL = (Path(__file__).parent / "cell.js").read_text(encoding="utf-8")
ACTIVATIONS = re.findall(r"^  (\w+)[,:]", CELL.partition("ACTIVATIONS = {")[2].partition("\n};")[0], re.MULTILINE)
Array = NDArray[Any]
LATER_KNOBS = {"reset": {"kind": "absent"}, "refine": {"kind": "absent"}, "normalise": False}  # older records lack some
NOT_LOOKED = "nobody has looked inside it yet: python -m experiments.inspect study=DIR does"


class LeftOutError(Exception):
    """Why a net is not on the page."""


def nets(records: Records, most_bytes: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The content of the page, and run -> why it is not in it.

    Args:
        records: the runs.
        most_bytes: the size of the content, as JSON. Seeds that come later in number are left out beyond.
    """
    content: dict[str, Any] = {"tasks": {}, "sequences": {}, "nets": []}
    left_out: dict[str, str] = {}
    size, full = 0, f"the page is full: it has {most_bytes / 1e6:.1f} MB of nets at most"
    for run in _runs(records.runs):
        if full in left_out.values():
            left_out[str(run["record"])] = full
            continue
        try:
            added = _net(_folder(run), run)
        except KeyError as missing:
            left_out[str(run["record"])] = f"what was found inside it lacks {missing}"
            continue
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            left_out[str(run["record"])] = f"what was found inside it cannot be shown ({error})"
            continue
        except LeftOutError as reason:
            left_out[str(run["record"])] = str(reason)
            continue
        task, sequences = added.pop("task_facts"), added.pop("sequences_read")
        key = added["sequences"]
        new = len(json.dumps(added)) + (0 if key in content["sequences"] else len(json.dumps(sequences)))
        if size + new > most_bytes:
            left_out[str(run["record"])] = full
            continue
        size += new
        content["tasks"][added["task"]] = task
        content["sequences"][key] = sequences
        content["nets"].append(added)
    content["nets"].sort(key=lambda net: (order.tasks(records.runs).index(net["task"]), net["place"], net["seed"]))
    return content, left_out


def _runs(runs: pd.DataFrame) -> Iterator[Mapping[Any, Any]]:
    """The finished runs, small seeds first, so that every variant is there before any has its second net."""
    finished = reported(runs).query("status == 'finished'")
    places = {name: place for place, name in enumerate(order.rows(runs))}
    rows = finished.assign(place=finished["name"].map(places)).sort_values(["seed", "task", "place"])
    yield from rows.to_dict("records")


def _folder(run: Mapping[Any, Any]) -> Path:
    """The directory of a run that has been looked inside."""
    if not isinstance(run.get(FOLDER), str) or not run[FOLDER]:
        raise LeftOutError(NOT_LOOKED)
    return Path(run[FOLDER])


def _net(folder: Path, run: Mapping[Any, Any]) -> dict[str, Any]:
    """One net, with its task and the sequences that it reads."""
    record = read_content(folder)
    inside, arrays = _inside(folder, record)
    spec = record["config"]["resolved"]["variant"]
    _refuse(record, spec, arrays)
    facts, task = inside["net"], record["task"]
    shown, layers = _shown(record, arrays), record["config"]["resolved"]["model"]["layers"]
    return {
        "run": record["run_id"],
        "label": run["name"],
        "variant": record["variant"],
        "place": int(run["place"]),
        "seed": int(record["seed"]),
        "task": run["task"],
        "score": record["results"].get("score"),
        "spec": LATER_KNOBS | {k: v for k, v in spec.items() if isinstance(v, dict) or k in ("squash", "normalise")},
        "equations": facts["equations"],
        "weights": [weights(arrays, layer) for layer in range(layers)],
        "readout": {part: packed(arrays[f"readout_{part}"]) for part in ("weight", "bias")},
        "start": _start(arrays, shown["inputs"].shape[1], layers),
        "keeps": [_keeps(arrays, layer) for layer in range(layers)],
        "sequences": f"{task['name']} {record['seed']} {record['data_digest']} {shown['inputs'].shape[1]}",
        "task_facts": {
            "name": task["name"],
            "metric": task["metric"],
            "unit": "nats" if facts["loss"] != "mse" else "squared error",
            "chance": task.get("chance_loss"),
            "about": facts.get("about", ""),
            **{key: facts[key] for key in ("loss", "alphabet", "target_alphabet", "input_names", "input_size")},
            "output_size": len(arrays["readout_bias"]),
        },
        "sequences_read": [_sequence(shown, column) for column in range(shown["inputs"].shape[1])],
    }


def _inside(folder: Path, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """inside.json and the arrays of inside.npz, of which the weights are called as in weights.pt."""
    inside = described(folder, record)
    if inside is None or not inside["net"]:
        raise LeftOutError(NOT_LOOKED)
    arrays = arrays_of(folder, inside)
    if arrays is None:
        raise LeftOutError(f"its {NPZ} is damaged or missing: python -m experiments.inspect study=DIR makes it again")
    return inside, {name.removeprefix("weights/"): values for name, values in arrays.items()}


def _refuse(record: Mapping[str, Any], spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Raise LeftOutError for a net that the page cannot run or show."""
    hidden = record["parameters"]["hidden_size"]
    if spec.get("cell") != "gated":
        raise LeftOutError(f"the cell {spec.get('cell')} has an equation of its own, which the page does not have")
    if spec.get("layer_norm"):
        raise LeftOutError("the page does not have layer normalisation")
    used = {knobs["activation"] for knobs in spec.values() if isinstance(knobs, dict)} | {spec["squash"]}
    if unknown := sorted(used - set(ACTIVATIONS)):
        raise LeftOutError(f"the page does not have the activation {', '.join(unknown)}")
    if hidden > MOST_UNITS:
        raise LeftOutError(f"{hidden} units, {MOST_UNITS} are shown at most")
    if "inputs" not in arrays or not arrays["inside"].any():
        raise LeftOutError("it read no sequence")
    if not arrays["counts"].any():
        raise LeftOutError(
            f"nothing is due in the first {len(arrays['counts'])} steps, which are kept of its sequences"
        )


def _shown(record: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs, targets, counts, inside and events of the sequences, (T, B, ...) each; of a stream its beginning."""
    names = ["inputs", "targets", "counts", "inside", *(name for name in arrays if name.startswith("event/"))]
    steps = _steps_of_stream(arrays) if str(record.get("state", "")).startswith("carried") else None
    return {name: arrays[name][:steps] for name in names}


def _steps_of_stream(arrays: Mapping[str, Array]) -> int:
    """How much of its streams is shown: so much that something is due in each."""
    due = arrays.get("event/due", arrays["counts"]).astype(bool)
    passed = (due.cumsum(axis=0) >= np.minimum(DUE, due.sum(axis=0))).argmax(axis=0)
    return max(STREAM, 1 + int(passed.max()))


def _sequence(shown: Mapping[str, Array], column: int) -> dict[str, Any]:
    """One sequence without its padding."""
    steps = int(shown["inside"][:, column].sum())
    part = {name: values[:steps, column] for name, values in shown.items()}
    events = {name.removeprefix("event/"): np.flatnonzero(part[name]).tolist() for name in part if "/" in name}
    values = {
        name: part[name].tolist() if part[name].ndim == 1 else packed(part[name]) for name in ("inputs", "targets")
    }
    return {**values, "counts": part["counts"].astype(int).tolist(), "events": events}


def weights(arrays: Mapping[str, Array], layer: int = 0) -> dict[str, Any]:
    """The weights of a layer, called as in weights.pt, gate by gate: {"forget": {"x": packed, ...}}."""
    tree: dict[str, Any] = {}
    root = f"layer.layers.{layer}."
    for name in (name for name in arrays if name.startswith(root)):
        *parents, last = name.removeprefix(root).split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = packed(arrays[name])
    return tree


def _start(arrays: Mapping[str, Array], columns: int, layers: int) -> list[dict[str, Any]] | None:
    """What the sequences begin with in each layer, if the task carries its state: fields (columns, H); None: zeros."""
    fields = {name.removeprefix("carried."): value for name, value in arrays.items() if name.startswith("carried.")}
    if not fields:
        return None
    return [{name: packed(value[at, :columns]) for name, value in fields.items()} for at in range(layers)]


def _keeps(arrays: Mapping[str, Array], layer: int) -> list[float | None]:
    """How long each unit of a layer keeps what it holds, in steps; None: nothing is lost."""
    steps = arrays.get(f"layer{layer}/time_constant/trained/steps")
    if steps is None:
        return [None] * int(arrays["readout_weight"].shape[1])
    return [float(value) if math.isfinite(value) else None for value in steps]


def packed(values: Array) -> dict[str, Any]:
    """An array for the page: its shape and its bytes, in the precision that it has."""
    kind, dtype = ("float64", "<f8") if values.dtype == np.float64 else ("float32", "<f4")
    data = np.ascontiguousarray(values, dtype=dtype)
    return {"shape": list(values.shape), "type": kind, "data": base64.b64encode(data.tobytes()).decode()}
