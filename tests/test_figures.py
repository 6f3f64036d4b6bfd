"""What is drawn is what was recorded: numbers read back from the axes, looks that stay, files that repeat."""

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import records

from analysis import checks, figures, runs, theme
from analysis.figures import learning_curves, scores


@pytest.fixture
def loaded(tmp_path: Path) -> runs.Records:
    records.write_study(tmp_path / "demo", seeds=6)
    records.write(tmp_path / "demo", "gru", seed=6, status="diverged")
    records.write(tmp_path / "demo", "gru", seed=7, status="failed")
    return runs.load([tmp_path / "demo"])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_the_folder_is_the_list_of_figures():
    found = figures.discover()
    files = {path.stem for path in Path(figures.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(found) == files
    for figure in found.values():
        assert figures.question(figure).endswith("?")


def test_a_learning_curve_is_its_metrics_csv(loaded):
    ax = learning_curves.draw(loaded.runs, loaded.curves, task="adding")
    drawn = {line.get_gid(): line.get_xydata() for line in ax.lines}
    for row in loaded.runs[(loaded.runs["task"] == "adding") & (loaded.runs["status"] == "finished")].itertuples():
        expected = np.c_[records.STEPS, records.curve(row.variant, "adding", row.seed)]
        np.testing.assert_array_equal(drawn.pop(row.run_id), expected)
    diverged = loaded.runs[loaded.runs["status"] == "diverged"].iloc[0]
    np.testing.assert_array_equal(drawn.pop(diverged["run_id"])[:, 0], records.STEPS[:2])
    np.testing.assert_array_equal(drawn.pop("diverged"), [[records.STEPS[1], records.TASKS["adding"]["chance"]]])
    assert set(drawn) == {None}  # what is left are the lines of chance and of the threshold
    levels = {line.get_label(): line.get_ydata()[0] for line in ax.lines if line.get_gid() is None}
    assert levels == {"chance": 0.167, "solved": 0.01}


def test_every_seed_is_a_point_of_the_scores(loaded):
    ax = scores.draw(loaded.runs, loaded.curves, task="adding")
    drawn = {points.get_gid(): points.get_offsets() for points in ax.collections if points.get_gid()}
    for variant, label in records.LABELS.items():
        expected = [records.curve(variant, "adding", seed)[-1] for seed in range(6)]
        np.testing.assert_array_equal(drawn[f"finished:{label}"][:, 0], expected)
    assert list(drawn["diverged:GRU"][:, 0]) == [records.TASKS["adding"]["chance"]]
    heights = [drawn[f"finished:{label}"][:, 1] for label in ("LSTM", "no forget gate", "GRU")]
    for upper, lower in pairwise(heights):  # one seed has one height in every row
        np.testing.assert_allclose(lower - upper, 1)


def test_the_bar_is_the_median_and_the_line_its_interval(loaded):
    ax = scores.draw(loaded.runs, loaded.curves, task="digits")
    segments = [lines.get_segments()[0] for lines in ax.collections if lines.get_gid() is None]
    lines = {round(segment[0][1]): segment[:, 0] for segment in segments if segment[0][1] == segment[1][1]}
    bars = {round(segment[:, 1].mean()): segment[0][0] for segment in segments if segment[0][1] != segment[1][1]}
    for place, variant in enumerate(("lstm", "no_forget_gate", "gru")):
        values = [records.curve(variant, "digits", seed)[-1] for seed in range(6)]
        assert bars[place] == np.median(values)
        assert list(lines[place]) == [min(values), max(values)]  # six seeds: the interval is the range


def test_numbers_are_what_is_drawn_and_drawing_changes_no_data(loaded):
    before = loaded.runs.copy(), loaded.curves.copy()
    for figure in figures.discover().values():
        figures.sheet(figure, loaded.runs, loaded.curves)
    assert loaded.runs.equals(before[0])
    assert loaded.curves.equals(before[1])
    table = scores.numbers(loaded.runs, loaded.curves)
    assert len(table) == len(checks.scored(loaded.runs)) == 37
    assert set(table[table["name"] == "GRU"]["kind"]) == {"interval"}
    curve = learning_curves.numbers(loaded.runs, loaded.curves)
    assert len(curve) == 36 * len(records.STEPS) + 2


def test_few_seeds_show_a_range(tmp_path):
    records.write_study(tmp_path / "demo", ("lstm",), ("adding",), seeds=5)
    loaded = runs.load([tmp_path / "demo"])
    assert set(scores.numbers(loaded.runs, loaded.curves)["kind"]) == {"range"}


def test_one_task_needs_no_name_and_several_do(loaded, tmp_path):
    with pytest.raises(ValueError, match="adding, digits"):
        scores.draw(loaded.runs, loaded.curves)
    with pytest.raises(ValueError, match="'copy'"):
        scores.draw(loaded.runs, loaded.curves, task="copy")
    one = loaded.runs[loaded.runs["task"] == "adding"]
    ax = plt.figure().add_subplot()
    assert scores.draw(one, loaded.curves, ax) is ax


def test_a_diverged_run_without_a_chance_level_is_drawn_at_the_worst_score(tmp_path):
    records.write(tmp_path / "demo", seed=0, task__chance=None)
    records.write(tmp_path / "demo", seed=1, task__chance=None, status="diverged")
    loaded = runs.load([tmp_path / "demo"])
    ax = scores.draw(loaded.runs, loaded.curves)
    drawn = {points.get_gid(): points.get_offsets()[0, 0] for points in ax.collections if points.get_gid()}
    assert drawn["diverged:LSTM"] == drawn["finished:LSTM"] == records.curve("lstm", "adding", 0)[-1]
    learning_curves.draw(loaded.runs, loaded.curves)


def test_losses_over_decades_are_logarithmic_and_accuracies_are_not(loaded):
    assert learning_curves.draw(loaded.runs, loaded.curves, task="adding").get_yscale() == "log"
    assert learning_curves.draw(loaded.runs, loaded.curves, task="digits").get_yscale() == "linear"


def test_a_dollar_in_a_label_is_text(tmp_path):
    records.write(tmp_path / "demo", label="a $\\frac$ b")
    loaded = runs.load([tmp_path / "demo"])
    for figure in figures.discover().values():
        theme.save(figures.sheet(figure, loaded.runs, loaded.curves), tmp_path / "figure")


def frame(*variants: str):
    return runs.pd.DataFrame({"variant": variants, "name": [f"the {variant}" for variant in variants]})


def test_a_variant_looks_the_same_whatever_else_is_drawn():
    listed = [variant for family in theme.FAMILIES for variant in family]
    alone = {variant: theme.styles(frame(variant))[f"the {variant}"] for variant in listed}
    together = theme.styles(frame("lstm", "somebodys", *listed))
    assert together == together | {f"the {variant}": look for variant, look in alone.items()}
    assert next(iter(together)) == "the lstm"


def test_looks_differ_inside_a_family_and_between_colours():
    listed = theme.styles(frame("lstm", *[variant for family in theme.FAMILIES for variant in family]))
    assert len({(look.colour, look.marker) for look in listed.values()}) == len(listed)
    for family in theme.FAMILIES:
        looks = theme.styles(frame("lstm", *family)).values()
        assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(looks)


def test_the_families_name_variants_that_exist():
    files = {path.stem for path in (Path(__file__).parents[1] / "conf" / "variant").glob("*.yaml")}
    assert files >= {theme.BASELINE}.union(*theme.FAMILIES)


def test_unlisted_variants_of_one_report_differ():
    names = [f"lstm[forget.feeds={feeds}]" for feeds in ("x", "h", "b", "xh", "xb", "hb")]
    assert len({look.colour for look in theme.styles(frame(*names)).values()}) == len(names)


def test_the_arms_of_a_variant_keep_its_colour():
    rows = runs.pd.DataFrame({"variant": ["gru"] * 3, "name": ["GRU (lr=1)", "GRU (lr=2)", "GRU (lr=10)"]})
    looks = theme.styles(rows)
    assert list(looks) == ["GRU (lr=1)", "GRU (lr=2)", "GRU (lr=10)"]
    assert len({look.colour for look in looks.values()}) == 1
    assert len({look.marker for look in looks.values()}) == 3


def test_readers_settings_do_not_reach_a_figure(loaded, tmp_path):
    pictures = []
    for settings in ({}, {"font.size": 30, "axes.grid": True, "xtick.direction": "in"}):
        with plt.rc_context(settings):
            theme.save(figures.sheet(scores, loaded.runs, loaded.curves), tmp_path / "figure")
        pictures.append([(tmp_path / f"figure.{kind}").read_bytes() for kind in ("png", "svg", "pdf")])
    assert pictures[0] == pictures[1]
