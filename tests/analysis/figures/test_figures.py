"""What is drawn is what was recorded: numbers read back from the axes, looks that stay, files that repeat."""

import shutil
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import records
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from analysis import figures
from analysis.arms import counted_runs, order
from analysis.figures import (
    _theme,
    factors,
    heat_map,
    importance,
    improvement,
    learning_curves,
    learning_rates,
    lengths,
    memory,
    parameters,
    scaling,
    scores,
    seconds,
    solve_curves,
)
from analysis.records.load import Records, load
from analysis.statistics.many_comparisons import holm
from analysis.statistics.signed_rank import paired_difference

LABELS = list(records.LABELS.values())


@pytest.fixture
def loaded(tmp_path: Path) -> Records:
    records.write_study(tmp_path / "demo", seeds=6)
    records.write(tmp_path / "demo", "gru", seed=6, status="diverged")
    records.write(tmp_path / "demo", "gru", seed=7, status="failed")
    return load([tmp_path / "demo"])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def draw(figure, loaded: Records, **panel):
    return figures.draw(figure, figure.numbers(loaded.runs, loaded.curves), loaded.runs, **panel)


def sheet(figure, loaded: Records, **size):
    return figures.sheet(figure, figure.numbers(loaded.runs, loaded.curves), loaded.runs, **size)


def drawn(ax):
    """gid -> the points of every line; of scatters all of them, and `gid:NAME` those in a variant's colour."""
    found = {line.get_gid(): line.get_xydata() for line in ax.lines if line.get_gid()}
    looks = _theme.styles(pd.DataFrame({"variant": list(records.LABELS), "name": list(records.LABELS.values())}))
    for points in [points for points in ax.collections if points.get_gid() and hasattr(points, "get_sizes")]:
        gid, offsets = points.get_gid(), points.get_offsets().data
        found[gid] = offsets
        for name, look in looks.items():
            alike = (points.get_facecolors()[:, :3] == to_rgb(look.colour)).all(axis=1)
            found |= {f"{gid}:{name}": offsets[alike]} if alike.any() else {}
    return found


def makes_sense(loaded: Records) -> list[str]:
    found = figures.discover().items()
    return [name for name, figure in found if len(figure.numbers(loaded.runs, loaded.curves))]


def test_the_folder_is_the_list_of_figures():
    found = figures.discover()
    files = {path.stem for path in Path(figures.__file__).parent.glob("[!_]*.py")}
    assert set(found) == files
    for figure in found.values():
        assert figures.question(figure).endswith("?")


def test_a_learning_curve_is_its_metrics_csv(loaded):
    ax = draw(learning_curves, loaded, task="adding")
    curves = {label: [line.get_xydata() for line in ax.lines if line.get_gid() == label] for label in LABELS}
    for variant, label in records.LABELS.items():
        for seed in range(6):
            expected = np.c_[records.STEPS, records.curve(variant, "adding", seed)]
            assert sum(np.array_equal(curve, expected) for curve in curves[label]) == 1
    assert [len(curves[label]) for label in LABELS] == [6, 7, 6]  # one GRU diverged
    expected = np.c_[records.STEPS, records.curve("gru", "adding", 6)][:2]
    assert sum(np.array_equal(curve, expected) for curve in curves["GRU"]) == 1
    marks = drawn(ax)
    np.testing.assert_array_equal(marks["diverged:GRU"], [[records.STEPS[1], records.TASKS["adding"]["chance"]]])
    ends = sorted(curve[-1].tolist() for curve in curves["LSTM"])
    assert sorted(marks["ends:LSTM"].tolist()) == ends
    levels = {line.get_label(): line.get_ydata()[0] for line in ax.lines if line.get_gid() is None}
    assert levels == {"chance": 0.167, "solved": 0.01}


