"""Variants by name without Hydra: what the command line makes of the same words, and nothing else needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_variants
from experiments.config.compose import load_spec
from lstm_variants import ExtensionError, SpecError, config_files, load, variants
from lstm_variants.catalogue.cards import card
from lstm_variants.catalogue.changes import nested
from lstm_variants.catalogue.variant_names import describe
from lstm_variants.catalogue.variants import aliases
from lstm_variants.extensions import registration
from lstm_variants.gate import FEEDS, KINDS, SLOTS, complete_lstm

ROOT = Path(__file__).parents[2]
VALUES: dict[str, list[Any]] = {
    "kind": ["learned", "constant", "complement", "absent", "same"],
    "value": [0, 1, 0.5, -2.5e-3, 1e30, None, "high"],
    "offset": [0, 1.0, -0.25],
    "feeds": [*FEEDS, "bx", "q", 1],
    "peephole": [True, False],
    "gates": [True, False, "yes"],
    "activation": ["sigmoid", "tanh", "identity", "sigmod", 5],
    "block": [1, 2, "all", 0, "some"],
    "bias": ["learned", "frozen", None],
    "position": ["before", "after"],
    "of": ["input", "forget"],
    "kindd": ["learned"],
}
SWITCHES = {"squash": ["tanh", "identity", "relu", "gumbel"], "normalise": [True, False, 1], "cell": ["gated", "mut1"]}


def text(draw: st.DrawFn, value: Any) -> str:
    """A value in one of the ways in which it can be written."""
    if value is None or isinstance(value, bool):
        plain = {None: "null", True: "true", False: "false"}[value]
        return draw(st.sampled_from((plain, plain.upper())))
    if isinstance(value, str):
        return draw(st.sampled_from((value, f"'{value}'", f'"{value}"')))
    return draw(st.sampled_from((repr(value), f"+{value!r}" if value >= 0 else repr(value))))


@st.composite
def changes(draw: st.DrawFn) -> str:
    """One change: of a knob, of several of one slot at once, or of a switch; most of them legal, some not."""
    space = draw(st.sampled_from(("", " ")))
    prefix = draw(st.sampled_from(("", "variant.")))
    slot = draw(st.sampled_from((*SLOTS, "switch")))
    if slot == "switch":
        key = draw(st.sampled_from(sorted(SWITCHES)))
        return f"{prefix}{key}={text(draw, draw(st.sampled_from(SWITCHES[key])))}"
    legal = sorted(complete_lstm()[slot])
    knobs = draw(st.lists(st.sampled_from([*legal, *legal, "kindd"]), min_size=1, max_size=3, unique=True))
    pools = {**VALUES, "kind": [*KINDS[slot], *KINDS[slot], *VALUES["kind"]]}
    given_ = {knob: text(draw, draw(st.sampled_from(pools[knob]))) for knob in knobs}
    if len(knobs) == 1 and draw(st.booleans()):
        return f"{prefix}{slot}.{knobs[0]}={given_[knobs[0]]}"
    return f"{prefix}{slot}={{{f',{space}'.join(f'{key}:{space}{value}' for key, value in given_.items())}}}"


def outcome(name: str, words: list[str]) -> tuple[Any, Any]:
    """The spec without and with Hydra, or that it is refused."""
    with_prefix = [word if word.startswith("variant.") else f"variant.{word}" for word in words]
    results: list[Any] = []
    for way in (lambda: load(name, *words), lambda: load_spec(name, with_prefix)):
        try:
            results.append(way())
        except ValueError:
            results.append("refused")
    return results[0], results[1]


@pytest.mark.parametrize("name", [*variants(), *aliases()])
def test_every_variant_and_alias_is_what_hydra_makes_of_it(name: str) -> None:
    assert load(name) == load_spec(name)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(variants())), words=st.lists(changes(), min_size=1, max_size=3))
def test_changes_mean_what_they_mean_on_the_command_line(name: str, words: list[str]) -> None:
    without, with_hydra = outcome(name, words)
    assert without == with_hydra, words


@pytest.mark.parametrize(
    ("change", "content"),
    [
        ("forget.feeds=xb", {"forget": {"feeds": "xb"}}),
        ("variant.forget.feeds = xb", {"forget": {"feeds": "xb"}}),
        (r"cell='it\'s'", {"cell": "it's"}),
        ("cell=a b", {"cell": "a b"}),
        (r"cell=a\,b", {"cell": "a,b"}),
        ("forget={ kind : constant , value:.5}", {"forget": {"kind": "constant", "value": 0.5}}),
        ("forget={}", {"forget": {}}),
        ("input.value=[1, [x, null], {a: True}]", {"input": {"value": [1, ["x", None], {"a": True}]}}),
        ("input.value=1_000", {"input": {"value": 1000}}),
        ("input.value=1e-3", {"input": {"value": 0.001}}),
        ("input.value=-inf", {"input": {"value": float("-inf")}}),
        ("input.value=1.5x", {"input": {"value": "1.5x"}}),
    ],
)
def test_a_change_is_read_as_the_command_line_reads_it(change: str, content: dict[str, Any]) -> None:
    assert nested(change) == content


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gruu",), "variant=gruu: did you mean gru"),
        (("lstm,gru",), "variant=lstm,gru: legal are"),
        (("forget_without_input",), "variant=forget_without_input: legal are"),  # near none, though many begin alike
        ((None,), "variant=None: legal are"),
        (("lstm", "forget.feeds"), "forget.feeds: KEY=VALUE is needed"),
        (("lstm", "forget.feeds="), "forget.feeds=: KEY=VALUE is needed"),
        (("lstm", "+forget.feeds=x"), "KEY=VALUE is needed"),
        (("lstm", "~forget"), "KEY=VALUE is needed"),
        (("lstm", {"forget.feeds": "x"}), "KEY=VALUE is needed"),
        (("lstm", "forget.feeds=x,xb"), "cannot be read from ,xb on; a change has one value"),
        (("lstm", "forget.feeds=choice(x,xb)"), "a change has one value"),
        (("lstm", "forget={kind constant}"), "a : is missing"),
        (("lstm", "forget={kind: constant"), "cannot be read, a , is missing"),
        (("lstm", "forget='x"), "goes in quotes"),
        (("lstm", "forget.feeds=${variant.input.feeds}"), "cannot be read"),
        (("lstm", "label=mine"), "label=mine: label belongs to a file, conf/variant/NAME.yaml"),
        (("lstm", "seed=3"), "variant.seed: unknown key; legal are cell, input"),
        (("lstm", "forget=constant"), "variant.forget=constant: a mapping with any of kind, value"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_in_one_line(words: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SpecError, match=r"\A[^\n]*\Z") as refused:
        load(*words)
    assert message in str(refused.value)


def test_a_spec_is_called_by_its_file_or_by_the_nearest_one() -> None:
    assert describe(load("lstm", "forget.kind=complement")).name == "coupled_gates"
    changed = describe(load("gru", "forget.feeds=xb"))
    assert changed.label == "gru[forget.feeds=xb]"
    assert changed.cite == "a change of gru (Cho et al. 2014 (arXiv v1), as torch.nn.GRU)"


def write(folder: Path, **files: str) -> Path:
    (folder / "conf" / "variant").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / "conf" / "variant" / f"{name}.yaml").write_text(f"label: {name}\ncite: me\naliases: []\n{content}")
    return folder


def test_two_files_of_one_cell_are_refused_since_one_label_would_be_lost(tmp_path: Path) -> None:
    registration.use(write(tmp_path, mine="defaults: [lstm]\nforget: {kind: complement}\n"))
    with pytest.raises(
        SpecError, match=r"variant/mine\.yaml: this is the cell of coupled_gates: say variant=coupled_g"
    ):
        variants()
    write(tmp_path, mine="defaults: [lstm]\nforget: {feeds: xb}\n", yours="defaults: [mine]\n")
    registration.use(None)
    registration.use(tmp_path)
    with pytest.raises(SpecError, match=r"variant/yours\.yaml: this is the cell of mine"):
        variants()


def test_a_folder_of_the_user_s_is_one_word_away(tmp_path: Path) -> None:
    mine = "defaults: [gru, _self_]\nreset: {feeds: xb}\ninput: {offset: 1e-1}\n"
    registration.use(write(tmp_path, mine=mine, first="defaults: [_self_, gru]\nsquash: tanh\n"))
    assert load("mine") == load("gru", "reset.feeds=xb", "input.offset=.1") == load_spec("mine")
    assert load("first") == load("gru") == load_spec("first")
    write(tmp_path, mine="defaults: [gru]\nreset: {feeds: x}\n")
    registration.use(None)
    assert load("mine") == load("gru", "reset.feeds=x") == load_spec("mine")
    registration.use([])
    with pytest.raises(SpecError, match="variant=mine"):
        load("mine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("defaults: [gruu]\n", 'defaults: "gruu": the names of other files of variant are needed'),
        ("defaults: [{/init: default}]\n", "the names of other files of variant are needed"),
        ("defaults: [mine]\n", 'defaults: "mine": the names of other files'),
        ("defaults: [other]\n", 'defaults: "mine": the names of other files'),
        ("squash: tanh\nsquash: relu\n", "the key squash is there twice"),
        ("squash: sinus\n", "conf/variant/mine.yaml: variant.squash=sinus"),
    ],
)
def test_a_file_of_the_user_s_that_makes_no_variant_is_named(tmp_path: Path, content: str, message: str) -> None:
    def both() -> None:
        registration.use(write(tmp_path, mine=content, other="defaults: [mine]\n"))
        variants()

    with pytest.raises((ExtensionError, SpecError), match=r"\A[^\n]*\Z") as refused:
        both()
    assert message in str(refused.value)
    assert "variant/" in str(refused.value)


def test_numbers_are_read_as_omegaconf_reads_them() -> None:
    read = config_files.read_yaml("{a: 1e-3, b: 1.5, c: 7, d: 2026-11-25, e: .5e3, f: x1e3}")
    assert read == {"a": 0.001, "b": 1.5, "c": 7, "d": "2026-11-25", "e": 500.0, "f": "x1e3"}


ALONE = """
import importlib.abc, sys
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing}:
            raise ImportError(f"{{name}} is not installed")
