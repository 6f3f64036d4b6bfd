"""The command that runs published tables again, at a tiny scale, and every table of ours composed."""

from pathlib import Path

import pytest
from small_study import TINY
from task_list import WRITERS

from analysis.claims.frozen_study_file import FrozenStudy
from experiments import replicate
from experiments.config.compose import compose
from experiments.studies.replication import listed, read, study_of
from experiments.studies.study import Study

MINE = """\
paper: somebody 2020; a paper
table: table 1
quoted: the losses
metric: loss
margin: 2
reason: a test
seeds: 3
settings:
  model: {hidden_size: 4}
  train: {steps: 4, batch_size: 4, eval_every: 2, eval_size: 8}
tasks: {short: [task=adding, task.length=6]}
arms: {LSTM: [], GRU: [variant=gru]}
cells:
  - {arm: LSTM, trials: [.1, .2]}
  - {arm: GRU, value: .1}
claims:
  - {sentence: The order., source: s, metric: loss, expect: lower, baseline: LSTM, arms: [GRU]}
"""
WORDS = ["record.wandb.mode=disabled", "record.weights=false", "threads=1"]


def write(folder: Path, text: str = MINE) -> str:
    path = folder / "conf" / "replication" / "mine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"extensions={folder}"


def files(name: str, tmp_path: Path) -> list[str]:
    """What only a user can give."""
    needs = read(name).needs
    return [f"task.path={WRITERS['polyphonic'](tmp_path)}"] if needs else []


def composed(name: str, tmp_path: Path) -> Study:
    compose([])
    return study_of(name, files(name, tmp_path))


@pytest.mark.parametrize("name", listed())
def test_every_replication_of_ours_composes(name: str, tmp_path: Path) -> None:
    table, study = read(name), composed(name, tmp_path)
    assert len(study.protocol.seeds("confirm")) == table.seeds
    for cell in study.cells:
        (job,) = cell.jobs([0], "confirm", {})
        assert job.study == Path(f"outputs/{name}")
    arms = set() if name == "hochreiter1997" else set(table.arms)  # the former is not comparable
    assert {cell.arm for cell in study.cells} == arms


def test_the_counting_protocol_is_that_of_the_paper(tmp_path: Path) -> None:
    job = composed("suzgun2019", tmp_path).cells[1].jobs([0], "confirm", {})[0]
    task, train = job.resolved["task"], job.train
    assert (task["letters"], task["length"], task["alpha"], task["beta"], task["strings"]) == (3, 50, 0.25, 0.25, 1000)
    assert (task["start"], task["squared"], job.task.loss_kind, job.task.metric) == (False, True, "sigmoid_mse", "e1")
    assert (train.steps, train.batch_size, train.optimizer, train.lr, train.clip) == (150_000, 1, "rmsprop", 0.01, None)


def test_the_music_protocol_is_that_of_the_paper(tmp_path: Path) -> None:
    for cell in composed("jsb", tmp_path).cells:
        (job,) = cell.jobs([0], "confirm", {})
        assert (job.hidden_size, job.model.layers, job.model.dropout, job.train.clip) == (200, 2, 0.2, 1)


def test_the_variants_of_the_odyssey_have_the_peepholes_of_theirs(tmp_path: Path) -> None:
    arms = {cell.arm: cell.jobs([0], "confirm", {})[0] for cell in composed("odyssey_adding", tmp_path).cells}
    assert arms["V"].variant.name == "peephole"
    assert not any(arms["NP"].variant.spec[gate].peephole for gate in ("input", "forget", "output"))
    spec = arms["CIFG"].variant.spec
    assert (spec["forget"].kind, spec["input"].peephole, spec["output"].peephole) == ("complement", True, True)
    assert arms["NIG"].task.chance == pytest.approx(2 / 3)