@pytest.mark.parametrize("figure", [learning_curves, scores])
def test_what_a_shortcut_reaches_is_a_dotted_line_with_its_name(figure, tmp_path):
    """Beside records without one, and with a second level of the same name where a setting moves it."""
    for seed, level in enumerate((None, 0.125, 0.125, 0.0625, "damaged")):
        named = {} if level is None else {"task__references": {"half of it, $1": {"score": level, "loss": None}}}
        records.write(tmp_path / "demo", seed=seed, **named)
        records.write(tmp_path / "demo", task="digits", seed=seed)
    loaded = load([tmp_path / "demo"])
    ax = draw(figure, loaded, task="adding")
    across = ax.get_xaxis_transform() if figure is scores else ax.get_yaxis_transform()
    lines = {line for line in ax.lines if line.get_label().startswith("half")}
    where = "get_xdata" if figure is scores else "get_ydata"
    assert sorted(getattr(line, where)()[0] for line in lines) == [0.0625, 0.125]
    assert all(line.get_linestyle() == "--" and line.get_transform() == across for line in lines)
    assert [text.get_text().replace("\n", " ") for text in ax.texts] == ["half of it, \\$1"] * 2
    solved, chance = ([line for line in ax.lines if line.get_label() == name] for name in ("solved", "chance"))
    dashes = {tuple(line._dash_pattern[1]) for line in [*lines, *solved, *chance]}
    assert len(dashes) == 3
    assert not draw(figure, loaded, task="digits").texts
    figures.sheet(figure, figure.numbers(loaded.runs, loaded.curves), loaded.runs).canvas.draw()


def test_every_seed_is_a_point_of_the_scores(loaded):
    ax = draw(scores, loaded, task="adding")
    points = drawn(ax)
    for variant, label in records.LABELS.items():
        expected = [records.curve(variant, "adding", seed)[-1] for seed in range(6)]
        np.testing.assert_array_equal(points[f"finished:{label}"][:, 0], expected)
    assert list(points["diverged:GRU"][:, 0]) == [records.TASKS["adding"]["chance"]]
    heights = [points[f"finished:{label}"][:, 1] for label in ("LSTM", "no forget gate", "GRU")]
    for upper, lower in pairwise(heights):  # one seed has one height in every row
        np.testing.assert_allclose(lower - upper, 1)


def test_the_bar_is_the_median_and_the_line_its_interval(loaded):
    ax = draw(scores, loaded, task="digits")
    segments = {lines.get_gid(): lines.get_segments() for lines in ax.collections if hasattr(lines, "get_segments")}
    lines = {round(segment[0][1]): segment[:, 0] for segment in segments["spreads"]}
    bars = {round(segment[:, 1].mean()): segment[0][0] for segment in segments["medians"]}
    for place, variant in enumerate(("lstm", "no_forget_gate", "gru")):
        values = [records.curve(variant, "digits", seed)[-1] for seed in range(6)]
        assert bars[place] == np.median(values)
        assert list(lines[place]) == [min(values), max(values)]  # six seeds: the interval is the range


def test_numbers_are_what_is_drawn_and_drawing_changes_no_data(loaded):
    before = loaded.runs.copy(), loaded.curves.copy()
    for name in makes_sense(loaded):
        sheet(figures.discover()[name], loaded)
    assert loaded.runs.equals(before[0])
    assert loaded.curves.equals(before[1])
    table = scores.numbers(loaded.runs, loaded.curves)
    assert len(table) == len(counted_runs.scored(loaded.runs)) == 37
    assert set(table[table["name"] == "GRU"]["kind"]) == {"interval"}
    curve = learning_curves.numbers(loaded.runs, loaded.curves)
    assert len(curve) == 36 * len(records.STEPS) + 2


def test_few_seeds_show_a_range(tmp_path):
    records.write_study(tmp_path / "demo", ("lstm",), ("adding",), seeds=5)
    loaded = load([tmp_path / "demo"])
    assert set(scores.numbers(loaded.runs, loaded.curves)["kind"]) == {"range"}


