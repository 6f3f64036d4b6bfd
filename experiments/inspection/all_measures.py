"""All measures of one subject: numbers by name, and arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from analysis.records.inside import Inside
from experiments.inspection.cut_feeds import CUT, cut
from experiments.inspection.event_means import REACH, around
from experiments.inspection.feeds import feeds, terms
from experiments.inspection.lag_gradients import lag_gradients
from experiments.inspection.mechanisms import mechanisms
from experiments.inspection.saturation import saturation
from experiments.inspection.subject import Subject
from experiments.inspection.surgery import Scores, by_unit, cost, measured, surgery
from experiments.inspection.time_constants import time_constants
from experiments.inspection.traces import Trace, gates, started, traces
from experiments.inspection.weighted_sum import weighted_sum
from experiments.tasks.base import Array

LONGEST_LAG = 200  # steps
IDENTITY = 1e-9  # beyond, a cell is no sum of what came in
SEQUENCES_OF_SUMS = 16
SHOWN, LONGEST_SHOWN = 4, 200  # sequences and steps of them whose traces are kept
LONGEST_READ = 1000  # steps of them of which it is kept what goes in and should come out


def measure(subject: Subject, on_part: Callable[[str], None] = lambda part: None) -> Inside:
    """Every measure of a net.

    Args:
        on_part: told before each part what comes.
    """
    found, into = traces(subject), Inside()
    before = traces(subject, subject.untrained) if subject.untrained is not None else None
    with np.errstate(over="ignore", invalid="ignore"):
        on_part("traces")
        _shown(subject, found, into)
        for layer, trace in enumerate(found):
            _of_gates(subject, layer, trace, None if before is None else before[layer], into)
            on_part("weights and gradients by lag")
            _by_lag(subject, layer, trace, into)
            _of_feeds(subject, layer, found, into)
        _pooled(subject, into)
        _of_surgery(subject, found, into, on_part)
    lost = {
        (layer, slot): into.arrays[f"layer{layer}/unit_surgery/{slot}"]
        for layer, trace in enumerate(found)
        for slot in gates(trace)
    }
    into.findings = mechanisms(subject, found, lost, into.numbers["untouched/loss"] or 0.0)
    into.lacks = list(dict.fromkeys(into.lacks))
    return into


def _shown(subject: Subject, found: Sequence[Trace], into: Inside) -> None:
    """The traces of a few sequences, with what goes in, should come out and does."""
    few = subject.first(SHOWN)
    outputs = few.outputs(torch.from_numpy(found[-1]["hidden"][:, :SHOWN])).numpy()
    read = {"inputs": few.batch.inputs, "targets": few.batch.targets, "counts": few.batch.counts, "inside": few.inside}
    texts = [subject.task.input_rows(few.batch.inputs[:, at]) for at in range(few.inside.shape[1])]
    into.arrays |= {f"input/{k}": np.array([t[k] for t in texts]).T[:LONGEST_SHOWN] for k in texts[0]}
    read |= {f"event/{name}": steps for name, steps in few.events.items()}
    into.arrays |= {name: _small(part[:LONGEST_READ]) for name, part in read.items()}
    parts = {"outputs": outputs}
    parts |= {f"layer{at}/trace/{k}": v[:, :SHOWN] for at, trace in enumerate(found) for k, v in trace.items()}
    into.arrays |= {name: _small(part[:LONGEST_SHOWN]) for name, part in parts.items()}
    for name, steps in subject.events.items():
        into.numbers[f"events/{name}"] = float(steps.sum())


def _of_gates(subject: Subject, layer: int, trace: Trace, before: Trace | None, into: Inside) -> None:
    """Saturation, time constants, and what happens around events."""
    arrays, valid, root = into.arrays, subject.inside, f"layer{layer}"
    for slot, shares in saturation(trace, valid).items():
        arrays[f"{root}/saturation/{slot}/shut"], arrays[f"{root}/saturation/{slot}/open"] = shares
        arrays[f"{root}/mean/{slot}"] = trace[slot][valid].mean(axis=0)
    for name, one in (("trained", trace), ("untrained", before)):
        constants = None if one is None else time_constants(one, valid)
        if constants is None:
            missing = "the weights before training are not known" if one is None else "its cell shows no forget gate"
            into.lacks.append(f"time constants of the {name} net: {missing}")
            continue
        for part, values in constants._asdict().items():
            arrays[f"{root}/time_constant/{name}/{part}"] = values
    for event, happens in subject.events.items():
        means = around(trace, happens, valid)
        arrays[f"{root}/around/{event}/counts"] = means.counts
        arrays |= {f"{root}/around/{event}/{slot}": values for slot, values in means.means.items()}


def _by_lag(subject: Subject, layer: int, trace: Trace, into: Inside) -> None:
    """The weights of the cell's sum and the gradients of what is due."""
    arrays, root, few = into.arrays, f"layer{layer}", slice(0, SEQUENCES_OF_SUMS)
    start = started(subject, layer, "c")
    made = weighted_sum(
        {slot: value[:, few] for slot, value in trace.items()},
        subject.inside[:, few],
        None if start is None else start[few],
    )
    if made is None or not made.error < IDENTITY:
        into.lacks.append("the cell as a weighted sum: it is not c = f * c' + i * z of gates that it shows")
    else:
        arrays[f"{root}/weight_by_lag"], arrays[f"{root}/half_lag"] = made.by_lag[: LONGEST_LAG + 1], made.half
    gradients = lag_gradients(subject, layer, LONGEST_LAG + 1)
    arrays |= {f"{root}/gradient/{name}": values for name, values in gradients._asdict().items()}


