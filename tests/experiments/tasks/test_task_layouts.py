"""Targets recomputed by brute force from the inputs, one sequence at a time, and the places of marks and lengths."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from task_list import CASES, IDS, SUZGUN, SYNTHETIC, build, generator

from experiments.tasks._reber import Grammar, embedded
from experiments.tasks.base import Batch, Task
from experiments.training.data import TrainingData

NONE = object()  # a step that does not count
Row = Any


def sequences(task: Task, seed: int = 0, batch_size: int = 200) -> Iterator[tuple[list[Row], list[Row]]]:
    """Inputs and targets of each sequence without padding; NONE for a target that does not count."""
    batch = task.training_batch(generator(seed), batch_size)
    for column in range(batch.inputs.shape[1]):
        steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[column])
        inputs, targets = batch.inputs[:steps, column].tolist(), batch.targets[:steps, column].tolist()
        yield inputs, [t if counts else NONE for t, counts in zip(targets, batch.counts[:steps, column], strict=True)]


def only_last(steps: int, target: Row) -> list[Row]:
    return [NONE] * (steps - 1) + [target]


# ---- one oracle a task: inputs -> targets, asserting the layout on the way --------------------------------------


def adding_2016(inputs: list[Row]) -> list[Row]:
    first, second = (t for t, (_, mark) in enumerate(inputs) if mark == 1)
    assert len(inputs) == 100
    assert first < 50 <= second
    assert all(0 <= value < 1 for value, _ in inputs)
    return only_last(len(inputs), [pytest.approx(inputs[first][0] + inputs[second][0], abs=1e-6)])


def adding_signed(inputs: list[Row]) -> list[Row]:
    first, second = (inputs[t][0] for t, (_, mark) in enumerate(inputs) if mark == 1)
    assert all(-1 <= value < 1 for value, _ in inputs)
    return only_last(len(inputs), [pytest.approx(first + second, abs=1e-6)])


def marked_1997(inputs: list[Row], low: float) -> tuple[float, float]:
    """The two marked values."""
    assert 100 <= len(inputs) <= 110
    assert all(low <= value < 1 for value, _ in inputs[1:])
    assert inputs[-1][1] == -1
    marked = [t for t, (_, mark) in enumerate(inputs) if mark == 1]
    assert {t for t, (_, mark) in enumerate(inputs) if mark == -1} == {0, len(inputs) - 1} - set(marked)
    assert len(marked) == 2
    assert marked[0] <= 9
    assert marked[1] <= 48
    if marked[0] == 0 and marked[1] > 9:  # else i1 may be the other
        assert inputs[0][0] == low + 1
    return inputs[marked[0]][0], inputs[marked[1]][0]


def adding_1997(inputs: list[Row]) -> list[Row]:
    first, second = marked_1997(inputs, -1)
    return only_last(len(inputs), [pytest.approx(0.5 + (first + second) / 4, abs=1e-6)])


def multiplication(inputs: list[Row]) -> list[Row]:
    first, second = marked_1997(inputs, 0)
    return only_last(len(inputs), [pytest.approx(first * second, abs=1e-6)])


def continual_adding(inputs: list[Row], flag: bool = True) -> list[Row]:
    ends = [t for t, row in enumerate(inputs) if row[2] == 1]
    assert len(ends) == 4
    assert ends[-1] == len(inputs) - 1
    targets: list[Row] = [NONE] * len(inputs)
    for start, end in zip([0, *(t + 1 for t in ends)], ends, strict=False):
        segment = inputs[start : end + 1]
        first, second = (t for t, row in enumerate(segment) if row[1] == 1)
        assert 30 <= len(segment) <= 50
        assert first < len(segment) // 2 <= second
        targets[end] = [pytest.approx(segment[first][0] + segment[second][0], abs=1e-6)]
    return targets


def continual_adding_without_flag(inputs: list[Row]) -> list[Row]:
    marked = [t for t, (_, mark) in enumerate(inputs) if mark == 1]
    targets: list[Row] = [NONE] * len(inputs)
    for first, second in zip(marked[::2], marked[1::2], strict=True):
        targets[second] = [pytest.approx(inputs[first][0] + inputs[second][0], abs=1e-6)]
    assert len(marked) == 8
    return targets


def copy(inputs: list[Row]) -> list[Row]:
    assert len(inputs) == 120
    assert inputs[10:] == [0] * 99 + [9] + [0] * 10
    assert set(inputs[:10]) <= set(range(1, 9))
    return [0] * 110 + inputs[:10]


def variable_copy(inputs: list[Row]) -> list[Row]:
    signal = inputs.index(9)
    assert len(inputs) == 121
    assert 11 <= signal <= 110
    assert inputs[10:] == [0] * (signal - 10) + [9] + [0] * (120 - signal)
    return [0] * (signal + 1) + inputs[:10] + [0] * (110 - signal)


def selective_copy(inputs: list[Row]) -> list[Row]:
    assert inputs[60:] == [9] * 5
    found = [symbol - 1 for symbol in inputs[:60] if symbol]
    assert len(found) == 5
    return [NONE] * 60 + found


def classes(string: str, places: list[tuple[int, int]]) -> int:
    assert 100 <= len(string) <= 110
    assert re.fullmatch("E[abcdXY]*B", string)
    found = [t for t, symbol in enumerate(string) if symbol in "XY"]
    assert len(found) == len(places)
    assert all(low <= t <= high for t, (low, high) in zip(found, places, strict=True))
    return int("".join("01"[string[t] == "Y"] for t in found), 2)


def temporal_order(inputs: list[Row]) -> list[Row]:
    return only_last(len(inputs), classes("".join("EBabcdXY"[s] for s in inputs), [(10, 20), (50, 60)]))


def temporal_order_3(inputs: list[Row]) -> list[Row]:
    return only_last(len(inputs), classes("".join("EBabcdXY"[s] for s in inputs), [(10, 20), (33, 43), (66, 76)]))


def continual_temporal_order(inputs: list[Row]) -> list[Row]:
    strings = re.findall("E[^B]*B", "".join("EBabcdXY"[s] for s in inputs))
    assert len(strings) == 2
    assert sum(map(len, strings)) == len(inputs)
    return [t for s in strings for t in only_last(len(s), classes(s, [(10, 20), (33, 43), (66, 76)]))]


def noisy_lag_2a(inputs: list[Row]) -> list[Row]:
    assert inputs[0] in (0, 1)
    assert inputs[1:] == list(range(2, 101))
    return [*inputs[1:], inputs[0]]


def noisy_lag_2b(inputs: list[Row]) -> list[Row]:
    assert inputs[0] in (0, 1)
    assert all(2 <= s < 101 for s in inputs[1:])
    assert len(inputs) == 100
    return [*inputs[1:], inputs[0]]


def noisy_lag_2c(inputs: list[Row]) -> list[Row]:
    assert (inputs[0], inputs[-1]) == (0, 1)
    assert inputs[1] in (2, 3)
    assert len(inputs) >= 103
    assert all(4 <= s < 8 for s in inputs[2:-1])
    return only_last(len(inputs), inputs[1])


def parity(inputs: list[Row]) -> list[Row]:
    assert 3 <= len(inputs) <= 20
    return [sum(inputs[: t + 1]) % 2 for t in range(len(inputs))]


def counting_of(letters: str, start: str = "S") -> Callable[[list[Row]], list[Row]]:
    def targets_of(inputs: list[Row]) -> list[Row]:
        text = "".join((start + letters)[s] for s in inputs)
        n = text.count("a")
        whole = start + "".join(letter * n for letter in letters) + "T"
        assert text == whole[:-1]
        assert 1 <= n <= 10
        sets = ["ab" if text[t] == "a" else whole[t + 1] for t in range(len(text))]
        return [[float(output in now) for output in letters + "T"] for now in sets]

    return targets_of


def timing(inputs: list[Row]) -> list[Row]:
    first, second = (t for t, (spike,) in enumerate(inputs) if spike)
    assert len(inputs) == 200
    assert first <= 139
    assert 30 <= second - first <= 60
    return [[pytest.approx((second - first - 30) / 30, abs=1e-6)] if t == second else NONE for t in range(200)]


def arithmetic(inputs: list[Row]) -> list[Row]:
    symbols = "0123456789abcdefghijklmnopqrstuvwxyz+-=."
    assert all(sum(row[:-1]) == 1 for row in inputs)
    text = "".join(symbols[row.index(1)] for row in inputs)
    question, answer = text.split("=")
    a, op, b = re.fullmatch(r"(-?\d+)([+-])(\d+)", re.sub("[a-z]", "", question)).groups()  # type: ignore[union-attr]
    assert all(len(number.strip("-")) <= 3 and str(int(number)) == number for number in (a, b))
    assert question[0] not in "abcdefghijklmnopqrstuvwxyz"
    result = str(int(a) + int(b) if op == "+" else int(a) - int(b))
    assert answer == result
    assert [row[-1] for row in inputs] == [0] * len(question) + [1] * (len(answer) + 1)
    return [NONE] * len(question) + [symbols.index(s) for s in result + "."]


def xml(inputs: list[Row]) -> list[Row]:
    text = "".join("abcdefghijklmnopqrstuvwxyz</>"[s] for s in inputs)
    stack: list[str] = []
    for closing, word in re.findall("<(/?)([a-z]{2,10})>", text):
        if closing:
            assert stack.pop() == word
        else:
            stack.append(word)
    assert not stack
    assert re.fullmatch("(</?[a-z]{2,10}>)+", text)
    return [*inputs[1:], 26]


def associative_recall(inputs: list[Row]) -> list[Row]:
    keys, values = inputs[:8:2], inputs[1:8:2]
    assert len(set(keys)) == len(set(values)) == 4
    assert all(1 <= key < 64 for key in keys)
    assert all(64 <= value < 128 for value in values)
    queries = inputs[8:]
    assert sorted(q for q in queries if q) == sorted(keys)
    assert not any(queries[1::2])
    return [NONE] * 8 + [values[keys.index(q)] if q else NONE for q in queries]


ORACLES: list[tuple[str, dict[str, Any], Callable[[list[Row]], list[Row]]]] = [
    ("adding", {}, adding_2016),
    ("adding", {"layout": "1997"}, adding_1997),
    ("adding", {"values": "-1..1"}, adding_signed),
    ("multiplication", {}, multiplication),
    ("continual_adding", {}, continual_adding),
    ("continual_adding", {"flag": False}, continual_adding_without_flag),
    ("copy", {}, copy),
    ("variable_copy", {}, variable_copy),
    ("selective_copy", {}, selective_copy),
    ("temporal_order", {}, temporal_order),
    ("temporal_order", {"symbols": 3}, temporal_order_3),
    ("continual_temporal_order", {}, continual_temporal_order),
    ("noisy_lag", {}, noisy_lag_2a),
    ("noisy_lag", {"layout": "2b"}, noisy_lag_2b),
    ("noisy_lag", {"layout": "2c", "distractors": 4}, noisy_lag_2c),
    ("parity", {}, parity),
    ("parity", {"target": "last"}, lambda inputs: only_last(len(inputs), sum(inputs) % 2)),
    ("counting", {}, counting_of("ab")),
    ("counting", {"letters": 3}, counting_of("abc")),
    ("counting", SUZGUN, counting_of("abc", start="")),
    ("timing", {}, timing),
    ("arithmetic", {}, arithmetic),
    ("xml", {"length": 1}, xml),
    ("xml", {"length": 3}, xml),
    ("associative_recall", {"fill": "blank"}, associative_recall),
]


@pytest.mark.parametrize(("name", "changes", "oracle"), ORACLES)
def test_targets_follow_from_the_inputs(
    name: str, changes: dict[str, Any], oracle: Callable[[list[Row]], list[Row]], tmp_path: Path
) -> None:
    for inputs, targets in sequences(build(name, changes, tmp_path)):
        assert targets == oracle(inputs)


def test_random_fill_leaves_pairs_and_queries_as_they_are(tmp_path: Path) -> None:
    """And no key of a sequence stands where it is not asked for; every other symbol does."""
    filled: set[int] = set()
    for inputs, targets in sequences(build("associative_recall", {}, tmp_path)):
        pairs = dict(zip(inputs[:8:2], inputs[1:8:2], strict=True))
        asked = {inputs[t]: target for t, target in enumerate(targets) if target is not NONE}
        assert asked == pairs
        fill = {inputs[t] for t, target in enumerate(targets) if t >= 8 and target is NONE}
        assert not fill & set(pairs)
        filled |= fill
    assert filled == set(range(128))


def test_fill_is_uniform_on_all_other_symbols(tmp_path: Path) -> None:
    task = build("associative_recall", {"length": 8, "symbols": 10, "pairs": 1}, tmp_path)
    batch = task.training_batch(generator(), 40_000)
    fill = np.ma.masked_array(batch.inputs[2:], batch.counts[2:])
    for key in range(1, 5):
        shares = np.bincount(fill[:, batch.inputs[0] == key].compressed(), minlength=10) / 5
        assert shares[key] == 0
        assert shares / shares.sum() == pytest.approx(np.where(np.arange(10) == key, 0, 1 / 9), abs=0.006)


@pytest.mark.parametrize(
    ("name", "changes"),
    [pytest.param(*case, id=name) for case, name in zip(CASES, IDS, strict=True) if case[0] in SYNTHETIC],
)
def test_every_input_symbol_occurs(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """But the end of an arithmetic problem, which is predicted and not read."""
    task = build(name, changes, tmp_path)
    inputs = task.training_batch(generator(), 1_000).inputs
    seen = set(np.unique(inputs).tolist()) if inputs.ndim == 2 else set(np.flatnonzero(inputs.any(axis=(0, 1))))
    assert set(range(task.input_size)) - seen == ({39} if name == "arithmetic" else set())


# ---- the Reber grammar ------------------------------------------------------------------------------------------

TABLE = {0: "T1P2", 1: "S1X3", 2: "T2V4", 3: "X2S5", 4: "P3V5", 5: "E6"}


def is_inner(text: str) -> bool:
    if text[:1] != "B":
        return False
    state = 0
    for symbol in text[1:]:
        edges = dict(zip(TABLE.get(state, "")[::2], TABLE.get(state, "")[1::2], strict=True))
        if symbol not in edges:
            return False
        state = int(edges[symbol])
    return state == 6


def strings_of(inputs: list[Row], alphabet: str, length: int) -> list[str]:
    """The strings of a chunk, found by trying every cut."""
    text = "".join(alphabet[s] for s in inputs)
    found, start = [], 0
    while start < len(text):
        end = next(e for e in range(start + 7, len(text) + 1) if is_embedded(text[start:e], alphabet))
        found.append(text[start:end])
        start = end
    assert len(found) == length
    return found


def is_embedded(text: str, alphabet: str) -> bool:
    if alphabet == "inner":
        return is_inner(text[1:-1]) and text[0] == text[-1] and text[0] in "TP"
    first, last = "be" if "b" in alphabet else "BE"
    return text[0] == first and text[-1] == last and text[1] == text[-2] and text[1] in "TP" and is_inner(text[2:-2])


@pytest.mark.parametrize("markers", ["full", "distinct"])
def test_continual_reber_is_strings_end_to_end(markers: str, tmp_path: Path) -> None:
    task = build("continual_reber", {"markers": markers}, tmp_path)
    for inputs, targets in sequences(task, batch_size=40):
        strings_of(inputs, task.alphabet, 6)
        assert targets == [*inputs[1:], inputs[0]]  # a string begins as the one before
        assert ("b" in task.alphabet) == (markers == "distinct")


def test_inner_markers_drop_the_outer_ones(tmp_path: Path) -> None:
    task = build("continual_reber", {"markers": "inner"}, tmp_path)
    for inputs, targets in sequences(task, batch_size=40):
        text, start = "".join("BTPSXVE"[s] for s in inputs), 0
        while start < len(text):
            start = next(e for e in range(start + 7, len(text) + 1) if is_embedded(text[start:e], "inner"))
        assert targets == [*inputs[1:], NONE]


def test_an_external_reset_shows_the_same_strings_one_by_one(tmp_path: Path) -> None:
    carried, reset = (build("continual_reber", {"reset_at": value}, tmp_path) for value in (None, "string_end"))
    assert (carried.carry, reset.carry) == (True, False)
    whole = list(sequences(carried, batch_size=5))
    single = list(sequences(reset, batch_size=5))
    assert len(single) == 30
    for stream in range(5):
        own = single[6 * stream : 6 * stream + 6]
        assert whole[stream] == ([s for i, _ in own for s in i], [s for _, t in own for s in t])


def test_embedded_reber_predicts_all_but_the_first_symbol(tmp_path: Path) -> None:
    for inputs, targets in sequences(build("embedded_reber", {}, tmp_path)):
        text = "".join("BTPSXVE"[s] for s in [*inputs, targets[-1]])
        assert targets[:-1] == inputs[1:]
        assert is_embedded(text, "BTPSXVE")


def test_a_shortest_string_can_be_asked_for(tmp_path: Path) -> None:
    lengths = [len(inputs) + 1 for inputs, _ in sequences(build("embedded_reber", {"length": 20}, tmp_path))]
    assert min(lengths) == 20
    assert len(lengths) == 200


def test_lengths_of_reber_strings() -> None:
    lengths = Grammar(embedded(), "BTPSXVE").strings(generator(), 40_000).lengths
    assert lengths.mean() == pytest.approx(12.0, abs=0.06)
    assert lengths.min() == 9
    inner = Grammar(embedded("inner"), "BTPSXVE").strings(generator(), 40_000).lengths
    assert inner.mean() == pytest.approx(10.0, abs=0.06)


def test_what_is_legal_is_what_can_follow(tmp_path: Path) -> None:
    """The legal sets are those of all strings with the same beginning, found by walking the automaton."""
    task = build("embedded_reber", {}, tmp_path)
    batch = task.training_batch(generator(), 300)
    assert batch.legal is not None
    assert batch.lengths is not None
    edges = embedded()
    for column in range(300):
        state = "outer"  # after the first B
        for step in range(int(batch.lengths[column])):
            legal = {"BTPSXVE"[k] for k in np.flatnonzero(batch.legal[step, column])}
            assert legal == {symbol for symbol, _ in edges[state]}
            state = dict(edges[state])["BTPSXVE"[batch.targets[step, column]]]


def test_both_branches_are_equally_likely() -> None:
    strings = Grammar(embedded(), "BTPSXVE").strings(generator(), 40_000)
    assert (strings.symbols[1] == 1).mean() == pytest.approx(0.5, abs=0.01)
    assert (strings.symbols[3] == 1).mean() == pytest.approx(0.5, abs=0.01)


# ---- frequencies of what is drawn -------------------------------------------------------------------------------


def test_marks_are_uniform_on_their_places(tmp_path: Path) -> None:
    batch = build("adding", {"layout": "1997", "length": 24}, tmp_path).training_batch(generator(), 60_000)
    marked = batch.inputs[..., 1] == 1
    shares = marked.mean(axis=1)
    both, late = 1 / 10 + 9 / 10 / 10, 1 / 10  # as i1 or i2 in 0..9; i2 alone at 10
    assert shares[:10] == pytest.approx([both] * 10, abs=0.006)
    assert shares[10] == pytest.approx(late, abs=0.006)
    assert not shares[11:].any()


def test_distractors_follow_the_geometric_law(tmp_path: Path) -> None:
    batch = build("noisy_lag", {"layout": "2c"}, tmp_path).training_batch(generator(), 5_000)
    assert batch.lengths is not None
    more = batch.lengths - 103
    assert more.min() == 0
    assert more.mean() == pytest.approx(9, abs=0.5)


def test_letters_follow_the_geometric_law(tmp_path: Path) -> None:
    batch = build("arithmetic", {}, tmp_path).training_batch(generator(), 5_000)
    letters = batch.inputs[..., 10:36].sum()
    question = batch.inputs[..., :10].sum() + batch.inputs[..., 36:38].sum() - (batch.counts.sum() - 5_000)
    assert letters / question == pytest.approx(0.48 / 0.52, rel=0.02)


def test_queries_come_early_as_the_power_law_says(tmp_path: Path) -> None:
    batch = build("associative_recall", {"pairs": 1}, tmp_path).training_batch(generator(), 40_000)
    weights = np.arange(1, 32) ** -0.99
    shares = batch.counts[2::2].mean(axis=1)
    assert shares == pytest.approx(weights / weights.sum(), abs=0.01)


def test_an_xml_document_stops_when_half_of_them_should(tmp_path: Path) -> None:
    batch = build("xml", {"length": 1}, tmp_path).training_batch(generator(), 1_000)
    tags = (batch.inputs == 26).sum(axis=0)  # "<"
    assert (tags == 2).mean() == pytest.approx(1 / 4, abs=0.05)  # open, close, stop
    assert tags.max() <= 98


# ---- whole runs -------------------------------------------------------------------------------------------------


def one_hot(symbols: Any, size: int) -> torch.Tensor:
    return torch.from_numpy(np.eye(size)[symbols])


@pytest.mark.parametrize("reset_at", [None, "string_end"])
def test_the_error_free_run_counts_symbols(reset_at: str | None, tmp_path: Path) -> None:
    task = build("continual_reber", {"reset_at": reset_at}, tmp_path)

    def perfect(batch: Batch) -> torch.Tensor:
        assert batch.legal is not None
        return torch.from_numpy(batch.legal).double()

    assert task.probe(perfect, generator()) == {"error_free_run": 10_000.0}
    assert task.probe(lambda batch: torch.zeros_like(perfect(batch)), generator()) == {"error_free_run": 0.0}
    asked: list[Batch] = []

    def wrong_in_the_third_string(batch: Batch) -> torch.Tensor:
        asked.append(batch)
        outputs = perfect(batch)
        if len(asked) == 2:
            places = np.arange(10) if reset_at is None else np.arange(0, 60, 6)  # each stream's first string
            outputs[4, places] = 0
        return outputs

    run = task.probe(wrong_in_the_third_string, generator())["error_free_run"]
    assert asked[0].lengths is not None
    assert run == pytest.approx(asked[0].lengths.sum() / 10 + 4)


def test_the_run_to_the_first_wrong_order_counts_strings(tmp_path: Path) -> None:
    task = build("continual_temporal_order", {"string_length": 10, "length": 3}, tmp_path)
    calls = 0

    def right_for_seven_strings(batch: Batch) -> torch.Tensor:
        nonlocal calls
        calls += 1
        outputs = one_hot(batch.targets, 8)
        if calls == 3:
            second = [np.flatnonzero(batch.counts[:, stream])[1] for stream in range(10)]
            outputs[second, range(10)] *= -1
        return outputs

    assert task.probe(right_for_seven_strings, generator()) == {"strings_to_error": 7.0}
    assert task.probe(lambda batch: one_hot(batch.targets, 8), generator()) == {"strings_to_error": 100.0}


def test_an_output_of_zero_is_no_answer(tmp_path: Path) -> None:
    """Neither where a symbol may follow nor where it may not; nor is one that is not a number."""
    task = build("counting", {}, tmp_path)
    for nothing in (0.0, -0.0, np.nan):

        def undecided(batch: Batch, value: float = nothing) -> torch.Tensor:
            outputs = torch.from_numpy(batch.targets) - 0.5
            outputs[4, 2:, 2] = value  # T is not legal there, but for n = 2, where it is
            return outputs

        assert task.probe(undecided, generator()) == {"largest_n": 2.0}


@pytest.mark.parametrize("letters", [2, 3])
def test_counting_is_scored_by_the_largest_n(letters: int, tmp_path: Path) -> None:
    task = build("counting", {"letters": letters}, tmp_path)

    def outputs(batch: Batch, broken: int = 101) -> torch.Tensor:
        values = torch.from_numpy(batch.targets) - 0.5
        if broken <= 100:
            values[-1 if broken == 100 else letters * broken, broken - 1, 0] += 2
        return values

    assert task.probe(outputs, generator()) == {"largest_n": 100.0}
    for broken in (1, 2, 37, 100):
        assert task.probe(lambda batch, n=broken: outputs(batch, n), generator()) == {"largest_n": broken - 1.0}

    def memoryless(batch: Batch) -> torch.Tensor:
        """The end after the first b (c), and one more of each letter before."""
        rows = {
            2: [[1, -1, -1], [1, 1, -1], [-1, -1, 1]],
            3: [[1, -1, -1, -1], [1, 1, -1, -1], [-1, -1, 1, -1], [-1, -1, -1, 1]],
        }
        return torch.tensor(rows[letters])[torch.from_numpy(batch.inputs)].double()

    assert task.probe(memoryless, generator()) == {"largest_n": task.chance}


def test_counting_is_scored_by_the_smallest_n_that_fails(tmp_path: Path) -> None:
    task = build("counting", SUZGUN | {"asked": 30}, tmp_path)

    def outputs(batch: Batch, broken: int) -> torch.Tensor:
        values = torch.from_numpy(batch.targets) - 0.5
        if broken <= 30:
            values[0, broken - 1, 3] += 2
        return values

    for broken in (1, 2, 17, 30, 31):
        assert task.probe(lambda batch, n=broken: outputs(batch, n), generator()) == {"e1": float(broken)}


def test_a_fixed_list_of_strings_is_read_in_order_over_and_over(tmp_path: Path) -> None:
    """Whatever the seed; another distribution of n has another list."""
    task = build("counting", SUZGUN | {"strings": 7}, tmp_path)
    read = []
    for seed in (0, 5):
        data = TrainingData(task, 1)
        read.append([data.batch(seed, step).inputs.shape for step in range(21)])
    assert read[0] == read[1] == read[0][:7] * 3
    other = TrainingData(build("counting", SUZGUN | {"strings": 7, "beta": 5.0}, tmp_path), 1)
    assert [other.batch(0, step).inputs.shape for step in range(7)] != read[0][:7]
    drawn = build("counting", {}, tmp_path)
    assert drawn.in_order(0, 5) is None


@pytest.mark.parametrize(("alpha", "beta"), [(0.25, 0.25), (1.0, 5.0), (5.0, 1.0)])
def test_n_is_beta_binomial(alpha: float, beta: float, tmp_path: Path) -> None:
    task = build("counting", {"alpha": alpha, "beta": beta, "length": 50}, tmp_path)
    drawn = task.sample(generator(), 20_000, 50).lengths
    assert drawn is not None
    shares = np.bincount((drawn - 1) // 2, minlength=51)[1:] / 20_000
    assert np.abs(shares.cumsum() - scipy.stats.betabinom(49, alpha, beta).cdf(np.arange(50))).max() < 0.015


def test_parity_is_judged_by_the_last_step_at_twice_the_length(tmp_path: Path) -> None:
    task = build("parity", {}, tmp_path)
    lengths: list[int] = []

    def right_but_for_the_last_of_every_other(batch: Batch) -> torch.Tensor:
        lengths.append(len(batch.inputs))
        outputs = one_hot(batch.targets, 2)
        outputs[-1, ::2] *= -1
        return outputs

    assert task.probe(right_but_for_the_last_of_every_other, generator()) == {"last_accuracy_doubled": 0.5}
    assert lengths == [40]
    (batch,) = task.evaluation_batches(generator(), 16, 16, 25, "test")
    assert batch.lengths is not None
    assert set(batch.lengths.tolist()) == {25}


# ---- metrics by hand --------------------------------------------------------------------------------------------


def test_the_outer_symbol_alone_decides_outer_accuracy(tmp_path: Path) -> None:
    task = build("continual_reber", {}, tmp_path)
    batch = task.training_batch(generator(), 8)
    strings = [s for inputs, _ in sequences(task, batch_size=8) for s in strings_of(inputs, task.alphabet, 6)]
    always_t = torch.zeros(*batch.inputs.shape, 7)
    always_t[..., 1], always_t[..., 3] = 1, 9  # T above P; S far above both does not matter
    share = sum(s[1] == "T" for s in strings) / len(strings)
    assert task.scores(always_t, batch)["outer_accuracy"] == (48 * share, 48)
    assert task.scores(torch.zeros_like(always_t), batch)["outer_accuracy"] == (24, 48)


def test_copy_is_solved_by_recall_and_loss_together(tmp_path: Path) -> None:
    task = build("copy", {}, tmp_path)
    batch = task.training_batch(generator(), 4)
    sure, hesitant = (task.scores(scale * one_hot(batch.targets, 9), batch).means() for scale in (20, 0.1))
    assert sure["recall_accuracy"] == hesitant["recall_accuracy"] == 1
    assert task.is_solved(sure)
    assert not task.is_solved(hesitant)
    blank = one_hot(np.zeros_like(batch.targets), 9)
    assert task.scores(blank, batch)["recall_accuracy"] == (0, 40)
    assert task.scores(blank, batch)["accuracy"] == (4 * 110, 4 * 120)


def test_exact_accuracy_asks_for_every_token(tmp_path: Path) -> None:
    task = build("selective_copy", {}, tmp_path)
    batch = task.training_batch(generator(), 4)
    outputs = one_hot(batch.targets, 8)
    outputs[-1, 0] = outputs[-2, 0] = outputs[-3, 1] = -outputs[-1, 0]
    scores = task.scores(outputs, batch)
    assert scores["exact_accuracy"][1] == 4
    assert scores["exact_accuracy"][0] < 4
    assert scores["exact_accuracy"][0] >= 2


def test_strict_rules_ask_for_probability(tmp_path: Path) -> None:
    for layout, bound in (("2a", 0.75), ("2c", 0.8)):
        task = build("noisy_lag", {"layout": layout, "length": 4}, tmp_path)
        batch = task.training_batch(generator(), 50)
        for probability, strict in ((bound + 0.01, 1), (bound - 0.01, 0)):
            rest = (1 - probability) / (task.output_size - 1)
            outputs = (rest + (probability - rest) * one_hot(batch.targets, task.output_size)).log()
            means = task.scores(outputs, batch).means()
            assert (means["end_strict"], means["end_accuracy"]) == (strict, 1)
            assert means["end_loss"] == pytest.approx(-np.log(probability))


def test_a_string_is_legal_only_as_a_whole(tmp_path: Path) -> None:
    task = build("embedded_reber", {}, tmp_path)
    batch = task.training_batch(generator(), 10)
    assert batch.legal is not None
    outputs = torch.from_numpy(batch.legal).double()
    assert task.scores(outputs, batch)["legal_strings"] == (10, 10)
    outputs[3, :4] = 0
    assert task.scores(outputs, batch)["legal_strings"] == (6, 10)


@pytest.mark.parametrize(
    ("name", "tolerance", "key"), [("adding", 0.04, "within_.04"), ("timing", 0.49 / 30, "within_.49_step")]
)
def test_close_is_counted(name: str, tolerance: float, key: str, tmp_path: Path) -> None:
    task = build(name, {}, tmp_path)
    batch = task.training_batch(generator(), 10)
    outputs = torch.from_numpy(batch.targets).clone()
    outputs[:, :7] += 0.99 * tolerance
    outputs[:, 7:] -= 1.01 * tolerance
    assert task.scores(outputs, batch)[key] == (7, 10)