def test_one_task_needs_no_name_and_several_do(loaded, tmp_path):
    with pytest.raises(ValueError, match="adding, digits"):
        draw(scores, loaded)
    with pytest.raises(ValueError, match="'copy'"):
        draw(scores, loaded, task="copy")
    numbers = scores.numbers(loaded.runs, loaded.curves)
    ax = plt.figure().add_subplot()
    assert figures.draw(scores, numbers[numbers["task"] == "adding"], loaded.runs, ax) is ax


def test_a_diverged_run_without_a_chance_level_is_drawn_at_the_worst_score(tmp_path):
    records.write(tmp_path / "demo", seed=0, task__chance=None)
    records.write(tmp_path / "demo", seed=1, task__chance=None, status="diverged")
    loaded = load([tmp_path / "demo"])
    ax = draw(scores, loaded)
    points = {gid: offsets[0, 0] for gid, offsets in drawn(ax).items()}
    assert points["diverged:LSTM"] == points["finished:LSTM"] == records.curve("lstm", "adding", 0)[-1]
    draw(learning_curves, loaded)


def test_losses_over_decades_are_logarithmic_and_accuracies_are_not(loaded):
    assert draw(learning_curves, loaded, task="adding").get_yscale() == "log"
    assert draw(learning_curves, loaded, task="digits").get_yscale() == "linear"


def test_a_dollar_in_a_label_is_text(tmp_path):
    records.write(tmp_path / "demo", label="a $\\frac$ b")
    loaded = load([tmp_path / "demo"])
    for name in makes_sense(loaded):
        _theme.save(sheet(figures.discover()[name], loaded), tmp_path / "figure")


def test_a_solve_curve_counts_the_seeds_that_have_solved(tmp_path):
    for seed, step in enumerate((100, 300, 200, None, 100, 300)):
        solved = {"results__solved": step is not None, "results__steps_to_solve": step}
        records.write(tmp_path / "demo", seed=seed, train__steps=300, **solved)
    records.write(tmp_path / "demo", "gru", seed=0, status="diverged")
    records.write(tmp_path / "demo", "gru", "digits", results__solved=False)
    loaded = load([tmp_path / "demo"])
    lines = drawn(draw(solve_curves, loaded))  # of digits, which nobody solved, there is none
    expected = [[0, 0], [100, 2 / 6], [200, 3 / 6], [300, 5 / 6], [300, 5 / 6]]
    np.testing.assert_allclose(lines["LSTM"], expected)
    np.testing.assert_allclose(lines["GRU"], [[0, 0], [300, 0]])
    rows = solve_curves.numbers(loaded.runs, loaded.curves)
    assert (rows["low"] <= rows["share_solved"]).all()
    assert (rows["share_solved"] <= rows["high"]).all()
    assert list(rows.loc[rows["name"] == "LSTM", ["runs", "solved", "budget"]].iloc[0]) == [6, 5, 300]


def test_scores_at_other_lengths_are_those_of_the_records(tmp_path):
    for seed in range(3):
        final = {"eval/mse": 0.01, "eval@100/mse": 0.02 + seed, "eval@200/mse": 0.03, "eval@200/loss": 9.0}
        records.write(tmp_path / "demo", seed=seed, results__final=final)
    records.write(tmp_path / "demo", "gru", status="diverged", results__final={"eval@100/mse": 7.0})
    records.write(tmp_path / "demo", "gru", "digits")
    points = drawn(draw(lengths, loaded := load([tmp_path / "demo"])))
    trained = [records.curve("lstm", "adding", seed)[-1] for seed in range(3)]
    np.testing.assert_array_equal(points["LSTM"], [[50, np.median(trained)], [100, 1.02], [200, 0.03]])
    assert sorted(points["seeds:LSTM"][:, 1]) == sorted([*trained, 0.02, 1.02, 2.02, 0.03, 0.03, 0.03])
    assert set(points["GRU"][:, 1]) == {2.02}  # diverged: at the worst that is drawn
    assert order.tasks(lengths.numbers(loaded.runs, loaded.curves)) == ["adding"]


