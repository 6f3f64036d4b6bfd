"""Looking inside: every measure against code that knows nothing of it, for every variant."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from family import SPECS, VARIANTS, one_thread  # noqa: F401
from inspected import SEQUENCES, H, looked_at, task_of

from experiments.inspection.all_measures import measure
from experiments.inspection.cut_feeds import cut
from experiments.inspection.event_means import REACH, around
from experiments.inspection.feeds import feeds, terms
from experiments.inspection.lag_gradients import due_steps, lag_gradients
from experiments.inspection.saturation import saturation
from experiments.inspection.subject import Subject
from experiments.inspection.surgery import KINDS, by_unit, measured, replacing, surgery
from experiments.inspection.time_constants import time_constants
from experiments.inspection.traces import gates, hidden, started, traces
from experiments.inspection.weighted_sum import weighted_sum
from lstm_variants import CellSpec, load
from lstm_variants.activations import ACTIVATIONS

PLAIN = [name for name in VARIANTS if SPECS[name].cell == "gated"]
# a cell of each structure
TWO_LAYERS = [
    "lstm",
    "gru",
    "elman",
    "refine_gate",
    "full_gate_recurrence",
    "scalar_forget",
    "constant_forget",
    "slstm",
]
STREAMS = {"task": task_of("continual_reber", length=2)}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("streams", [False, True])
def test_the_weights_of_what_came_in_add_up_to_the_cell(variant: str, streams: bool) -> None:
    net = looked_at(variant, **(STREAMS if streams else {}))
    (trace,) = traces(net)
    start = started(net, 0, "c")
    made = weighted_sum(trace, net.inside, start)
    assert made is not None
    assert made.error < 1e-10
    i, f, z, t, b = trace["input"], trace["forget"], trace["candidate"], 7, 2
    by_hand = sum(i[j, b] * np.prod(f[j + 1 : t + 1, b], axis=0) * z[j, b] for j in range(t + 1))
    by_hand += 0 if start is None else np.prod(f[: t + 1, b], axis=0) * start[b]
    assert by_hand == pytest.approx(trace["cell"][t, b], abs=1e-10)
    weights = [
        np.abs(i[j, b] * np.prod(f[j + 1 : j + 4, b], axis=0)) for b in range(z.shape[1]) for j in range(len(z) - 3)
    ]
    if net.inside.all():
        assert made.by_lag[3] == pytest.approx(np.mean(weights, axis=0))
    passed = np.cumsum(made.by_lag, axis=0) >= made.by_lag.sum(axis=0) / 2
    assert np.array_equal(made.half, passed.argmax(axis=0))


@pytest.mark.parametrize("variant", PLAIN)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_terms_of_a_gate_are_its_preactivation_and_their_shares_add_up(variant: str, layers: int) -> None:
    net = looked_at(variant, layers=layers, **STREAMS)
    found, spec = traces(net), SPECS[variant]
    changed = {"forget"} if spec.refine.learned else {"input", "forget"} if spec.normalise else set()
    for layer in range(layers):
        for slot in spec.learned:
            made = terms(net, found, layer, slot)
            a = torch.from_numpy(np.asarray(sum(made.values())))
            value = ACTIVATIONS[spec[slot].activation].phi(a).expand(-1, -1, H).numpy()
            if slot not in changed:
                assert value[net.inside] == pytest.approx(found[layer][slot][net.inside], abs=1e-12)
            known = feeds(made, net.inside)
            assert known is not None
            share = sum(known.share.values())
            if known.share:
                assert share == pytest.approx(1.0, abs=1e-9)
                assert sum(known.pooled.values()) == pytest.approx(1.0, abs=1e-9)
            assert set(known.level) == set(made)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_gate_clamped_to_its_own_trace_changes_no_bit(variant: str) -> None:
    net = looked_at(variant, layers=2, **STREAMS)
    untouched = hidden(net)
    for layer, trace in enumerate(traces(net)):
        for slot in gates(trace):
            own = torch.from_numpy(trace[slot])
            taps = [None, None]
            taps[layer] = replacing(slot, lambda step, count, own=own: own[step])
            assert torch.equal(hidden(net, taps), untouched)


def test_a_forget_gate_of_one_changes_nothing_where_there_is_none() -> None:
    net = looked_at("no_forget_gate")
    scores = surgery(net, traces(net), "forget", [0])
    assert scores["1"] == scores["mean"] == scores["shuffled"] == measured(net)
    assert scores["0"] != measured(net)
    assert np.array_equal(by_unit(net, traces(net), "forget", 0)[1], np.zeros(H))


@pytest.mark.parametrize("variant", ["lstm", "gru", "scalar_forget", "no_forget_gate", "refine_gate", "slstm"])
def test_surgery_on_one_unit_is_a_clamp_of_it(variant: str) -> None:
    net = looked_at(variant, **STREAMS)
    (trace,) = found = traces(net)
    for slot in gates(trace):
        lost = by_unit(net, found, slot, 0)
        for kind, value in (("0", 0.0), ("1", 1.0), ("mean", trace[slot][net.inside].mean(axis=0)[1])):
            with net.layer.clamp(slot, float(value), units=[1]):
                touched = measured(net)["loss"]
            assert lost[KINDS.index(kind), 1] == pytest.approx(touched - measured(net)["loss"], abs=1e-12)


@pytest.mark.parametrize("block", [2, 3, 6, "all"])
def test_units_of_a_block_are_fed_by_the_terms_of_the_block(block: int | str) -> None:
    net = looked_at(CellSpec.from_config({"forget": {"block": block}}), hidden=6)
    found = traces(net)
    made = terms(net, found, 0, "forget")
    a = np.broadcast_to(sum(made.values(), start=np.zeros(())), found[0]["forget"].shape)
    assert 1 / (1 + np.exp(-a)) == pytest.approx(found[0]["forget"], abs=1e-12)
    with torch.no_grad():
        gate = net.layer.gates()["forget"]
        mean = made["h"][net.inside].mean(axis=0)
        before, lost = measured(net), cut(net, found, "forget", "h", [0])
        gate["h"].zero_()
        gate["b"] += torch.from_numpy(mean.reshape(len(gate["b"]), -1)[:, 0])
    assert lost == pytest.approx(measured(net), abs=1e-12)
    assert lost != before


@pytest.mark.parametrize("variant", ["lstm", "gru", "gru_reset_before", "peephole"])
def test_terms_of_a_normalised_net_are_normalised(variant: str) -> None:
    net = looked_at(load(variant, "layer_norm=true"), layers=2)
    found, spec = traces(net), net.layer.spec
    for slot in spec.learned:
        made = terms(net, found, 1, slot)
        value = ACTIVATIONS[spec[slot].activation].phi(torch.from_numpy(np.asarray(sum(made.values())))).numpy()
        assert value == pytest.approx(found[1][slot], abs=1e-12)
    with torch.no_grad():
        gate = net.layer.gates()["forget"]
        mean = terms(net, found, 0, "forget")["h"][net.inside].mean(axis=0)
        before, lost = measured(net), cut(net, found, "forget", "h", [0])
        gate["gain_h"].zero_()
        gate["b"] += torch.from_numpy(mean)
    assert lost == pytest.approx(measured(net), abs=1e-12)
    assert lost != before


def test_surgery_on_all_units_is_a_clamp_of_the_gate() -> None:
    net = looked_at("lstm", layers=2)
    found = traces(net)
    with net.layer.clamp("forget", 0.0, layer=1):
        assert surgery(net, found, "forget", [1])["0"] == measured(net)
        with net.layer.clamp("forget", 0.0, layer=0):
            both = measured(net)
    assert surgery(net, found, "forget", [0, 1])["0"] == both


def test_a_shuffled_gate_has_the_values_that_it_had() -> None:
    net = looked_at("lstm", **STREAMS)
    (trace,) = found = traces(net)
    seen = []

    def keep(name, own):
        seen.extend([own] if name == "forget" else [])
        return own

    from experiments.inspection.surgery import values

    hidden(net, [replacing("forget", values(trace, "forget", net.inside)["shuffled"])])
    value = values(trace, "forget", net.inside)["shuffled"]
    got = torch.cat([value(step, SEQUENCES) for step in range(len(net.inside))]).numpy()[: net.inside.sum()]
    assert np.array_equal(np.sort(got, axis=0), np.sort(trace["forget"][net.inside], axis=0))
    assert surgery(net, found, "forget", [0])["shuffled"] == surgery(net, found, "forget", [0])["shuffled"]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("feed", ["x", "h"])
def test_a_cut_feed_is_its_mean(feed: str) -> None:
    net = looked_at("lstm")
    found = traces(net)
    w = {slot: {k: v.numpy() for k, v in parts.items()} for slot, parts in net.layer.gates(0).items()}
    mean = terms(net, found, 0, "forget")[feed].reshape(-1, H).mean(axis=0)
    x, h, c, ys = net.x.numpy(), np.zeros((12, H)), np.zeros((12, H)), []
    for t in range(len(x)):
        a = {slot: x[t] @ p["x"].T + h @ p["h"].T + p["b"] for slot, p in w.items()}
        a["forget"] += mean - ((x[t] @ w["forget"]["x"].T) if feed == "x" else (h @ w["forget"]["h"].T))
        c = sigmoid(a["forget"]) * c + sigmoid(a["input"]) * np.tanh(a["candidate"])
        h = sigmoid(a["output"]) * np.tanh(c)
        ys.append(h)
    expected = net.task.scores(net.outputs(torch.from_numpy(np.stack(ys))), net.batch).means()
    assert cut(net, found, "forget", feed, [0]) == pytest.approx(expected, abs=1e-12)
    assert cut(net, found, "forget", feed, [0]) != measured(net)


@pytest.mark.parametrize("variant", PLAIN)
def test_cutting_every_feed_of_every_gate_runs_and_touches_no_net(variant: str) -> None:
    net = looked_at(variant, **STREAMS)
    found, untouched = traces(net), measured(net)
    for slot in SPECS[variant].learned:
        for feed in terms(net, found, 0, slot).keys() - {"b"}:
            scores = cut(net, found, slot, feed, [0])
            assert np.isfinite(scores["loss"])
    assert measured(net) == untouched


def replay(net: Subject, step: int, sequence: int, **shifts: np.ndarray) -> np.ndarray:
    """The outputs at the due step, with hidden, cell or input of a step shifted."""
    due, few = int(due_steps(net)[sequence]), net
    (trace,) = traces(few)
    x = net.x.clone()
    if "x" in shifts:
        x[step, sequence] += torch.from_numpy(shifts["x"])
        y, _ = net.layer(x, net.state)
        return net.outputs(y)[due, sequence].numpy()
    h, c = (torch.from_numpy(trace[k][step].copy()) for k in ("hidden", "cell"))
    if "h" in shifts:
        h[sequence] += torch.from_numpy(shifts["h"])
    if "c" in shifts:  # of which h is made
        c[sequence] += torch.from_numpy(shifts["c"])
        h = torch.from_numpy(trace["output"][step]) * torch.tanh(c)
    if step == due:
        return net.outputs(h)[sequence].numpy()
    y, _ = net.layer(x[step + 1 :], (h[None], c[None]))
    return net.outputs(y)[due - step - 1, sequence].numpy()


@pytest.mark.parametrize("variant", ["lstm", "gates_xb", "peephole", "no_output_gate"])
@pytest.mark.parametrize("lag", [0, 1, 3])
def test_gradients_by_lag_are_finite_differences(variant: str, lag: int) -> None:
    whole = looked_at(variant, task=task_of("continual_reber", length=2))
    net = whole.first(1)
    due, size = int(due_steps(net)[0]), 1e-5
    found = lag_gradients(net, 0, 20)
    for key in ("h", "x") if variant == "peephole" else ("h", "c", "x"):
        width = net.x.shape[-1] if key == "x" else H
        columns = []
        for unit in range(width):
            shift = size * np.eye(width)[unit]
            up, down = (replay(net, due - lag, 0, **{key: sign * shift}) for sign in (1, -1))
            columns.append((up - down) / (2 * size))
        assert getattr(found, key)[lag] == pytest.approx(np.linalg.norm(columns), rel=1e-6)


def test_the_path_along_the_cell_alone_is_the_product_of_f() -> None:
    net = looked_at("lstm", task=task_of("continual_reber", length=2)).first(1)
    due, (trace,) = int(due_steps(net)[0]), traces(net)
    found = lag_gradients(net, 0, 20)
    o, c = trace["output"][due, 0], trace["cell"][due, 0]
    local = net.readout[0].numpy() * (o * (1 - np.tanh(c) ** 2))
    for lag in (0, 1, 5):
        f = np.prod(trace["forget"][due - lag + 1 : due + 1, 0], axis=0)
        assert found.cell_path[lag] == pytest.approx(np.linalg.norm(local * f), rel=1e-10)
    gateless = looked_at("gates_xb").first(1)  # z sees h', so that the paths differ there too
    assert lag_gradients(gateless, 0, 5).cell_path[0] == pytest.approx(lag_gradients(gateless, 0, 5).c[0])
    linear = looked_at("no_hidden").first(1)  # nothing sees h': the cell's own path is the only one
    found = lag_gradients(linear, 0, 9)
    assert found.cell_path == pytest.approx(found.c, rel=1e-10)


def test_time_constants_are_those_of_the_decay() -> None:
    inside, shape = np.ones((50, 2), dtype=bool), (50, 2, 1)
    for tau in (2.0, 30.0):
        constants = time_constants({"forget": np.full(shape, np.exp(-1 / tau))}, inside)
        assert constants is not None
        assert constants.steps == pytest.approx(tau)
    f = np.concatenate([np.full(shape, value) for value in (1.0, 0.0, 2.0)], axis=-1)
    f = np.concatenate([f, np.where(np.arange(50) % 2, 2.0, -1.0)[:, None, None] * np.ones((1, 2, 1))], axis=-1)
    constants = time_constants({"forget": f}, inside)
    assert constants is not None
    assert constants.steps.tolist() == [np.inf, 0.0, np.inf, 0.0]
    assert constants.erased.tolist() == [0, 1, 0, 0.5]
    assert constants.grown.tolist() == [0, 0, 1, 0.5]
    assert time_constants({}, inside) is None


def test_saturation_counts_the_steps_of_each_unit() -> None:
    net = looked_at("lstm", **STREAMS)
    (trace,) = traces(net)
    f = trace["forget"][:, :, 1]
    inside = [(t, b) for t in range(f.shape[0]) for b in range(f.shape[1]) if net.inside[t, b]]
    assert len(inside) < f.size
    found = saturation(trace, net.inside)["forget"]
    assert found.shut[1] == pytest.approx(sum(f[p] < 0.1 for p in inside) / len(inside))
    assert found.open[1] == pytest.approx(sum(f[p] > 0.9 for p in inside) / len(inside))


def test_means_around_an_event_leave_padding_out() -> None:
    net = looked_at("lstm", **STREAMS)
    (trace,) = traces(net)
    found = around(trace, net.events["string end"], net.inside)
    for offset in (-2, 0, 1):
        picked = [
            trace["forget"][t + offset, b]
            for t, b in zip(*np.nonzero(net.events["string end"]), strict=True)
            if 0 <= t + offset < len(net.inside) and net.inside[t + offset, b]
        ]
        assert found.counts[REACH + offset] == len(picked)
        assert found.means["forget"][REACH + offset] == pytest.approx(np.mean(picked, axis=0))


def test_streams_are_read_from_end_to_end_from_the_carried_state() -> None:
    net = looked_at("lstm", **STREAMS)
    task = STREAMS["task"]
    from task_list import generator

    chunks = task.evaluation_batches(generator(), SEQUENCES, 2 * SEQUENCES, task.length, "test")
    state, last = net.state, []
    for chunk in chunks:
        x = torch.eye(task.input_size, dtype=torch.float64)[torch.from_numpy(chunk.inputs)]
        y, state = net.layer(x, state, torch.from_numpy(chunk.lengths))
        last.append([y[:n, b] for b, n in enumerate(chunk.lengths)])
    for b in range(SEQUENCES):
        own = torch.cat([part[b] for part in last])
        assert torch.equal(hidden(net)[: len(own), b], own)
        assert net.inside[:, b].sum() == len(own)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layers", [1, 2])
def test_everything_is_measured_of_every_variant(variant: str, layers: int, full: bool) -> None:
    if layers == 2 and variant not in TWO_LAYERS and not full:
        pytest.skip("its one layer, and two layers of each structure, are measured: --slow")
    found = measure(looked_at(variant, layers=layers, task=task_of("continual_reber", length=1)))
    own = SPECS[variant].cell != "gated"
    assert [lack for lack in found.lacks if "what feeds" in lack] == found.lacks
    assert bool(found.lacks) == own
    assert ("cut/candidate/x" in found.numbers) == (not own)
    assert found.numbers["untouched"] is not None
    assert ("surgery/forget=1@layer1/cost" in found.numbers) == (layers == 2)
    forget = replace(SPECS[variant].forget)
    if forget.kind == "constant":
        assert found.numbers["surgery/forget=mean/loss_cost"] == pytest.approx(0, abs=1e-12)
    assert all(name.isascii() and isinstance(value, float) for name, value in found.numbers.items())
    assert all(array.dtype.kind in "biufU" for array in found.arrays.values())


@pytest.mark.parametrize("task", ["counting", "parity"])
def test_a_main_metric_that_takes_a_probe_is_measured_under_surgery(task: str) -> None:
    net = looked_at("lstm", task=task_of(task, length=4))
    scores = surgery(net, traces(net), "forget", [0])
    assert all(net.task.metric in one for one in [*scores.values(), measured(net)])