def test_a_table_from_its_plan_to_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, mine = tmp_path / "outputs", write(tmp_path)
    words = ["mine", mine, f"study={folder}", f"out={tmp_path / 'report'}", "workers=1", *WORDS]
    assert replicate.main([*words, "phase=plan"]) == 0
    assert not folder.exists()
    assert "6 runs, about" in capsys.readouterr().out
    assert replicate.main(words) == 0
    printed = capsys.readouterr().out
    assert "6 finished" in printed
    assert "weak: one published value" in printed
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    assert frozen.replication is not None
    assert frozen.replication["margin"] == 2
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Published numbers, run again" in page
    assert (tmp_path / "report" / "tables" / "published.csv").read_text().count("\n") == 4
    assert replicate.main([*words, "phase=run"]) == 0
    assert "finished" not in capsys.readouterr().out.split("published")[0]

    assert replicate.main([*words, "phase=run", "seeds=4"]) == 2
    assert f"seeds=4: {folder} was frozen with 3, which stands" in capsys.readouterr().err

    write(tmp_path, MINE.replace("margin: 2", "margin: 3"))
    assert replicate.main([*words, "phase=run"]) == 2
    assert "margin was changed after" in capsys.readouterr().err
    write(tmp_path, MINE.replace("a paper", "a better known paper"))  # prose decides nothing
    assert replicate.main([*words, "phase=run"]) == 0


def test_words_that_the_paper_does_not_have_need_a_folder_and_leave_nothing_to_conclude(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = write(tmp_path)
    assert replicate.main(["mine", mine, "train.steps=2", *WORDS]) == 2
    assert "train.steps=2: is not what mine says; study=FOLDER" in capsys.readouterr().err
    assert replicate.main(["mine", mine, "seeds=2", *WORDS]) == 2
    assert "seeds=2: is not what mine says; study=FOLDER" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()
    assert (
        replicate.main(["mine", mine, "train.steps=2", "study=other", "phase=run", "seeds=2", "workers=1", *WORDS]) == 0
    )
    printed = capsys.readouterr().out
    assert "train.steps=2 (asked for on the command line)" in printed
    assert printed.count("not comparable") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "replication=nothing: "),
        (["seeds=3"], "seeds=: of which replication? there is "),
        (["train.steps=3"], "train.steps=3: of which replication? there is "),
        (["jsb"], "task.path=... is missing: jsb needs JSB_Chorales"),
        (["jsb", "tallec2018"], "jsb tallec2018: one replication at a time"),
        (["odyssey_adding", "seeds=0", "study=other"], "seeds=0: "),
        (["odyssey_adding", "variant=gru", "study=other"], "variant=gru: the study's own arms"),
        (["odyssey_adding", "fase=plan"], "fase: "),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert replicate.main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_cannot_be_compared_is_listed_and_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert replicate.main(["hochreiter1997"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("not comparable") == 4
    assert "memory cell blocks without forget gates" in printed


def test_music_of_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["jsb", *files("jsb", tmp_path), f"study={tmp_path / 'jsb'}", "seeds=2", "workers=1", "phase=run"]
    assert replicate.main([*words, *TINY]) == 0
    printed = capsys.readouterr().out
    assert "6 finished" in printed
    assert "8.45" in printed


def test_the_list_says_what_there_is_and_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(replicate, "listed", lambda: ["mine", "jsb", "hochreiter1997"])
    mine = write(tmp_path)
    assert replicate.main([mine]) == 0
    before = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[2:]}
    assert "6 runs, about" in before["mine"]
    assert before["mine"].endswith("not run")
    assert "needs task.path=..." in before["jsb"]
    assert "4, 0 comparable" in before["hochreiter1997"]
    assert replicate.main(["mine", mine, "phase=run", "workers=1", *WORDS]) == 0
    capsys.readouterr()
    assert replicate.main([mine]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mine")]
    assert "6 runs, done" in line
    assert "inconclusive" in line
    for run in (tmp_path / "outputs" / "mine").glob("*/run.json"):
        run.unlink()
    assert replicate.main([mine]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mine")]
    assert "no readable run" in line or "no run" in line