def test_scaling_is_the_score_against_the_length_of_training(tmp_path):
    for length, rate, score, step in ((50, 0.01, 0.001, 100), (200, 0.003, 0.05, None)):
        known = {"task__length": length, "config__resolved__task": {"name": "adding", "length": length}}
        for seed in range(3):
            solved = {"results__solved": step is not None, "results__steps_to_solve": step}
            same = {"train__lr": rate, "arm": f"{length}", "run_id": f"{length}-{seed}", **known, **solved}
            records.write(tmp_path / "demo", seed=seed, phase="confirm", results__score=score * (1 + seed), **same)
            for tried in (0.003, 0.01):  # each length was tuned on its own; that makes no two rows of it
                run = f"tune{length}-{seed}-{tried}"
                tried_at = {"train__lr": tried, "arm": f"tune{length}{tried}", "run_id": run, **known}
                records.write(tmp_path / "demo", seed=50 + seed, phase="tune", **tried_at)
    points = [drawn(draw(scaling, loaded := load([tmp_path / "demo"]), task="adding"))]
    points.append(drawn(draw(scaling, loaded, task="adding, steps to solve")))
    np.testing.assert_allclose(points[0]["LSTM"], [[50, 0.002], [200, 0.1]])
    np.testing.assert_allclose(points[1]["LSTM"], [[50, 100], [200, 300]])  # unsolved: the budget


def test_memory_is_what_untrained_runs_recorded(tmp_path):
    for seed in range(2):
        left = {"memory/median": 0.1 + seed, "memory/low": 0.01, "memory/high": 2.0}
        records.write(tmp_path / "demo", seed=seed, results__final=left)
    points = drawn(draw(memory, load([tmp_path / "demo"])))
    assert list(points["seeds:LSTM"][:, 0]) == [0.1, 1.1]


def test_two_runs_of_a_variant_may_diverge(tmp_path):
    for seed in (0, 1):
        records.write(tmp_path / "demo", seed=seed, status="diverged")
        records.write(tmp_path / "demo", "gru", seed=seed)
    (ax,) = sheet(learning_curves, load([tmp_path / "demo"])).axes
    assert len(drawn(ax)["diverged"]) == 2


def test_many_arms_of_the_lstm_share_panels_in_groups(tmp_path):
    for value in range(10):
        records.write(tmp_path / "demo", train__clip=value, timing__seconds=value)
    loaded = load([tmp_path / "demo"])
    assert [len(group.axes) for group in sheet(seconds, loaded).subfigs] == [1, 1]
    assert len(sheet(learning_curves, loaded).axes) == 10


def test_long_names_leave_room_for_the_figure(tmp_path):
    name = "constant_forget[candidate.feeds=xb,forget.value=0.731059,input.feeds=xb]"
    for variant in ("lstm", name, name.replace("731059", "952574")):
        records.write(tmp_path / "demo", variant)
    page = sheet(scores, load([tmp_path / "demo"]))
    page.draw_without_rendering()
    assert page.axes[0].get_position().width > 0.6


def test_the_learning_rates_of_a_tuned_study_are_its_tuning_runs(tmp_path):
    for rate in (0.001, 0.01, 0.1):
        for seed in range(2):
            records.write(tmp_path / "demo", seed=seed, train__lr=rate, phase="tune", results__score=rate + seed)
    records.write(tmp_path / "demo", seed=100, train__lr=0.1, phase="confirm", results__score=5.0)
    records.write(tmp_path / "demo", "gru", seed=100, train__lr=0.1, phase="confirm")
    points = drawn(draw(learning_rates, load([tmp_path / "demo"])))
    np.testing.assert_allclose(points["LSTM"], [[0.001, 0.501], [0.01, 0.51], [0.1, 0.6]])
    assert sorted(points["seeds:LSTM"][:, 1]) == [0.001, 0.01, 0.1, 1.001, 1.01, 1.1]
    np.testing.assert_allclose(points["chosen:LSTM"], [[0.1, 0.6]])
    assert not any("GRU" in name for name in points)


