"""A folder of one's own: what it brings, in every process, and every way in which it can be wrong, in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import experiments
from analysis import report
from analysis.common.command_line import CommandError
from experiments import show
from experiments.api import load_run
from experiments.config.catalogue import names
from experiments.config.compose import compose
from experiments.config.extensions_option import use_extensions, use_extensions_of, used_extensions
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.store.versions_and_sources import semantics
from experiments.sweep.plan import make_plan
from lstm_variants import GatedRNN, make_cell
from lstm_variants.catalogue.variants import variants

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "extension"
SHORT = {"train": {"steps": 2, "eval_every": 1, "eval_size": 4, "batch_size": 2}, "model": {"hidden_size": 4}}
OWN_TASK = """
from dataclasses import dataclass
from experiments.tasks.base import Task
from experiments.tasks.parity import Parity

@dataclass(frozen=True, kw_only=True)
class Own(Parity):
    {body}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example in the documentation, under a name that no module, shell or grammar likes."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "my größe, v1.0 [x]='y'", ignore=lambda *_: {"__pycache__"}))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, *said: str) -> str:
    """The one line in which a job with this folder is refused."""
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        resolve(compose(["study=null", *use_extensions_of([*said, f"extensions={folder}"])]))
    return str(caught.value)


def test_everything_of_one_folder_runs_in_two_workers_and_is_read_back(folder: Path, tmp_path: Path) -> None:
    axes = {"variant": ["cfn", "momentum", "forget_arctan"], "init": ["default", "identity"], "seed": [0, 1]}
    settings = {"task": "first_symbol", "task.length": 4, "record.wandb.mode": "disabled", **SHORT}
    frame = experiments.sweep(axes, workers=2, study=str(tmp_path / "s"), extensions=folder, **settings)
    assert list(frame["status"]) == ["finished"] * 12
    for run_id in (frame["run_id"][0], frame["run_id"][11]):
        use_extensions([])
        loaded = load_run(tmp_path / "s" / run_id)
        assert loaded.layer(torch.zeros(3, 1, 2))[0].shape == (3, 1, 4)
        assert loaded.record["config"]["extensions"] == [str(folder)]
    out = tmp_path / "report"
    report.report(report.Options(study=[str(tmp_path / "s")], out=str(out), extensions=[str(folder)]))
    assert (out / "figures" / "spread_of_seeds.png").is_file()
    assert "How far do the seeds of a variant lie apart?" in (out / "index.html").read_text()


def test_a_run_whose_folder_is_gone_or_another_says_so(folder: Path, tmp_path: Path) -> None:
    settings = {"variant": "cfn", "task": "adding", "record.wandb.mode": "disabled", **SHORT}
    run = experiments.run(study=str(tmp_path / "s"), extensions=folder, **settings)
    place, moved = tmp_path / "s" / run.record["run_id"], tmp_path / "moved"
    folder.rename(moved)
    use_extensions([])
    with pytest.raises(
        ValueError, match=r"legal are gated, mut1.*is no longer there; load_run\(folder, extensions=DIR"
    ):
        load_run(place)
    assert experiments.load_run(place, extensions=moved).layer.cell.spec.cell == "cfn"
    for wrong in (5, [None]):
        with pytest.raises(ValueError, match=r"extensions=.*: a folder or a list of folders is needed"):
            load_run(place, extensions=wrong)
    file = moved / "cells" / "cfn.py"
    file.write_text(file.read_text() + "\n# another\n")
    with pytest.raises(ValueError, match="stale, another version of cell made it"):
        load_run(place, extensions=moved)


