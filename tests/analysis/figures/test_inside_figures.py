"""The report's last part: every figure of it draws what was found inside, and nothing where nothing was."""

import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text

import experiments
from analysis import figures, report
from analysis.figures import _theme, gate_traces
from analysis.figures._strips import Strips, by_own_largest, forgetting, shapes
from analysis.records.load import load

QUICK = {"train.steps": 3, "train.eval_every": 3, "train.batch_size": 4, "train.eval_size": 8, "model.hidden_size": 3}
QUICK |= {"record.wandb.mode": "disabled", "record.inside": True}
PART = [name for name, figure in figures.discover().items() if figure.LAYOUT.part]
VARIANTS = ["lstm", "no_forget_gate", "gru", "peephole", "slstm"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a task of symbols with events and one of values, two of a variant with one feed less."""
    study = tmp_path_factory.mktemp("made") / "study"
    axes = {"variant": VARIANTS, "seed": [0, 1]}
    experiments.sweep(axes, task="continual_reber", study=str(study), **{"task.length": 2}, **QUICK)
    experiments.sweep({"seed": [0, 1]}, task="adding", study=str(study), **{"task.length": 6}, **QUICK)
    less = {"task.length": 6, "variant.forget.feeds": "xb"}
    experiments.sweep({"seed": [0, 1]}, task="adding", study=str(study), **less, **QUICK)
    return study


@pytest.fixture(scope="module")
def records(study: Path):
    return load([study])


def numbers(records, name: str):
    return figures.discover()[name].numbers(records.runs, records.curves)


def test_the_part_is_the_last_one_of_a_report() -> None:
    parts = [figure.LAYOUT.part for figure in figures.discover().values()]
    assert len(PART) == 8
    assert parts == sorted(parts)


@pytest.mark.parametrize("name", PART)
@pytest.mark.parametrize("width", [figures.COLUMN, figures.PAGE])
def test_every_figure_draws_at_both_widths(name: str, width: float, records) -> None:
    rows = numbers(records, name)
    assert len(rows)
    assert {"task", "name"} <= set(rows)
    page = figures.sheet(figures.discover()[name], rows, records.runs, width)
    assert isinstance(page, Figure)
    page.draw_without_rendering()
    plt.close("all")


@pytest.mark.parametrize("name", PART)
def test_nothing_is_drawn_where_nothing_was_found(name: str, records) -> None:
    bare = records.runs.drop(columns=[column for column in records.runs if str(column).startswith("inside.")])
    rows = figures.discover()[name].numbers(bare, records.curves)
    assert rows.empty
    assert {"task", "name"} <= set(rows)


def test_surgery_shows_the_median_over_seeds_of_gates_that_vary(records) -> None:
    rows = numbers(records, "surgery")
    (cell,) = rows[(rows["task"] == "continual_reber") & (rows["name"] == "LSTM") & (rows["gate"] == "forget")].loc[
        lambda part: part["touch"] == "fixed at 1", "cost"
    ]
    runs = records.runs[(records.runs["name"] == "LSTM") & (records.runs["task"] == "continual_reber")]
    assert cell == pytest.approx(runs["inside.surgery/forget=1/cost"].median())
    assert "forget" not in set(rows.loc[rows["name"] == "no forget gate", "gate"])


def test_the_knockout_pairs_what_is_lost_to_learn_with_what_is_lost_to_run(records) -> None:
    rows = numbers(records, "two_way_knockout").set_index(["task", "name", "seed"])
    assert set(rows["touch"]) == {"surgery/forget=1", "cut/forget/h"}
    runs = records.runs.set_index(["task", "variant", "seed"])
    for seed in (0, 1):
        base, without = (runs.loc[("continual_reber", variant, seed)] for variant in ("lstm", "no_forget_gate"))
        row = rows.loc[("continual_reber", "no forget gate", seed)]
        assert row["learn"] == pytest.approx(base["score"] - without["score"])  # more is better
        assert row["run"] == base["inside.surgery/forget=1/cost"]


def test_a_sequence_is_shown_with_its_units_by_time_constant(records) -> None:
    rows = numbers(records, "gate_traces")
    assert set(rows["task"]) == {"continual_reber", "adding"}
    own = rows[rows["task"] == "continual_reber"]
    texts = own[own["row"] == "input/input"].sort_values("step")["text"]
    assert set(texts) <= set("BTPSXVE")
    assert {"event/string start", "event/due", "forget", "cell", "input", "output"} <= set(own["row"])
    f = own[own["row"] == "forget"].pivot(index="unit", columns="step", values="value").to_numpy()
    constants = numbers(records, "time_constants")
    known = constants[
        (constants["task"] == "continual_reber") & (constants["name"] == "LSTM") & (constants["seed"] == 0)
    ]
    assert f.shape[0] == len(known) == 3
    assert np.isfinite(f).all()


def test_the_bars_say_what_each_step_keeps_and_erases_of_one_unit(records) -> None:
    rows = numbers(records, "gate_traces")
    own = rows[rows["task"] == "adding"]
    f, c = (
        own[own["row"] == slot].pivot(index="unit", columns="step", values="value").to_numpy()
        for slot in ("forget", "cell")
    )
    kept, erased = (own[own["row"] == row].sort_values("step") for row in ("kept", "erased"))
    (unit,) = set(kept["unit"]) | set(erased["unit"])
    assert kept["value"].iloc[0] == erased["value"].iloc[0] == 0
    assert kept["value"].to_numpy()[1:] == pytest.approx(f[unit, 1:] * abs(c[unit, :-1]))
    assert erased["value"].to_numpy()[1:] == pytest.approx((1 - f[unit, 1:]) * abs(c[unit, :-1]))


LATCH = np.array([1, 1, 1, 1, 0.05, 1, 1, 1, 1, 0.05])  # keeps, but at two steps
LEAK = np.full(10, 0.3)
LATE = np.array([1, 1, 1, 1, 1, 1, 1, 0.01, 1, 1])


def test_the_unit_of_the_bars_keeps_but_for_an_event() -> None:
    f, c = np.stack([LEAK, LATCH, LATE]), np.ones((3, 10))
    ends = np.isin(np.arange(10), [0, 4, 9]).astype(float)
    assert gate_traces.one_unit(f, c, [ends])[0] == 1
    assert gate_traces.one_unit(f, c, [])[0] == 2  # without events: the step that erases most
    assert gate_traces.one_unit(f, c, [np.ones(10)])[0] == 2  # what happens at every step is no event
    _, kept, erased = gate_traces.one_unit(f, c, [ends])
    assert forgetting(kept[0], erased[0]).tolist() == [4, 9]


def test_little_or_slow_loss_has_no_arrow() -> None:
    assert forgetting(LEAK * 0 + 0.6, LEAK * 0 + 0.4).tolist() == []
    held = np.array([1, 0.2, 1])
    assert forgetting(held * 0.1, held * 0.9).tolist() == [0, 2]  # at the middle one next to nothing was held
    assert forgetting(held * 0, held * 0).tolist() == []


def test_steps_that_erase_alike_have_arrows_alike() -> None:
    held = np.array([1, 0.25, 0.24, 0.3, 0.8])
    assert forgetting(held * 0.4, held * 0.6).tolist() == [0, 1, 3, 4]
    assert forgetting(held * 0.5, held * 0.5).tolist() == []  # half is not more than half


@pytest.mark.parametrize(("drops", "words"), [([3], "forgets here"), ([3, 8], "at each arrow: forgets here")])
def test_the_words_belong_to_all_arrows(drops: list[int], words: str) -> None:
    ax = plt.figure().subplots()
    held, dropped = np.ones(12), np.isin(np.arange(12), drops)
    Strips(ax, 12).unit(np.where(dropped, 0.1, 0.9) * held, np.where(dropped, 0.9, 0.1) * held, "one unit")
    assert [text.xy[0] for text in ax.findobj(Annotation)] == drops
    assert [text.get_text() for text in ax.texts if text.get_text()] == [words]
    plt.close("all")


def test_each_row_of_the_cell_is_scaled_by_its_own_largest(records) -> None:
    table = np.array([[1.0, -4, 2], [0.1, 0.05, 0], [0, 0, 0]])
    assert by_own_largest(table).tolist() == [[0.25, -1, 0.5], [1, 0.5, 0], [0, 0, 0]]
    rows = numbers(records, "gate_traces")
    cell = rows[(rows["task"] == "adding") & (rows["row"] == "cell")].pivot(
        index="unit", columns="step", values="value"
    )
    ax = figures.draw(figures.discover()["gate_traces"], rows, records.runs, task="adding")
    (drawn,) = [np.asarray(image.get_array()) for image in ax.images if image.get_cmap().name == _theme.SIGNED_SHADES]
    assert drawn == pytest.approx(by_own_largest(cell.to_numpy()))
    assert abs(drawn).max(axis=1) == pytest.approx(np.ones(len(cell)))
    assert "each row by its\nown largest" in "".join(label.get_text() for label in ax.get_yticklabels())
    plt.close("all")


def test_the_unit_of_the_bars_is_framed_in_forget_gate_and_cell(records) -> None:
    rows = numbers(records, "gate_traces")
    own = rows[rows["task"] == "adding"]
    unit, units = int(own.loc[own["row"] == "erased", "unit"].iloc[0]), own["unit"].max() + 1
    ax = figures.draw(figures.discover()["gate_traces"], rows, records.runs, task="adding")
    frames = [patch for patch in ax.patches if patch.get_gid() == "unit"]
    bounds = [np.sort(image.get_extent()[2:]) for image in ax.images[:2]]
    for frame, (top, bottom) in zip(frames, bounds, strict=True):
        assert (frame.get_y() - top) / (bottom - top) == pytest.approx(unit / units)
    assert len({frame.get_edgecolor() for frame in frames}) == 1
    plt.close("all")


def test_an_event_of_a_kind_has_the_same_mark_in_every_task() -> None:
    reber = shapes(["string start", "T or P", "due", "string end"])
    adding = shapes(["first mark", "second mark", "due", "segment start"])
    assert reber["string start"] == adding["segment start"] == shapes(["start"])["start"]
    assert reber["due"] == adding["due"] == shapes(["new letter", "end due"])["end due"]
    assert reber["T or P"] == adding["first mark"]
    for marks in (reber, adding, shapes(["a start", "b start", "c start"])):
        assert len(set(marks.values())) == len(marks) > 2


def test_surgery_says_what_a_number_is(records) -> None:
    rows = numbers(records, "surgery")
    ax = figures.draw(figures.discover()["surgery"], rows, records.runs, task="continual_reber")
    texts = [text.get_text().replace("\n", " ") for text in ax.texts]
    said = "a number: what is lost of the share right (outer accuracy), large: bad; median of 2 nets"
    assert f"{said}; –: the gate has no such input" in texts
    cells = [text for text in texts if re.fullmatch(r"–|-?\d+\.\d\d", text)]
    (image,) = ax.images
    gates = rows[rows["task"] == "continual_reber"].groupby(["name", "gate"]).ngroups
    assert len(cells) == gates * image.get_array().shape[1]
    assert cells.count("–") > 0
    assert "-0.00" not in cells
    plt.close("all")
    ax = figures.draw(figures.discover()["surgery"], rows, records.runs, task="adding")
    assert any("added to loss (MSE)" in text.get_text().replace("\n", " ") for text in ax.texts)
    plt.close("all")


def test_the_knockout_says_what_marks_and_line_mean(records) -> None:
    rows = numbers(records, "two_way_knockout")
    gate, feed = (
        figures.draw(figures.discover()["two_way_knockout"], rows, records.runs, task=task)
        for task in ("continual_reber", "adding")
    )
    known = [text.get_text() for text in gate.get_legend().get_texts()]
    assert known[-2:] == ["large: median", "small: each net"]
    assert [text.get_text().strip() for text in gate.texts] == ["missed as much"]
    words = gate.get_ylabel().replace("\n", " ")
    assert words == "lost of the share right (outer accuracy) by taking the gate away after training"
    assert feed.get_xlabel().replace("\n", " ") == "added to loss (MSE) by training without it"
    plt.close("all")


def test_each_panel_says_what_its_own_marks_mean(records) -> None:
    page = figures.sheet(figures.discover()["gate_traces"], numbers(records, "gate_traces"), records.runs)
    keys = {
        ax.get_title(loc="left").partition(":")[0]: {
            text.get_text(): handle.get_paths()[0].vertices.tolist()
            for key in ax.findobj(Legend)
            for text, handle in zip(key.get_texts(), key.legend_handles, strict=True)
        }
        for ax in page.axes
    }
    assert set(keys) == {"adding", "continual_reber"}
    for ax in page.axes:
        drawn = {part.get_label(): part.get_paths()[0].vertices.tolist() for part in ax.collections}
        known = keys[ax.get_title(loc="left").partition(":")[0]]
        assert known == {name: drawn[name] for name in known} != {}


def test_numbers_on_shades_can_be_read_in_grey(records) -> None:
    rows = numbers(records, "surgery")
    assert rows["cost"].max() > 0
    for task in rows["task"].unique():
        ax = figures.draw(figures.discover()["surgery"], rows, records.runs, task=task)
        (image,) = ax.images
        red, green, blue = image.to_rgba(image.get_array())[~np.isnan(image.get_array()), :3].T
        grey = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        assert (grey.min() + 0.05) / 0.05 > 5.5  # of black letters; 4.5 is the least that guidelines ask for
    plt.close("all")


@pytest.mark.parametrize("name", ["reach", "forgetting_events"])
def test_lines_that_lie_on_each_other_have_their_marks_at_other_steps(name: str, records) -> None:
    rows = numbers(records, name)
    most = rows.groupby("task")["name"].nunique().idxmax()
    ax = figures.draw(figures.discover()[name], rows, records.runs, task=most)
    marked = [line.get_markevery() for line in ax.lines if line.get_gid()]
    assert len(marked) > 2
    assert len({first for first, _ in marked}) == min(len(marked), marked[0][1])
    plt.close("all")


@pytest.mark.parametrize("width", [figures.COLUMN, figures.PAGE])
@pytest.mark.parametrize("name", PART)
def test_no_text_is_cut_or_lies_on_another(name: str, width: float, records) -> None:
    page = figures.sheet(figures.discover()[name], numbers(records, name), records.runs, width)
    renderer = FigureCanvasAgg(page).get_renderer()
    page.draw_without_rendering()
    right, top = page.bbox.x1 + 1, page.bbox.y1 + 1
    for ax in page.findobj(Axes):
        labels = [text for text in ax.get_xticklabels() if text.get_visible() and text.get_text()]
        boxes = sorted((text.get_window_extent(renderer) for text in labels), key=lambda box: box.x0)
        assert all(one.x1 <= other.x0 + 1 for one, other in itertools.pairwise(boxes)), [t.get_text() for t in labels]
    for text in page.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.axes is not None:
            box = text.get_window_extent(renderer)
            seen = text.axes.get_xlim()[0] <= text.get_position()[0] <= text.axes.get_xlim()[1]
            assert not seen or (box.x0 >= -1 and box.x1 <= right and box.y1 <= top), text.get_text()
    plt.close("all")


def test_shares_of_feeds_add_up(records) -> None:
    rows = numbers(records, "gate_feeds")
    assert np.allclose(rows.groupby(["task", "name"])["share"].sum(), 1)


def test_a_report_ends_with_what_is_inside(study: Path, tmp_path: Path) -> None:
    assert report.main([f"study={study}", f"out={tmp_path / 'report'}", "figures=gate_traces,scores"]) == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert (
        page.index('id="scores"')
        < page.index('id="list-1"')
        < page.index("Looking inside</h2>")
        < page.index('id="gate_traces"')
    )
    text = (tmp_path / "report" / "report.md").read_text()
    assert text.index("## Tasks") < text.index("# Looking inside") < text.index("gate_traces.png")