def test_another_setting_is_never_averaged_over_along_the_learning_rate(tmp_path):
    for rate in (0.001, 0.01):
        for clip in (1, 5):
            records.write(tmp_path / "demo", train__lr=rate, train__clip=clip, results__score=clip + rate)
    points = drawn(draw(learning_rates, load([tmp_path / "demo"])))
    np.testing.assert_allclose(points["LSTM (train.clip=1)"], [[0.001, 1.001], [0.01, 1.01]])
    np.testing.assert_allclose(points["LSTM (train.clip=5)"], [[0.001, 5.001], [0.01, 5.01]])


@pytest.mark.parametrize(("figure", "key"), [(seconds, "timing__seconds"), (parameters, "parameters__layer")])
def test_costs_are_those_of_the_records(tmp_path, figure, key):
    for seed in range(3):
        records.write(tmp_path / "demo", seed=seed, results__score=0.1 * seed, **{key: 10 + seed})
    records.write(tmp_path / "demo", "gru", **{key: 99})
    points = drawn(draw(figure, load([tmp_path / "demo"])))
    np.testing.assert_allclose(points["medians:LSTM"], [[11, 0.1]])
    np.testing.assert_allclose(points["seeds:LSTM"], [[10, 0], [11, 0.1], [12, 0.2]])
    assert points["medians:GRU"][0, 0] == 99


def test_the_heat_map_is_the_paired_difference_to_the_lstm(tmp_path):
    for seed in range(10):
        records.write(tmp_path / "demo", "lstm", seed=seed, results__score=0.01 * 1.1**seed)
        records.write(tmp_path / "demo", "gru", seed=seed, results__score=0.01 * 1.1**seed * (3 + 0.1 * seed))
        records.write(tmp_path / "demo", "peephole", seed=seed, results__score=0.01 * 1.1 ** (seed + (-1) ** seed))
        records.write(tmp_path / "demo", "lstm", "digits", seed=seed, results__score=0.8)
        records.write(tmp_path / "demo", "gru", "digits", seed=seed, results__score=0.81 + 0.01 * seed)
    records.write(tmp_path / "demo", "gru", seed=50, data_digest="other")  # nothing to pair it with
    loaded = load([tmp_path / "demo"])
    rows = heat_map.numbers(loaded.runs, loaded.curves).set_index(["of", "name"])
    gru = rows.loc[("adding", "GRU")]
    d = np.log([3 + 0.1 * seed for seed in range(10)])
    assert gru["effect"] == pytest.approx(np.exp(paired_difference(d).value))
    assert (gru["pairs"], gru["better"], gru["worse"], gru["scale"]) == (10, 0, 10, "ratio")
    assert gru["p"] == 2 / 2**10
    assert list(rows["p_adjusted"]) == pytest.approx(list(holm(rows["p"])))
    assert list(rows["verdict"]) == ["worse", "same", "better"]
    assert rows.loc[("digits", "GRU"), "effect"] == pytest.approx(0.055)
    gained = rows.loc[("digits", "GRU"), "effect"]
    ax = draw(heat_map, loaded)
    cells = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in ax.texts}
    shown = {(0.5, 0.5): "×1 (=)", (1.5, 0.5): f"×{gru['effect']:.3g} (▼)", (1.5, 1.5): f"{gained:+.2f} (▲)"}
    assert cells == shown
    key, *notes = ax.get_xlabel().splitlines()
    assert key == "▲ better, ▼ worse, = same, ? undecided"
    unclaimed = (
        "(in brackets): 3 of 3 cells, which are in no claim; to claim 3 comparisons a study needs 7 seeds or more"
    )
    assert " ".join(notes) == unclaimed
    assert [label.get_text() for label in ax.get_yticklabels()] == ["peephole", "GRU"]
    assert heat_map.remark(heat_map.numbers(loaded.runs, loaded.curves)) == ""