sys.meta_path.insert(0, Only())
import torch
import lstm_variants
for name in lstm_variants.variants():
    layer = lstm_variants.GatedRNN(lstm_variants.load(name), 3, 4, engine="reference")
    y, state = layer(torch.zeros(1, 2, 3))
    assert y.shape == (1, 2, 4), name
print(len(lstm_variants.variants()), lstm_variants.load("lstm", "forget.feeds=xb").forget.feeds)
"""


def test_it_works_with_torch_numpy_yaml_and_filelock_alone(tmp_path: Path) -> None:
    missing = "hydra omegaconf antlr4 wandb pandas scipy statsmodels sklearn pydantic matplotlib seaborn tabulate"
    missing += " jinja2 tqdm rich experiments analysis"
    script = ALONE.format(missing=missing.split())
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(variants())), "xb"]


def test_the_names_of_the_package_are_there() -> None:
    assert all(hasattr(lstm_variants, name) for name in lstm_variants.__all__)


@pytest.mark.parametrize(
    ("change", "half"), [("forget.feeds=x", ", 1 step leaves half"), ("forget.feeds=xb", " 2.21 steps leave half")]
)
def test_a_card_says_how_fast_an_untrained_cell_forgets(change, half):
    assert f"{half} of it" in card(describe(load("lstm", change)), 8, 64)
