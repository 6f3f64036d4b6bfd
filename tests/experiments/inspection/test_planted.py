"""Nets whose mechanism is known, since it was set by hand, are found out; nets of random weights are not."""

import numpy as np
import torch
from family import fill, one_thread  # noqa: F401
from inspected import looked_at, task_of
from task_list import generator

from experiments.inspection.all_measures import measure
from experiments.inspection.mechanisms import mechanisms
from experiments.inspection.subject import Subject, subject
from experiments.inspection.surgery import by_unit, measured
from experiments.inspection.traces import gates, traces
from experiments.tasks.base import Task
from lstm_variants import GatedRNN, Init, State, load

LINEAR = ("candidate.activation=identity", "squash=identity")
OPEN = 20.0  # the pre-activation of a gate that stays open
DEFAULT = Init("constant", 1.0, None, "uniform", False)


def blank(task: Task, units: int, *changes: str) -> GatedRNN:
    """A net all of whose weights are 0, its gates open and its forget gates keeping in the first unit."""
    layer = GatedRNN(load("lstm", *changes), task.input_size, units, engine="reference", dtype=torch.float64)
    with torch.no_grad():
        for tensor in layer.parameters():
            tensor.zero_()
        for slot in ("input", "forget", "output"):
            layer.gates()[slot]["b"][0] = OPEN
    return layer.requires_grad_(False)


def seen(
    layer: GatedRNN, weight: list[list[float]], bias: list[float], task: Task, carried: State | None = None
) -> Subject:
    readout = torch.tensor(weight, dtype=torch.float64), torch.tensor(bias, dtype=torch.float64)
    batches = task.evaluation_batches(generator(), 16, 32, task.length, "test")
    return subject(layer, readout, task, batches, carried=carried)


def told(net: Subject) -> set[tuple[object, ...]]:
    keys = ("unit", "does", "gate", "event", "feed")
    return {tuple(finding.get(key) for key in keys) for finding in measure(net).findings}


def adder(task: Task, units: int) -> GatedRNN:
    """Unit 0 adds what is marked."""
    layer = blank(task, units, *LINEAR)
    w = layer.gates()
    w["input"]["x"][0, 1], w["input"]["b"][0] = 2 * OPEN, -OPEN
    w["candidate"]["x"][0, 0] = 1.0
    return layer


ADDS = {(0, "takes in", "input", f"{mark} mark", "x") for mark in ("first", "second")}
KEEPS = (0, "keeps", "forget", None, None)


def test_a_gated_adder_is_found() -> None:
    task = task_of("adding", length=30)
    net = seen(adder(task, 2), [[1.0, 0.0]], [0.0], task)
    assert measured(net)["loss"] < 1e-8
    assert told(net) == {KEEPS, *ADDS}


def test_a_net_that_resets_at_one_step_is_found() -> None:
    task = task_of("continual_adding", length=5, shortest=20, longest=30, flag=True)
    layer = adder(task, 3)
    w = layer.gates()
    w["candidate"]["x"][1, 2] = 1.0  # unit 1 has at every step whether the step before was the end
    for slot, bias in (("input", OPEN), ("output", OPEN), ("forget", -OPEN)):
        w[slot]["b"][1] = bias
    w["forget"]["h"][0, 1] = -2 * OPEN
    start = torch.zeros(1, 1, 16, 3, dtype=torch.float64)
    start[..., 1] = 1.0
    net = seen(layer, [[1.0, 0.0, 0.0]], [0.0], task, State(start, start))
    assert measured(net)["loss"] < 1e-8
    assert told(net) == {(0, "forgets", "forget", "segment start", "h"), *ADDS}


def test_a_latch_is_found() -> None:
    task = task_of("noisy_lag", length=15, layout="2c", distractors=4)
    layer = blank(task, 2)
    w = layer.gates()
    w["input"]["x"][0, 2:4], w["input"]["b"][0] = 2 * OPEN, -OPEN
    w["candidate"]["x"][0, 2], w["candidate"]["x"][0, 3] = OPEN, -OPEN
    rows = [[0.0, 0.0]] * task.output_size
    rows[2], rows[3] = [OPEN, 0.0], [-OPEN, 0.0]
    net = seen(layer, rows, [0.0 if symbol in (2, 3) else -OPEN for symbol in range(task.output_size)], task)
    assert measured(net)["loss"] < 1e-6
    assert told(net) == {KEEPS, (0, "takes in", "input", "x or y", "x")}
    (keeping,) = (finding for finding in measure(net).findings if finding["does"] == "keeps")
    assert keeping["time_constant"] > 1e6


def test_a_counter_is_found() -> None:
    task = task_of("counting", length=8)
    layer = blank(task, 2, *LINEAR)
    w = layer.gates()
    w["candidate"]["x"][0, 1], w["candidate"]["x"][0, 2] = 1.0, -1.0  # unit 0 counts the a's up and the b's down
    w["candidate"]["x"][1] = torch.tensor([1.0, 1.0, -1.0])  # unit 1 has whether a b was read
    for slot, bias in (("input", OPEN), ("output", OPEN), ("forget", -OPEN)):
        w[slot]["b"][1] = bias
    net = seen(layer, [[0.0, 20.0], [20.0, 0.0], [-20.0, -20.0]], [0.0, -10.0, -10.0], task)
    assert measured(net)["largest_n"] == 100
    assert told(net) == {KEEPS}


def test_nothing_is_found_in_nets_of_random_weights() -> None:
    tasks = [task_of("adding", length=7), task_of("noisy_lag", length=5, layout="2c", distractors=3)]
    tasks += [task_of("embedded_reber", length=10)]  # it states no chance
    assert [task.chance_loss is None for task in tasks] == [False, False, True]
    false, even_so = 0, 0
    for seed in range(200):
        net = looked_at("lstm", tasks[seed // 2 % 3], hidden=3)
        if seed % 2:
            fill(net.layer, seed, scale=3.0)  # gates that are often shut or open
        else:
            net.layer.reset_parameters(DEFAULT, np.random.default_rng(seed))
        found = traces(net)
        lost = {(0, slot): by_unit(net, found, slot, 0) for slot in gates(found[0])}
        false += bool(mechanisms(net, found, lost, measured(net)["loss"]))
        even_so += bool(mechanisms(net, found, lost, 0.0))  # if it passed for a net that does its task
    assert false <= 4  # 2 %
    assert even_so <= 20  # without the rule: what single units seem to do is not enough