def test_a_heat_map_says_when_no_run_could_have_decided_a_cell(tmp_path):
    for seed in range(6):
        for place, variant in enumerate(("lstm", "gru", "peephole", "no_forget_gate")):
            for task in ("adding", "digits"):
                records.write(tmp_path / "demo", variant, task, seed=seed, results__score=0.1 + 0.2 * place)
    loaded = load([tmp_path / "demo"])
    text = "6 seeds cannot decide 6 cells, 8 can"
    assert heat_map.remark(heat_map.numbers(loaded.runs, loaded.curves)) == text
    assert draw(heat_map, loaded).get_xlabel().endswith(text)


def test_rows_are_put_in_order_once_a_task(tmp_path, monkeypatch):
    records.write_study(tmp_path / "demo", ("lstm", *(f"cell{number}" for number in range(9))), seeds=2)
    loaded, calls, rows = load([tmp_path / "demo"]), [], order.rows
    monkeypatch.setattr(order, "rows", lambda runs: calls.append(len(runs)) or rows(runs))
    assert len(heat_map.numbers(loaded.runs, loaded.curves)) == 18
    assert len(improvement.numbers(loaded.runs, loaded.curves)) == 18
    assert len(calls) == 4


def test_the_learning_rates_of_a_study_on_steps_have_a_panel_of_them(tmp_path):
    for rate, step in ((0.001, None), (0.01, 200), (0.1, 100)):
        for seed in range(3):
            solved = {"results__solved": step is not None, "results__steps_to_solve": step}
            same = {"train__lr": rate, "train__stop_at_solved": True, **solved}
            records.write(tmp_path / "demo", seed=seed, **same)
            records.write(tmp_path / "demo", "gru", "digits", seed=seed, train__lr=rate, **solved)  # on scores
    loaded = load([tmp_path / "demo"])
    assert order.tasks(learning_rates.numbers(loaded.runs, loaded.curves)) == [
        "adding",
        "adding, steps to solve",
        "digits",
    ]
    ax = draw(learning_rates, loaded, task="adding, steps to solve")
    np.testing.assert_allclose(drawn(ax)["LSTM"], [[0.001, 300], [0.01, 200], [0.1, 100]])
    assert ax.get_ylabel() == "steps to solve\nlower is better"


def test_different_data_is_in_no_cell_of_the_heat_map(tmp_path):
    records.write(tmp_path / "demo", "lstm", data_digest="aa")
    records.write(tmp_path / "demo", "gru", data_digest="bb")
    assert "heat_map" not in makes_sense(load([tmp_path / "demo"]))


def test_the_probability_of_improvement_counts_pairs_of_runs(tmp_path):
    for seed, (lstm, gru) in enumerate([(0.1, 0.05), (0.2, 0.1), (0.3, 0.4)]):
        records.write(tmp_path / "demo", "lstm", seed=seed, results__score=lstm)
        records.write(tmp_path / "demo", "gru", seed=seed, results__score=gru)
    records.write(tmp_path / "demo", "lstm", "digits", results__score=0.1)
    records.write(tmp_path / "demo", "gru", "digits", results__score=0.9)
    points = drawn(draw(improvement, load([tmp_path / "demo"])))
    adding = (3 + 2.5 + 0) / 9  # a loss: .05 beats three, .1 two and ties with one, .4 none
    assert list(points["tasks:GRU"][:, 0]) == pytest.approx([adding, 1.0])
    assert points["means:GRU"][0, 0] == pytest.approx((adding + 1) / 2)


def grid(folder: Path, seeds: int = 4) -> Records:
    """Feeds of a gate (x, h) by an initial value: x divides the loss by e, the value by e^2, and seeds add a little."""
    for feeds in ("b", "xb", "hb", "xhb"):
        for value in (0, 1):
            settings = {"train__value": value, "config__resolved__variant": {"forget": {"feeds": feeds}}}
            for seed in range(seeds):
                score = float(np.exp(-("x" in feeds) - 2 * value + 0.001 * (-1) ** seed))
                same = {"arm": f"{feeds}{value}", "run_id": f"{feeds}{value}{seed}", "results__score": score}
                records.write(folder, f"lstm[forget.feeds={feeds}]", seed=seed, **settings, **same)
    return load([folder])