def _of_feeds(subject: Subject, layer: int, found: Sequence[Trace], into: Inside) -> None:
    arrays, root = into.arrays, f"layer{layer}/feeds"
    spec = subject.layer.spec
    if spec.cell != "gated":
        into.lacks.append(f"what feeds a gate, and cut feeds: cell={spec.cell} has an equation of its own")
        return
    for slot in spec.learned:
        known = feeds(terms(subject, found, layer, slot), subject.inside)
        assert known is not None
        arrays |= {f"{root}/{slot}/share/{feed}": values for feed, values in known.share.items()}
        arrays |= {f"{root}/{slot}/level/{feed}": values for feed, values in known.level.items()}
        arrays |= {f"{root}/{slot}/pooled/{feed}": np.array(value) for feed, value in known.pooled.items()}


def _pooled(subject: Subject, into: Inside) -> None:
    """The numbers over units: of all layers, and of each one where there are several."""
    layers = subject.layer.num_layers
    for ending, chosen in _groups(layers):
        for name, value in _over_units(into.arrays, chosen):
            into.numbers[name + ending] = value


def _groups(layers: int) -> list[tuple[str, list[int]]]:
    """The layers that numbers are of, and how their names end: all of them, and each one if there are several."""
    return [("", list(range(layers))), *((f"@layer{at}", [at]) for at in range(layers) if layers > 1)]


def _over_units(arrays: dict[str, Array], layers: Sequence[int]) -> Iterator[tuple[str, float]]:
    names = dict.fromkeys(name.partition("/")[2] for name in arrays if name.startswith("layer"))
    for name in names:
        values = [arrays[key] for at in layers if (key := f"layer{at}/{name}") in arrays]
        first, _, rest = name.partition("/")
        if first in ("saturation", "mean", "half_lag") or (first == "feeds" and "/share/" not in name):
            yield name.replace("/pooled", ""), float(np.mean(np.concatenate([np.atleast_1d(v) for v in values])))
        elif first == "time_constant":
            each = np.concatenate(values)
            part = rest.replace("/steps", "")
            yield f"{first}/{part}", float(np.median(each) if name.endswith("steps") else np.mean(each))
        elif first == "around" and not name.endswith("counts"):
            yield name, float(np.mean(np.concatenate([v[REACH] for v in values])))


def _of_surgery(subject: Subject, found: Sequence[Trace], into: Inside, on_part: Callable[[str], None]) -> None:
    """The metrics of the untouched net and of every touched one."""
    untouched = measured(subject)
    _told(subject, "untouched", untouched, untouched, into)
    for slot in gates(found[0]):
        on_part(f"surgery on the {slot} gate")
        for ending, layers in _groups(len(found)):
            for kind, scores in surgery(subject, found, slot, layers).items():
                _told(subject, f"surgery/{slot}={kind}{ending}", untouched, scores, into)
        for layer in range(len(found)):
            into.arrays[f"layer{layer}/unit_surgery/{slot}"] = by_unit(subject, found, slot, layer)
    if subject.layer.spec.cell == "gated":
        on_part("cut feeds")
        for slot in subject.layer.spec.learned:
            for feed in [feed for feed in CUT if feed in terms(subject, found, 0, slot)]:
                for ending, layers in _groups(len(found)):
                    scores = cut(subject, found, slot, feed, layers)
                    _told(subject, f"cut/{slot}/{feed}{ending}", untouched, scores, into)


def _told(subject: Subject, name: str, untouched: Scores, touched: Scores, into: Inside) -> None:
    """The main metric, the loss, and what both have lost."""
    found = {name: touched[subject.task.metric], f"{name}/loss": touched["loss"]}
    if name != "untouched":
        found[f"{name}/cost"] = cost(subject, untouched, touched)
        found[f"{name}/loss_cost"] = touched["loss"] - untouched["loss"]
    into.numbers |= found


def _small(values: Array) -> Array:
    """Floats in single precision, symbols and truth values in as few bytes as they need."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return values.astype(np.int16) if values.dtype == np.int64 and values.max(initial=0) < 2**15 else values
