"""The page with real presses of keys and without a mouse: every control is reached, in sight, and does what it says."""

from collections.abc import Iterator
from pathlib import Path

import explored
import pytest
from browsers import CHROMIUM
from devtools import Tab, opened

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
# The number of the control that has the focus, and whether the reader sees its middle.
FOCUS = """(() => {
  const all = [...document.querySelectorAll("button, input, select, .scroll")].filter((one) => !one.disabled);
  const one = document.activeElement, box = one.getBoundingClientRect();
  const x = box.x + box.width / 2, y = one.id === "scroll" ? innerHeight / 2 : box.y + box.height / 2;
  const top = document.elementFromPoint(x, y);
  return { at: all.indexOf(one), count: all.length, seen: one.contains(top), what: one.outerHTML.slice(0, 80) };
})()"""
LOSS = "find('#loss').textContent"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keyboard")
    reber = explored.looked_at(folder / "reber", task="continual_reber", **{"task.length": 2})
    return explored.page(reber, folder / "explorer.html")


@pytest.fixture
def tab(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """The page in a window of this width."""
    with opened(made, tmp_path, getattr(request, "param", 1280)) as tab:
        yield tab


def tabbed(tab: Tab, selector: str) -> None:
    """Press Tab until a control has the focus."""
    for _ in range(tab.value(FOCUS)["count"] + 2):
        if tab.value(f"document.activeElement.matches({selector!r})"):
            return
        tab.press("Tab")
    pytest.fail(f"Tab never comes to {selector}")


def at(tab: Tab, selector: str, *keys: str) -> None:
    """Press keys, one after the other, on a control that Tab has come to."""
    tabbed(tab, selector)
    tab.press(*keys)


@pytest.mark.parametrize("tab", [1280, 390], indirect=True)
def test_tab_comes_to_every_control_in_their_order_and_each_is_in_sight(tab):
    count = tab.value(FOCUS)["count"]
    for shift in (False, True):
        found = []
        for _ in range(count):
            tab.press("Tab", shift=shift)
            found.append(tab.value(FOCUS))
        assert [one["at"] for one in found] == sorted(range(count), reverse=shift)
        assert [one["what"] for one in found if not one["seen"]] == []
        tab.press("Tab", shift=shift)  # out of the page, from where the way back begins


def test_a_net_is_made_to_forget_with_keys_alone(tab):
    forget = "[data-slot=forget]"
    plain = tab.value(LOSS)
    at(tab, "#tour :nth-child(2)", "Enter")
    assert "untouched" in tab.value(LOSS)
    assert "forget=0_all_marked" in tab.value("location.hash")
    at(tab, "#undo", "Space")
    assert tab.value(LOSS) == plain
    at(tab, f"{forget} .fixed", "Space")
    assert "forget=0_all_every" in tab.value("location.hash")
    at(tab, f"{forget} .value", "ArrowRight")
    assert "forget=0.01_all_every" in tab.value("location.hash")
    at(tab, f"{forget} .units", "ArrowDown")
    at(tab, f"{forget} .steps", "ArrowDown")
    assert "forget=0.01_picked_marked" in tab.value("location.hash")
    at(tab, f"{forget} .term[value=h]", "Space")
    assert "forget=0.01_picked_marked_h" in tab.value("location.hash")
    tab.press("Tab")
    assert tab.value("document.activeElement.matches('.term[value=b]')")
    tabbed(tab, "#step")
    step = tab.value("state.step")
    tab.press("ArrowRight")
    assert tab.value("state.step") == step + 1
    tabbed(tab, "#scroll")
    unit = tab.value("byTimeConstant().indexOf(state.unit)")
    tab.press("ArrowLeft", "ArrowUp" if unit else "ArrowDown")
    assert tab.value("[state.step, byTimeConstant().indexOf(state.unit)]") == [step, unit - 1 if unit else 1]


def test_a_sequence_is_typed_letter_by_letter(tab):
    at(tab, "#edit input", "End", "Backspace", "Backspace", "T")
    before, typed = tab.value("[recorded().inputs, shownSequence().inputs]")
    assert typed[:-1] == before[:-2]
    assert tab.value("task().alphabet[shownSequence().inputs.at(-1)]") == "T"
    assert tab.value("document.activeElement.matches('#edit input')")