def test_a_balanced_grid_is_taken_apart_into_its_settings(tmp_path):
    loaded = grid(tmp_path / "demo")
    rows = factors.numbers(loaded.runs, loaded.curves).set_index("effect")
    assert list(rows.index[:2]) == ["train.value", "forget: x"]
    assert rows.index[-1] == "seeds"
    assert rows.loc["train.value", "share"] == pytest.approx(0.8, abs=1e-3)  # 2^2 / (2^2 + 1^2)
    assert rows.loc["forget: x", "share"] == pytest.approx(0.2, abs=1e-3)
    assert rows.loc["forget: h", "share"] < 1e-6
    assert {"forget: x × forget: h", "forget: x × forget: h × train.value"} <= set(rows.index)
    ax = draw(factors, loaded)
    assert [bar.get_width() for bar in ax.patches] == list(rows["share"])
    assert [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()] == list(rows.index)


def test_a_grid_with_a_hole_is_no_grid(tmp_path):
    grid(tmp_path / "demo", seeds=2)
    shutil.rmtree(next((tmp_path / "demo").glob("xb1*")))
    assert "factors" not in makes_sense(load([tmp_path / "demo"]))


def test_a_random_search_shows_what_its_knobs_explain(tmp_path):
    random = np.random.default_rng(0)
    for seed in range(60):
        lr, momentum = float(10 ** random.uniform(-3, 0)), float(random.uniform(0, 1))
        knobs = {"train__lr": lr, "train__momentum": momentum}
        records.write(tmp_path / "demo", seed=seed, results__score=float(lr**2 * np.exp(0.1 * momentum)), **knobs)
    loaded = load([tmp_path / "demo"])
    rows = importance.numbers(loaded.runs, loaded.curves).set_index("effect")
    assert list(rows.index) == ["train.lr", "train.momentum"]
    assert rows.loc["train.lr", "share"] > 0.9
    assert rows.loc["train.lr", "low"] == loaded.runs["config.resolved.train.lr"].min()
    assert not rows["decided"].any()  # 60 runs are too few to say so
    ax = draw(importance, loaded)
    assert [bar.get_width() for bar in ax.patches] == list(rows["share"])
    assert {text.get_text() for text in ax.texts} == {"undecided"}


def test_a_figure_that_makes_no_sense_is_left_out(tmp_path):
    records.write(tmp_path / "demo", task__solved=None)
    assert makes_sense(load([tmp_path / "demo"])) == ["scores", "learning_curves"]


