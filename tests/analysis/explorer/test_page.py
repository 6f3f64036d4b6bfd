"""The page of a small study in a real browser: it computes the record, and each of its controls does what it says."""

import json
import re
import shutil
from pathlib import Path

import explored
import numpy as np
import pytest
from browsers import CHROMIUM

from analysis.explorer import __main__ as explorer
from analysis.explorer import nets
from analysis.explorer.page import MOST_BYTES, page
from analysis.pages.build import Request, build
from analysis.records.load import load

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
# What a reader does, as functions for a script on the page; `look` is what the reader then sees.
HANDS = """
const all = (selector) => [...document.querySelectorAll(selector)];
const press = (text) => all("button").find((one) => one.textContent === text).click();
const gate = (slot, selector) => find(`#surgery [data-slot=${slot}] ${selector}`);
const tell = (box, event) => box.dispatchEvent(new Event(event, { bubbles: true }));
const put = (box, value, event = "input") => { box.value = value; tell(box, event); };
const tick = (box) => { box.checked = !box.checked; tell(box, "change"); };
const key = (name) => find("#scroll").dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const go = (address) => new Promise((done) => {
  addEventListener("hashchange", () => setTimeout(done), { once: true });
  location.hash = address;
});
const pictures = () => all("canvas").map((canvas) => canvas.toDataURL());
const look = () => ({
  loss: find("#loss").textContent, reading: find("#reading").textContent, tour: find("#tour-text").textContent,
  touched: all(".touched").map((one) => one.textContent), address: location.hash,
  equations: find("#equations").textContent, pressed: all("[aria-pressed=true]").map((one) => one.textContent),
  problem: (find("#problem") || { textContent: "" }).textContent, pictures: pictures().join(),
});
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explored.study(tmp_path_factory.mktemp("explorer") / "small")


@pytest.fixture(scope="module")
def made(study: Path) -> Path:
    return explored.page(study, study.parent / "explorer.html")


@needs_browser
def test_what_the_page_computes_is_what_the_record_has(study, made, tmp_path):
    script = """return NETS.map((net) => [net.run, SEQUENCES[net.sequences].map((sequence, j) =>
      run(net, vectors(sequence.inputs, CONTENT.tasks[net.task].input_size), startOf(net, j)))]);"""
    found = dict(explored.worked(made, tmp_path, script))
    assert set(found) == {path.parent.name for path in study.glob("*/run.json")}
    for run, sequences in found.items():
        arrays = np.load(study / run / "inside.npz", allow_pickle=False)
        slots = [name.rpartition("/")[2] for name in arrays.files if name.startswith("layer0/trace/")]
        assert len(sequences) == arrays["inside"].shape[1] >= 2
        for column, sequence in enumerate(sequences):
            steps = len(sequence["outputs"])
            assert steps == min(int(arrays["inside"][:, column].sum()), nets.STREAM)
            np.testing.assert_allclose(sequence["outputs"], arrays["outputs"][:steps, column], atol=1e-6, rtol=1e-6)
            (values,) = sequence["layers"]
            assert set(values) == set(slots)
            for slot in slots:
                recorded = arrays[f"layer0/trace/{slot}"][:steps, column]
                np.testing.assert_allclose(values[slot], recorded, atol=1e-6, rtol=1e-6)


@needs_browser
def test_a_net_of_two_layers_is_shown_and_touched_layer_by_layer(tmp_path):
    folder = explored.looked_at(tmp_path / "deep", task="continual_reber", **{"task.length": 2, "model.layers": 2})
    script = (
        HANDS
        + """
      press("Undo all changes"); const seen = { plain: look(), hidden: find("#layers").hidden, units: keeps().length };
      seen.made = computed().plain.layers;
      const layer = (at) => all("#layers button")[at].click(), fixed = () => gate("forget", ".fixed").checked;
      layer(1); seen.second = look();
      put(gate("forget", ".value"), "0.3"); seen.fixed = look(); seen.there = fixed();
      const touched = computed().now.layers;
      seen.below = JSON.stringify(touched[0]) === JSON.stringify(seen.made[0]);
      seen.above = touched[1].forget[0][0];
      layer(0); seen.first = look(); seen.here = fixed();
      layer(1); const kept = look(); readAddress(); seen.kept = [kept, look()];
      return seen;"""
    )
    seen = explored.worked(explored.page(folder, tmp_path / "deep.html"), tmp_path, script)
    (run,) = folder.glob("*/inside.npz")
    arrays = np.load(run, allow_pickle=False)
    for at, values in enumerate(seen["made"]):
        for slot, made in values.items():
            recorded = arrays[f"layer{at}/trace/{slot}"][: len(made), 0]
            np.testing.assert_allclose(made, recorded, atol=1e-6, rtol=1e-6)
    assert not seen["hidden"]
    assert seen["second"]["reading"] != seen["plain"]["reading"]
    assert seen["second"]["loss"] == seen["plain"]["loss"] != seen["fixed"]["loss"] == seen["first"]["loss"]
    assert (seen["there"], seen["here"], seen["below"], seen["above"]) == (True, False, True, 0.3)
    assert "forget%401=0.3" in seen["fixed"]["address"]
    assert seen["first"]["touched"] == []
    assert seen["kept"][0] == seen["kept"][1]


@needs_browser
@pytest.mark.parametrize("width", [0, 390])
def test_the_step_at_which_something_is_due_is_in_sight(tmp_path, width):
    folder = explored.looked_at(tmp_path / "long", task="adding", **{"task.length": 230})
    script = """
      const seen = recorded().counts.map((counts, t) => (counts ? t : -1)).filter((t) => t >= 0);
      const box = find("#scroll").getBoundingClientRect(), canvas = find("#stack canvas").getBoundingClientRect();
      const cell = (canvas.width - GUTTER - 2) / recorded().inputs.length;
      change({ step: seen[0] });
      return { due: seen, right: canvas.left + GUTTER + cell * (seen[0] + 1), edge: box.right,
        loss: computed().plain.loss, scrolled: find("#scroll").scrollLeft };"""
    seen = explored.worked(explored.page(folder, tmp_path / "long.html"), tmp_path, script, width=width)
    assert seen["due"] == [229]
    assert seen["right"] <= seen["edge"] + 1
    assert seen["loss"] > 0
    assert seen["scrolled"] == 0


def test_an_archive_has_no_nets_to_run_and_says_so(study, tmp_path, capsys):
    from experiments import archive

    assert archive.main([f"study={study}", f"out={tmp_path / 'kept'}"]) == 0
    capsys.readouterr()
    assert explorer.main([f"study={tmp_path / 'kept'}", f"out={tmp_path / 'a.html'}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is an archive" in error
    assert "it has no weights" in error


@needs_browser
def test_every_control_is_reached_and_seen_with_the_keyboard(made, tmp_path):
    script = """
      takeTour(1);
      const controls = [...document.querySelectorAll("button, input, select, .scroll")].filter((one) => !one.disabled);
      const shown = (one) => one.outerHTML.slice(0, 80);
      const style = (one) => getComputedStyle(one);
      const visible = (one) => style(one).outlineStyle !== "none" && parseFloat(style(one).outlineWidth) >= 1;
      const lost = [], unseen = [];
      for (const one of controls) {
        one.focus();
        if (document.activeElement !== one || one.tabIndex < 0) lost.push(shown(one));
        else if (!visible(one)) unseen.push(shown(one));
      }
      const button = [...document.querySelectorAll("#variants button")].at(-1);
      button.focus(); button.click(); const after = document.activeElement.textContent;
      return { count: controls.length, lost, unseen, kept: after === button.textContent };"""
    found = explored.worked(made, tmp_path, script)
    assert (found["lost"], found["unseen"]) == ([], [])
    assert found["kept"]
    assert found["count"] > 40


@needs_browser
def test_each_control_does_what_it_says_and_the_address_keeps_it(made, tmp_path):
    script = (
        HANDS
        + """
      const seen = { start: look() };
      press("continual_reber"); press("LSTM"); press("Undo all changes"); seen.plain = look();
      put(gate("forget", ".value"), "0.3"); seen.fixed = look();
      put(gate("forget", ".units"), "picked", "change"); seen.picked = look();
      put(gate("forget", ".units"), "all", "change"); put(gate("forget", ".steps"), "marked", "change");
      seen.marked = look();
      tick(gate("forget", ".fixed")); seen.own = look();
      put(gate("forget", ".steps"), "every", "change");
      tick(gate("forget", ".term[value=h]")); seen.cut = look();
      tick(gate("candidate", ".term[value=b]")); seen.cuts = look();
      const kept = look(); await go("#"); seen.gone = look();
      await go(kept.address); seen.kept = [kept, look()];
      press("Undo all changes"); gate("forget", ".value").click(); seen.clicked = look();
      press("Undo all changes"); seen.undone = look();
      key("ArrowRight"); seen.right = look(); key("ArrowDown"); seen.down = look();
      put(find("#edit input"), "BTBTXSETE"); seen.typed = look();
      put(find("#edit input"), "BTBTXSQTE"); seen.wrong = look();
      press("GRU"); seen.gru = look(); press("1"); seen.seed = look();
      return seen;"""
    )
    seen = explored.worked(made, tmp_path, script)
    assert seen["plain"]["touched"] == []
    assert "untouched" not in seen["plain"]["loss"]
    for name in ("fixed", "picked", "marked", "cut", "cuts"):
        assert seen[name]["loss"] != seen["plain"]["loss"], name
        assert "untouched" in seen[name]["loss"], name
        assert seen[name]["pictures"] != seen["plain"]["pictures"], name
    assert any("fixed: 0.3" in text for text in seen["fixed"]["touched"])
    assert any("picked unit" in text for text in seen["picked"]["touched"])
    assert any("picked step" in text for text in seen["marked"]["touched"])
    assert seen["own"]["loss"] == seen["plain"]["loss"] == seen["undone"]["loss"]
    assert "Uf ht−1" in seen["cut"]["touched"]
    assert {"Uf ht−1", "bz"} <= set(seen["cuts"]["touched"])
    kept, again = seen["kept"]
    assert kept == again != seen["gone"]
    assert "forget=1_all_every" in seen["clicked"]["address"]
    assert seen["right"]["reading"] != seen["undone"]["reading"] != seen["down"]["reading"] != seen["right"]["reading"]
    assert "inputs=BTBTXSETE" in seen["typed"]["address"]
    assert "of 9:" in seen["typed"]["reading"]
    assert "“Q” is no symbol" in seen["wrong"]["problem"]
    assert seen["wrong"]["loss"] == seen["typed"]["loss"]
    assert "GRU" in seen["gru"]["pressed"]
    assert "r =" in seen["gru"]["equations"]
    assert len({seen[name]["loss"] for name in ("typed", "gru", "seed")}) == 3


@needs_browser
def test_values_are_dragged_and_typed_and_the_target_follows(made, tmp_path):
    script = (
        HANDS
        + """
      press("adding"); press("LSTM");
      const seen = { plain: look(), rule: rule(), before: shownSequence().inputs.map(([value]) => value) };
      const first = shownSequence().inputs.findIndex(([, mark]) => mark === 1);
      change({ step: first });
      const canvas = find("canvas.drag"), box = canvas.getBoundingClientRect();
      const cell = (box.width - GUTTER - 2) / shownSequence().inputs.length;
      const x = box.left + GUTTER + cell * (first + 0.5);
      const at = (name, y, on) => on.dispatchEvent(new PointerEvent(name, { clientX: x, clientY: y, bubbles: true }));
      at("pointerdown", box.bottom - 5, canvas); at("pointermove", box.top + 3, window);
      at("pointerup", box.top + 3, window);
      seen.dragged = look(); seen.target = shownSequence().targets.at(-1)[0]; seen.first = first;
      seen.inputs = shownSequence().inputs.map(([value]) => value);
      put(find("#edit input[type=number]"), "0.25", "change"); seen.typed = shownSequence().inputs[first][0];
      const kept = look(); readAddress(); seen.kept = [kept, look()];
      press("Undo all changes"); seen.undone = look();
      return seen;"""
    )
    seen = explored.worked(made, tmp_path, script)
    first = seen["first"]
    assert seen["rule"] == "the sum of the marked values"
    assert seen["inputs"][first] == 1.0
    assert seen["inputs"][:first] + seen["inputs"][first + 1 :] == seen["before"][:first] + seen["before"][first + 1 :]
    assert seen["dragged"]["loss"] != seen["plain"]["loss"] == seen["undone"]["loss"]
    assert 1.0 <= seen["target"] <= 2.0
    assert seen["typed"] == 0.25
    assert seen["kept"][0] == seen["kept"][1]


@needs_browser
def test_the_tour_prepares_a_state_for_each_of_its_five_steps(made, tmp_path):
    script = (
        HANDS
        + """
      press("continual_reber"); press("LSTM"); const seen = [], due = dueSteps(shownSequence());
      for (const button of [...find("#tour").children]) { button.click(); seen.push(look()); }
      const kept = look(); readAddress(); const again = [kept, look()], about = find("#about").textContent;
      await go("#tour=2"); return { seen, again, about, linked: look(), due };"""
    )
    found = explored.worked(made, tmp_path, script)
    texts = [stop["tour"] for stop in found["seen"]]
    assert len(set(texts)) == 5
    assert not any("NaN" in text or "undefined" in text for text in texts)
    assert [bool(stop["touched"]) for stop in found["seen"]] == [False, True, True, True, False]
    assert "no forget gate" in found["seen"][4]["pressed"]
    why = r"It hurts most at step (\d+), where \w is due: it says \w (now, and said \w before|as before, but is less)"
    (later,) = (int(match[1]) for match in [re.search(why, texts[1])])
    assert later >= int(re.search(r"At step (\d+) that costs most", texts[1])[1])
    assert "It hurts most at step" in found["linked"]["tour"]
    assert found["due"], "the task says what had to be remembered"
    assert later - 1 in found["due"]
    assert "most of what had to be remembered" in texts[1]
    assert any("picked step" in text for text in found["linked"]["touched"])
    assert found["about"].startswith(
        "The task: predict the next symbol of endless strings whose second symbol comes back"
    )
    assert found["again"][0] == found["again"][1]


@needs_browser
@pytest.mark.parametrize("width", [0, 390])
def test_the_page_fits_and_every_control_has_a_name(made, tmp_path, width):
    script = """
      takeTour(1);
      const labelled = (one) => [...(one.labels || [])].some((label) => label.textContent.trim());
      const named = (one) => one.getAttribute("aria-label") || one.textContent.trim() || labelled(one);
      const kinds = "button, input, select, canvas, [role=group], nav, aside section";
      const controls = [...document.querySelectorAll(kinds)], root = document.documentElement;
      const beyond = (one) => one.getBoundingClientRect().right > root.clientWidth + 1;
      const wide = [...document.querySelectorAll("body *")].filter((one) => !one.closest(".scroll") && beyond(one));
      const shown = (found) => found.map((one) => one.outerHTML.slice(0, 80));
      return { nameless: shown(controls.filter((one) => !named(one))), count: controls.length, width: root.clientWidth,
        wide: shown(wide), overflow: root.scrollWidth - root.clientWidth };"""
    found = explored.worked(made, tmp_path, script, width=width)
    assert found["width"] == (width or found["width"]) > 380
    assert (found["nameless"], found["wide"], found["overflow"]) == ([], [], 0)
    assert found["count"] > 40


def test_the_page_stands_alone_and_is_the_same_twice(study, made, tmp_path):
    text = made.read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|\bsrc=|<link|@import|\bfetch\(|\bimport\b\s", text)
    assert len(text.encode()) <= MOST_BYTES
    assert explored.page(study, tmp_path / "again.html").read_text() == text


def test_a_full_page_has_a_net_of_every_variant_before_any_has_two(study):
    records = load([study])
    whole, _ = nets.nets(records, 10**9)
    half, left_out = nets.nets(records, len(json.dumps(whole)) // 2)
    assert 0 < len(half["nets"]) < len(whole["nets"]) == len(half["nets"]) + len(left_out)
    assert {net["seed"] for net in half["nets"]} == {0}
    assert set(left_out.values()) == {next(iter(left_out.values()))}
    assert "the page is full" in next(iter(left_out.values()))


def test_what_cannot_be_shown_is_named(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nets, "MOST_UNITS", 4)
    assert explorer.main([f"study={study}", f"out={tmp_path / 'a.html'}"]) == 2
    assert "5 units, 4 are shown at most" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "message"), [("page.txt", "the name of a page"), ("mine.html", "no explorer wrote it")]
)
def test_somebodys_file_stays(study, tmp_path, capsys, out, message):
    (tmp_path / "mine.html").write_text("mine")
    assert explorer.main([f"study={study}", f"out={tmp_path / out}"]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "mine.html").read_text() == "mine"


def test_a_report_has_the_page_and_links_it(study, made, tmp_path, capsys):
    build(Request(studies=[str(study)], figures=["scores"]), str(tmp_path / "report"))
    assert 'href="explorer.html"' in (tmp_path / "report" / "index.html").read_text()
    assert (tmp_path / "report" / "explorer.html").read_text() == made.read_text()


def test_nets_that_nobody_has_looked_inside_are_left_out(study, tmp_path, monkeypatch):
    monkeypatch.setattr(nets, "described", lambda folder, record: None)
    html, left_out = page(load([study]))
    assert html is None
    assert "experiments.inspect" in next(iter(left_out.values()))


@needs_browser
def test_a_link_written_by_hand_is_understood(made, tmp_path):
    (run,) = {path.name for path in Path(made.parent / "small").glob("continual_reber-lstm-s0-*")}
    link = f"net={run}&sequence=2&step=7&unit=3&forget=0.25_picked_marked_x-h&candidate=own_all_every_b"
    script = "return { ...state, net: state.net.run, again: address() };"
    found = explored.worked(made, tmp_path, script, address=link)
    assert (found["net"], found["sequence"], found["step"], found["unit"]) == (run, 2, 7, 3)
    assert found["surgery"] == {
        "forget": {"value": 0.25, "units": "picked", "steps": "marked", "off": ["x", "h"]},
        "candidate": {"value": None, "units": "all", "steps": "every", "off": ["b"]},
    }
    assert found["again"] == link


def test_a_stale_study_is_refused_with_the_reason(study, tmp_path, capsys):
    copy = Path(shutil.copytree(study, tmp_path / "old"))
    for path in copy.glob("*/run.json"):
        record = json.loads(path.read_text())
        record["semantics"]["trainer"] = 0
        path.write_text(json.dumps(record))
    assert explorer.main([f"study={copy}", f"out={tmp_path / 'a.html'}"]) == 2
    assert "stale (another version of trainer made the numbers" in capsys.readouterr().err.splitlines()[-1]


def test_a_normalised_net_is_left_out_with_its_reason(tmp_path):
    folder = explored.looked_at(tmp_path / "normed", task="adding", **{"task.length": 4, "variant.layer_norm": True})
    content, left_out = nets.nets(load([folder]), 10**9)
    assert content["nets"] == []
    assert list(left_out.values()) == ["the page does not have layer normalisation"]


def test_a_net_whose_facts_are_damaged_is_left_out_alone(study, tmp_path):
    copy = Path(shutil.copytree(study, tmp_path / "small"))
    path = next(copy.glob("*gru-s0*/inside.json"))
    facts = json.loads(path.read_text())
    del facts["net"]["equations"]
    path.write_text(json.dumps(facts))
    content, left_out = nets.nets(load([copy]), 10**9)
    assert list(left_out.values()) == ["what was found inside it lacks 'equations'"]
    assert len(content["nets"]) == len(list(copy.glob("*/run.json"))) - 1