def test_several_folders_count_all_and_each_name_may_be_there_once(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "b"
    write(other, "conf/variant/mine.yaml", "defaults: [cfn]\nlabel: mine\ncite: me\naliases: []\n")
    for said in ([folder, other], [str(other), folder]):
        use_extensions(said)
        assert {"cfn", "mine"} <= {*names("variant")}
    use_extensions_of([f'extensions=["{folder}", {other}]'])
    assert used_extensions() == [str(folder), str(other)]
    (tmp_path / "link").symlink_to(other)
    use_extensions(f"{other},{tmp_path / 'link'},{other}/")
    assert used_extensions() == [str(other)]
    shutil.copytree(folder / "cells", other / "cells")
    with pytest.raises(ValueError, match=r"there is a cells/cfn.py in .* too; give it another name"):
        use_extensions([folder, other])
    assert used_extensions() == [str(other)]


@pytest.mark.parametrize(
    "name", ["cells/slstm.py", "tasks/adding.py", "activations/relu.py", "inits/chrono.py", "conf/train/default.yaml"]
)
def test_what_is_ours_is_not_shadowed(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, "")
    assert f"there is a {name} in gates itself too" in refusal(tmp_path)


def test_an_edited_file_is_read_again_and_is_another_version(folder: Path) -> None:
    settings = {"variant": "momentum", "task": "first_symbol", "init": "spread"}
    said = [f"{key}={value}" for key, value in settings.items() if key != "init"]

    def now() -> tuple[float, dict[str, object]]:
        use_extensions(folder)
        job = resolve(compose(["study=null", *said]))
        layer = GatedRNN(job.variant.spec, 1, 1)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.fill_(0.5)
        return layer(torch.ones(2, 1, 1))[0].sum().item(), dict(semantics(job))

    before = now()
    assert now() == before
    file = folder / "cells" / "momentum.py"
    file.write_text(file.read_text().replace("MU = 0.6", "MU = 0.1"))
    after = now()
    assert after[0] != before[0]
    assert [part for part in after[1] if after[1][part] != before[1][part]] == ["cell"]
    label = folder / "conf" / "variant" / "momentum.yaml"
    label.write_text(label.read_text().replace("label: MomentumRNN", "label: other"))
    use_extensions(None)
    assert variants()["momentum"].label == "other"


def test_a_shared_part_an_activation_and_an_init_belong_to_the_version(folder: Path) -> None:
    write(folder, "cells/_parts.py", "HALF = 0.5\n")
    file = folder / "cells" / "cfn.py"
    file.write_text(file.read_text() + "\nfrom . import _parts\n")
    write(folder, "cells/faster.py", "from ..shared.more import SIZE\nfrom .momentum import OwnCell\n")
    write(folder, "shared/more.py", "from .sizes import SIZE\n")
    write(folder, "shared/sizes.py", "SIZE = 1\n")
    write(folder, "conf/variant/faster.yaml", "defaults: [momentum]\nlabel: faster\ncell: faster\n")
    said = ["study=null", "variant=forget_arctan", "init=spread", "variant.cell=gated"]
    for changed, words in (
        ("activations/arctan.py", said),
        ("inits/spread.py", said),
        ("cells/_parts.py", ["study=null", "variant=cfn"]),
        ("cells/momentum.py", ["study=null", "variant=faster"]),
        ("shared/sizes.py", ["study=null", "variant=faster"]),
    ):
        use_extensions(folder)
        before = semantics(resolve(compose(words)))
        with (folder / changed).open("a") as own:
            own.write("\n# changed\n")
        use_extensions(None)
        assert semantics(resolve(compose(words)))["cell"] != before["cell"], changed


def test_own_activations_and_inits_do_what_they_say(folder: Path) -> None:
    use_extensions(folder)
    job = resolve(compose(["study=null", "variant=forget_arctan", "init=spread", "model.hidden_size=5"]))
    assert "native has no activation arctan" in str(make_plan([job], 1))
    layer = GatedRNN(job.variant.spec, 2, 5)
    assert (layer.engine, layer.engine_reason) == (
        "reference",
        "native cannot run here: native has no activation arctan",
    )
    layer.reset_parameters(job.init, np.random.default_rng(0))
    b = layer.gates()["forget"]["b"].detach().double()
    torch.testing.assert_close(0.5 + torch.atan(b) / torch.pi, torch.sigmoid(torch.linspace(0, 4, 5).double()))
    with pytest.raises(ValueError, match="engine=native cannot run here: native has no activation arctan"):
        GatedRNN(job.variant.spec, 2, 5, engine="native")
    identity = resolve(compose(["study=null", "init=identity"])).init
    layer.reset_parameters(identity, np.random.default_rng(0))
    assert torch.equal(layer.gates()["output"]["h"], torch.eye(5))
    use_extensions([])
    with pytest.raises(ValueError, match=r"variant.forget.activation=arctan: .*legal are sigmoid"):
        resolve(compose(["variant.forget.activation=arctan"]))


@pytest.mark.parametrize("name", ["cfn", "momentum", "forget_sees_input", "forget_arctan"])
def test_show_shows_what_is_ones_own(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show.show(show.Options(what=["variant", name], extensions=[str(folder)]))
    assert f"{name}: " in capsys.readouterr().out


CELL = (EXAMPLE / "cells" / "cfn.py").read_text()
GATE = "return tap(slot, torch.sigmoid("
Z = 'z = tap("candidate", torch.tanh(F.linear(inputs["x"], weights["candidate"]["x"])))'
VALUE = Z.removeprefix('z = tap("candidate", ')[:-1]
GATE = 'return tap(slot, torch.sigmoid(F.linear(inputs["x"], w["x"], w["b"]) + F.linear(state.h, w["h"])))'
NO_CLASS = "a class OwnCell, derived from lstm_variants.Cell, is needed"
WRONG_CELLS = {
    "no tap": (Z, f"z = {VALUE}", "its candidate gate does not go through tap('candidate', value)"),
    "not always": (GATE, f"{GATE} if slot == 'input' else w['b']", "its forget gate does not go through tap('forget'"),
    "not used": (Z, f"z = {VALUE}; tap('candidate', z)", "what tap('candidate', value) returns is not used"),
    "misspelt": ('"candidate", torch', '"candidat", torch', "tap('candidat', ...): legal are input, forget, candidate"),
    "twice": (Z, f"{Z}; z = tap('candidate', z)", "tap('candidate', ...): once a step is needed"),
    "unused": ('"b": (hidden_size,)', '"b": (hidden_size,), "q": (3,)', "step does not use the parameter input.q"),
    "shape": ("return State(h, h)", "return State(h, h.sum())", "step: c has the shape"),
    "fails": ("h = f * torch", "h = nothing * torch", "NameError: name 'nothing' is not defined (line "),
    "syntax": ("class OwnCell(Cell):", "class OwnCell(Cell:", "SyntaxError"),
    "import": ("import torch\n", "import no_such\n", "ModuleNotFoundError: No module named 'no_such' (line "),
    "no class": ("class OwnCell", "class MyCell", NO_CLASS),
    "no cell": ("class OwnCell(Cell)", "class OwnCell", NO_CLASS),
    "members": ("def step", "def stepp", "OwnCell lacks step"),
    "equations": ("return [", "return None and [", "equations: a list of Equation is needed"),
    "exit": ("import torch\n", "raise SystemExit(3)\n", "SystemExit: 3"),
}


@pytest.mark.parametrize("wrong", WRONG_CELLS)
def test_a_cell_that_is_not_one_is_refused_before_training(wrong: str, folder: Path) -> None:
    right, other, message = WRONG_CELLS[wrong]
    text = CELL.replace(right, other)
    assert text != CELL
    file = write(folder, "cells/cfn.py", text)
    line = refusal(folder, "variant=cfn")
    assert message in line
    assert str(file) in line


WRONG_TASKS = {
    "unknown key": ("depth: int", "depth: 1\nwidth: 2", "task.width: {file} has no such setting"),
    "missing key": ("depth: int", "", "task.depth: {file} needs this setting, in conf/task/own.yaml"),
    "type": ("depth: dict", "depth: 1", "{file}: the setting depth is dict; legal are int, float"),
    "two": ("pass\nclass Two(Own): pass", "", "one class derived from Task, it defines 2"),
    "loss": ("loss_kind = 'mae'", "", "{file}: loss_kind=mae: legal are cross_entropy, mse, bce, sigmoid_mse"),
    "raises": ("input_size = property(lambda self: 1 / 0)", "", "{file}: ZeroDivisionError: division by zero"),
    "missing": ("input_size = property(Task.input_size.fget)", "", "{file}: class Own lacks input_size"),
    "no sample": ("sample = Task.sample", "", "{file}: class Own lacks sample"),
    "syntax": ("class", "", "{file}: SyntaxError: "),
    "import": ("import no_such", "", "{file}: ModuleNotFoundError: No module named 'no_such'"),
}


@pytest.mark.parametrize("wrong", WRONG_TASKS)
def test_a_task_that_is_not_one_is_refused_by_its_file(wrong: str, tmp_path: Path) -> None:
    body, settings, message = WRONG_TASKS[wrong]
    file = write(tmp_path, "tasks/own.py", OWN_TASK.format(body=body))
    write(tmp_path, "conf/task/own.yaml", f"length: 4\neval_lengths: []\ntarget: each\n{settings}\n")
    line = refusal(tmp_path, "task=own")
    assert message.format(file=file) in line
    assert str(file) in line


DESCRIBED = "defaults: [lstm]\nlabel: x\ncite: y\n"
TANH = "import torch\nfrom lstm_variants.activations import Activation\n"
TANH += "ACTIVATION = Activation(torch.tanh, lambda b: b, '', '')"
BROKEN = [
    ("tasks/own.py", "", "task=own", "own.py needs its settings in"),
    ("conf/variant/x.yaml", "label: [", "variant=x", "x.yaml: while parsing"),
    ("conf/variant/x.yaml", "- 1", "variant=x", "a mapping is needed"),
    ("conf/variant/x.yaml", f"{DESCRIBED}forgt: {{}}", "variant=lstm", "variant/x.yaml: variant.forgt: unknown key"),
    ("conf/variant/x.yaml", "label: null", "variant=lstm", "variant/x.yaml: variant.label=null: a text is needed"),
    ("conf/variant/x.yaml", "cite: 2000", "variant=lstm", "variant/x.yaml: variant.cite=2000: a text is needed"),
    ("conf/variant/x.yaml", f"{DESCRIBED}aliases: [gru]", "variant=gru", "the alias gru is the name of a variant too"),
    ("conf/variant/x.yaml", f"{DESCRIBED}aliases: [NP]", "variant=gru", "the alias NP is an alias of lstm too"),
    ("conf/variants/x.yaml", "", "variant=lstm", "there is no group variants; legal are experiment, init"),
    ("activations/x.py", "", "variant=lstm", "x.py: it defines no ACTIVATION"),
    ("activations/x.py", "ACTIVATION = abs", "variant=lstm", "Activation(phi, start, text, latex) is needed"),
    ("activations/x.py", TANH, "variant=lstm", "x.py: ACTIVATION: start: phi(start(b)) = sigmoid(b) is needed"),
    ("activations/x.py", TANH[:-1] + ", native='TANH')", "variant=lstm", "native=TANH: only our own squashings"),
    ("activations/my.x.py", TANH, "variant=lstm", "my.x.py: a name without dots is needed"),
    ("inits/x.py", "RULE = RECURRENT = 3", "variant=lstm", "x.py: RULE: Rule(bias, reads) is needed"),
    ("inits/x.py", "RECURRENT = lambda size, generator: 0.0", "variant=lstm", "RECURRENT: it gives float64 ()"),
]


@pytest.mark.parametrize(("name", "text", "said", "message"), BROKEN)
def test_a_broken_file_is_one_line_that_names_it(name: str, text: str, said: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, name, text)
    (tmp_path / "cells").mkdir(exist_ok=True)
    assert message in refusal(tmp_path, said)
    assert used_extensions() in ([], [str(tmp_path)])


def test_a_file_takes_no_label_and_no_source_from_the_file_it_changes(tmp_path: Path) -> None:
    write(tmp_path, "conf/variant/keeps_more.yaml", "defaults: [lstm]\nforget: {kind: constant, value: 0.77}\n")
    write(tmp_path, "conf/variant/named.yaml", "defaults: [keeps_more]\nlabel: my cell\nsquash: identity\n")
    use_extensions(tmp_path)
    jobs = [resolve(compose(["study=null", f"variant={name}"])) for name in ("keeps_more", "named")]
    described = [(job.variant.name, job.variant.label, job.variant.cite) for job in jobs]
    assert described == [("keeps_more", "keeps_more", "no source given"), ("named", "my cell", "no source given")]
    assert [job.resolved["variant"]["label"] for job in jobs] == ["keeps_more", "my cell"]
    changed = resolve(compose(["study=null", "variant=named", "variant.forget.value=0.6"])).variant
    assert (changed.label, changed.cite) == ("named[forget.value=0.6]", "a change of named (no source given)")


def test_a_folder_with_nothing_of_ours_in_it_is_refused(tmp_path: Path) -> None:
    assert "there is none of conf, cells, tasks" in refusal(tmp_path)
    with pytest.raises(ValueError, match="is given twice"):
        use_extensions_of(["extensions=a", "extensions=b"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_such", "ModuleNotFoundError: No module named 'nothing_such'"),
        ('"""Why?"""', "it lacks LAYOUT, CAPTION, numbers, draw"),
        ("LAYOUT = CAPTION = numbers = draw = 1", "it lacks a first line"),
    ],
)
def test_a_figure_that_is_not_one_is_refused_by_its_file(text: str, message: str, tmp_path: Path) -> None:
    file = write(tmp_path, "figures/mine.py", text)
    with pytest.raises(CommandError) as caught:
        report.report(report.Options(study=[str(tmp_path)], out=str(tmp_path / "r"), extensions=[str(tmp_path)]))
    assert str(caught.value).startswith(f"{file}: {message}")


def test_the_page_shows_the_files_of_the_example_word_for_word() -> None:
    pages = {name: (ROOT / "docs" / name).read_text() for name in ("extending.md", "tasks.md")}
    for path in sorted(EXAMPLE.rglob("*.*")):
        if path.suffix in (".py", ".yaml"):
            assert any(path.read_text().strip() in text for text in pages.values()), path


def test_a_record_names_the_folders_it_was_made_with(folder: Path) -> None:
    run = experiments.run(variant="lstm", task="adding", extensions=[str(folder)], **SHORT)
    assert json.loads(json.dumps(run.record))["config"]["extensions"] == [str(folder)]
    assert make_cell(resolve(compose(["variant=cfn"])).variant.spec).slots == ("input", "forget", "candidate")


@pytest.mark.parametrize("name", ["mine", "mine.yaml", "own/conf/experiment/mine.yaml"])
def test_a_study_file_whose_folder_is_not_named_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "own/conf/experiment/mine.yaml", "# @package _global_\nseed: 3\n")
    monkeypatch.chdir(tmp_path)
    hint = "there is own/conf/experiment/mine.yaml, which experiment=mine extensions=own finds"
    with pytest.raises(ConfigError, match=rf"\Aexperiment={name}: {hint}\Z"):
        compose([f"experiment={name}"])
    assert compose(use_extensions_of(["experiment=mine", "extensions=own"])).seed == 3


def test_a_loose_study_file_is_told_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mine.yaml", "seed: 3\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"such folders as DIR/conf/experiment/mine.yaml: experiment=mine ext"):
        compose(["experiment=./mine.yaml"])