def test_many_variants_get_a_panel_each_with_the_baseline_behind(tmp_path):
    names = [f"cell{number}" for number in range(9)]
    records.write_study(tmp_path / "demo", ("lstm", *names), seeds=2)
    loaded = load([tmp_path / "demo"])
    panels = [ax for ax in sheet(learning_curves, loaded).axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == order.rows(loaded.runs)[1:] * 2
    for ax in panels:
        assert {line.get_gid() for line in ax.lines if line.get_gid()} == {"LSTM", ax.get_title(loc="left")}
    for task, part in (("adding", panels[:9]), ("digits", panels[9:])):
        assert len({(ax.get_xlim(), ax.get_ylim()) for ax in part}) == 1
        first = next(line for line in part[0].lines if line.get_gid() == "LSTM")
        assert list(first.get_ydata()) == records.curve("lstm", task, 0)


def test_many_variants_share_panels_in_groups(tmp_path):
    names = [f"cell{number}" for number in range(10)]
    for place, name in enumerate(("lstm", *names)):
        records.write(tmp_path / "demo", name, timing__seconds=place)
    loaded = load([tmp_path / "demo"])
    groups = sheet(seconds, loaded).subfigs
    shown = [drawn(group.axes[0]) for group in groups]
    assert [len(points["medians"]) for points in shown] == [9, 3]  # eight and two, the baseline besides
    assert all(len(points["medians:LSTM"]) == 1 for points in shown)


def test_a_figure_may_be_one_column_wide(loaded):
    assert sheet(scores, loaded, width=_theme.COLUMN).get_size_inches()[0] == _theme.COLUMN


def test_nothing_is_cut_off_in_one_column(tmp_path, monkeypatch):
    names = {"gru": "gates of a GRU see input, bias", "no_forget_gate": "no forget gate at all, ever"}
    monkeypatch.setattr(records, "LABELS", {"lstm": "LSTM", **names})
    loaded = load([records.write_study(tmp_path / "demo", seeds=6)])
    for name in makes_sense(loaded):
        page = sheet(figures.discover()[name], loaded, width=_theme.COLUMN)
        page.draw_without_rendering()
        ticks = [tick for ax in page.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_major_ticks()]
        hidden = {id(text) for tick in ticks for text in (tick.label1, tick.label2)}  # also those beyond an axis's end
        for text in [text for text in page.findobj(Text) if text.get_text() and id(text) not in hidden]:
            box = text.get_window_extent()
            assert (box.x0 > -1, box.x1 < page.bbox.width + 1) == (True, True), (name, text.get_text())


def frame(*variants: str):
    return pd.DataFrame({"variant": variants, "name": [f"the {variant}" for variant in variants]})


def test_a_variant_looks_the_same_whatever_else_is_drawn():
    listed = [variant for family in order.FAMILIES for variant in family]
    alone = {variant: _theme.styles(frame(variant))[f"the {variant}"] for variant in listed}
    together = _theme.styles(frame("lstm", "somebodys", *listed))
    assert together == together | {f"the {variant}": look for variant, look in alone.items()}
    assert next(iter(together)) == "the lstm"


def test_looks_differ_inside_a_family_and_between_colours():
    listed = _theme.styles(frame("lstm", *[variant for family in order.FAMILIES for variant in family]))
    assert len({(look.colour, look.marker) for look in listed.values()}) == len(listed)
    for family in order.FAMILIES:
        looks = _theme.styles(frame("lstm", *family)).values()
        assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(looks)


def test_two_variants_of_one_family_differ_in_grey():
    def shade(look):
        return np.dot(to_rgb(look.colour), (0.299, 0.587, 0.114))

    def alike(kinds, first, second):
        return abs(kinds.index(first) - kinds.index(second)) in (0, 1, len(kinds) - 1)

    for family in order.FAMILIES:
        for one, other in combinations(_theme.styles(frame(*family)).values(), 2):
            if abs(shade(one) - shade(other)) < 0.07:
                assert not alike(_theme.MARKERS, one.marker, other.marker)
                assert not alike(_theme.DASHES, one.dashes, other.dashes)


def test_the_families_name_variants_that_exist():
    files = {path.stem for path in (Path(__file__).parents[3] / "conf" / "variant").glob("*.yaml")}
    assert files >= {order.BASELINE}.union(*order.FAMILIES)


def test_unlisted_variants_of_one_report_differ():
    names = [f"lstm[forget.feeds={feeds}]" for feeds in ("x", "h", "b", "xh", "xb", "hb")]
    assert len({look.colour for look in _theme.styles(frame(*names)).values()}) == len(names)


def test_the_arms_of_a_variant_keep_its_colour():
    rows = pd.DataFrame({"variant": ["gru"] * 3, "name": ["GRU (lr=1)", "GRU (lr=2)", "GRU (lr=10)"]})
    looks = _theme.styles(rows)
    assert list(looks) == ["GRU (lr=1)", "GRU (lr=2)", "GRU (lr=10)"]
    assert len({look.colour for look in looks.values()}) == 1
    assert len({look.marker for look in looks.values()}) == 3


def test_readers_settings_do_not_reach_a_figure(loaded, tmp_path):
    pictures = []
    for settings in ({}, {"font.size": 30, "axes.grid": True, "xtick.direction": "in"}):
        with plt.rc_context(settings):
            _theme.save(sheet(scores, loaded), tmp_path / "figure")
        pictures.append([(tmp_path / f"figure.{kind}").read_bytes() for kind in ("png", "svg", "pdf")])
    assert pictures[0] == pictures[1]
