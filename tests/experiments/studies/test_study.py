"""Studies in two phases: composed, refused, tuned, frozen, confirmed, judged and reported, at a tiny scale."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_study import MINE, TINY, confirmations, write_study

from analysis.claims import verdicts as claims
from analysis.claims.claim import comparisons
from analysis.claims.frozen_study_file import CHOICES, FILE, Choice, FrozenCell, FrozenStudy
from analysis.common.command_line import CommandError
from analysis.records.load import load
from analysis.statistics import aggregates
from analysis.statistics.many_comparisons import seeds_needed
from experiments import study
from experiments.config.catalogue import names
from experiments.config.compose import compose
from experiments.config.extensions_option import use_extensions
from experiments.config.resolve import resolve
from experiments.config.schema import ConfigError
from experiments.studies.changed_yaml import without_new_settings
from experiments.studies.protocol import FIRST_TUNING_SEED
from experiments.studies.study import read
from experiments.studies.tuning import GridPoint, edge, edge_warnings, own_point, shared_point
from lstm_variants.gate import CONF

STUDIES = [name for name in names("experiment") if "\nprotocol:" in (CONF / "experiment" / f"{name}.yaml").read_text()]


def run(name: str, folder: Path, *words: str, phase: str = "all") -> int:
    out = folder.with_name("report")
    own = [f"experiment={name}", f"phase={phase}", "workers=1", f"out={out}", f"study={folder}"]
    return study.main([*own, *TINY, *words])


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_composes_and_could_decide_its_claims(name: str) -> None:
    assert read(name, "laptop", []) is not None
    said = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert said[1] == f"# python -m experiments.study experiment={name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_composes_at_full_scale(name: str, full: bool) -> None:
    if full or name == STUDIES[0]:
        composed = read(name, "full", [])
        assert composed is not None
        assert composed.folder == Path(f"outputs/{name}_full")


@pytest.mark.slow
def test_a_study_from_its_grid_to_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, mine = tmp_path / "outputs", write_study(tmp_path, MINE)
    assert run("mine", folder, mine, phase="plan") == 0
    assert not folder.exists()
    assert "tune: 30 runs (30 new)" in capsys.readouterr().out

    assert run("mine", folder, mine) == 0
    printed = capsys.readouterr()
    assert "A GRU has a lower loss. gru vs lstm, short: ratio of MSE" in printed.out
    assert (tmp_path / "report" / "index.html").exists()
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    records = load([folder])
    check_records(records.runs, frozen)
    (verdict,) = claims.judge(records, frozen)
    assert verdict.verdict in ("reproduced", "refuted", "undecided")

    assert run("mine", folder, mine, phase="confirm") == 0
    assert f"{confirmations(frozen)} done; to run: 0" in capsys.readouterr().err
    check_changes(folder, tmp_path, capsys)


def check_records(runs, frozen) -> None:
    tuned, confirmed = (runs[runs["phase"] == phase] for phase in ("tune", "confirm"))
    assert (len(tuned), len(confirmed)) == (30, confirmations(frozen))
    assert set(tuned["seed"]) == set(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + 5))
    assert set(confirmed["seed"]) == set(range(6))
    assert set(confirmed["arm"]) == {cell.at(choice).identity for cell in frozen.cells for choice in CHOICES}
    for cell in frozen.cells:
        assert set(cell.chosen) == {"train.lr"}
        assert [point["values"]["train.lr"] for point in cell.tuning] == [0.003, 0.01, 0.03]
        for at in (cell.at(choice) for choice in CHOICES):
            row = confirmed[confirmed["arm"] == at.identity].iloc[0]
            assert row["config.resolved.train.lr"] == at.chosen["train.lr"]
    assert len({str(cell.chosen) for cell in frozen.cells}) == 1  # one point for all arms of the task


def check_changes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a frozen study refuses, and what it still lets in."""
    before = FrozenStudy.read(folder)

    def refused(text: str, said: str, words: Sequence[str] = ()) -> None:
        assert run("mine", folder, write_study(tmp_path, text), *words, phase="confirm") == 2
        error = capsys.readouterr().err.strip()
        assert said in error
        assert len(error.splitlines()) == 1

    refused(MINE.replace("expect: lower", "expect: higher"), "protocol.claims.0.expect was changed after")
    refused(MINE.replace(".03]", ".1]"), "protocol.grid.train.lr was changed after")
    refused(MINE.replace("variant=gru", "variant=mgu"), "protocol.arms.gru was changed after")
    refused(MINE, "train.steps was changed after", ["train.steps=9"])
    assert FrozenStudy.read(folder) == before

    more = MINE.replace("gru: [variant=gru]", "gru: [variant=gru], mgu: [variant=mgu]")
    assert run("mine", folder, write_study(tmp_path, more), phase="tune") == 0
    assert "30 done; to run: 15" in capsys.readouterr().err.replace("15 new, ", "")
    more = more.replace("confirmation_seeds: 6", "confirmation_seeds: 7")
    assert run("mine", folder, write_study(tmp_path, more), phase="confirm") == 0
    after = FrozenStudy.read(folder)
    assert before is not None
    assert after is not None
    assert after.cells[:2] == before.cells
    assert after.cells[2].arm == "mgu"
    assert after.seeds == list(range(6))
    runs = load([folder]).runs
    assert (runs["phase"] == "confirm").sum() == confirmations(after, 7)
    capsys.readouterr()

    changed = json.loads((folder / FILE).read_text())
    changed["claims"][0]["expect"] = "higher"
    (folder / FILE).write_text(json.dumps(changed))
    refused(more, "claims is not what was written")


SMALLER = {  # what makes a study tiny beside TINY
    "forget_bias_start": ["train.steps=0"],
    "gate_vector": ["model.hidden_size=12"],
    "learning_rate": ["protocol.factors={train.lr:[.01,.1],model.hidden_size:[2,3],train.batch_size:[2,4]}"],
    "learning_rate_search": [
        "protocol.search={model.hidden_size:{low:2,high:3},train.batch_size:{low:2,high:3}}",
        "protocol.claims=[{sentence: s, source: t, metric: share, scale: difference, expect: higher, knob: train.lr}]",
    ],
}


LEFT_OUT = {  # tasks of a study all of whose runs are looked into
    "two_way_knockout": ("adding T=50", "continual adding", "temporal order"),
}
LONG = ("gate_feeds", "gate_feeds_all", "gate_importance", "one_gate", "squashings")  # of the same kinds as the others
LONG += ("two_way_knockout",)  # test_inside_claims.py has it, with short tasks


def fewer(name: str, folder: Path) -> str:
    """A copy of a study, `fewer`, of fewer tasks and seeds, as few as can decide it; the word that makes it known."""
    composed = read(name, "laptop", [])
    assert composed is not None
    protocol, left_out = composed.protocol, LEFT_OUT.get(name, ())
    seeds = {}
    if not protocol.search:
        tasks = [task for task in protocol.tasks if task not in left_out]
        seeds = {"confirmation_seeds": seeds_needed(len(comparisons(protocol.claims, tasks)), claims.ALPHA)}
        seeds |= {"tuning_seeds": protocol.fewest[0]} if protocol.grid else {}
    dropped = (*(f"  {key}:" for key in (*seeds, "extension")), *(f"    {task}:" for task in left_out))
    lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    lines = [line for line in lines if not line.startswith(dropped)]
    at = lines.index("protocol:") + 1
    lines[at:at] = [f"  {key}: {count}" for key, count in seeds.items()]
    path = folder / "own" / "conf" / "experiment" / "fewer.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines))
    return f"extensions={folder / 'own'}"


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_ours_at_a_tiny_scale(
    name: str, tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in LONG and not full:
        pytest.skip("a study of several hundred runs: --slow")
    if not full:
        monkeypatch.setattr(aggregates, "TREES", 8)  # of a forest whose shares nobody looks at here
    asked = [f"experiment={name}"] if full else ["experiment=fewer", fewer(name, tmp_path)]
    composed = read(name, "laptop", [])
    assert composed is not None
    words = ["protocol.grid={train.lr:[.01]}"] if composed.protocol.grid and name != "saturation" else []
    factors = {*composed.protocol.factors, *composed.protocol.search}
    tiny = [word for word in (*TINY, *SMALLER.get(name, [])) if word.partition("=")[0] not in factors]
    words += {word.partition("=")[0]: word for word in tiny}.values()
    for phase in ("tune", "confirm"):
        assert study.main([*asked, f"phase={phase}", "workers=1", f"study={tmp_path / 'outputs'}", *words]) == 0
    frozen = FrozenStudy.read(tmp_path / "outputs")
    assert frozen is not None
    verdicts = claims.judge(load([tmp_path / "outputs"]), frozen)
    assert {verdict.verdict for verdict in verdicts} <= {"undecided", "reproduced", "refuted"}
    if name == "saturation":
        assert "unsolved at 4 steps" in verdicts[0].note
        assert "edge of the grid" in verdicts[0].note


SHARES = """\
task: {length: 6}
protocol:
  factors: {train.lr: [.001, .1], model.hidden_size: [2, 4]}
  confirmation_seeds: 6
  claims:
    - sentence: The learning rate explains most.
      source: a test
      metric: share
      scale: difference
      expect: higher
      margin: .1
      knob: train.lr
"""


def test_shares_of_variance_over_a_grid_of_factors(tmp_path: Path) -> None:
    folder, mine = tmp_path / "outputs", write_study(tmp_path, SHARES)
    words = [word for word in TINY if "hidden_size" not in word]
    assert study.main(["experiment=mine", "phase=confirm", "workers=1", f"study={folder}", mine, *words]) == 0
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    (verdict,) = claims.judge(load([folder]), frozen)
    assert verdict.unit == "share of variance"
    assert 0 <= verdict.low <= verdict.estimate <= verdict.high <= 1


def test_a_declared_extension_runs_only_if_something_is_undecided(tmp_path: Path) -> None:
    text = MINE.replace("confirmation_seeds: 6", "confirmation_seeds: 7\n  extension: 9").replace(
        "lower,", "same, margin: 1.001,"
    )
    folder, mine = tmp_path / "outputs", write_study(tmp_path, text)
    run("mine", folder, mine, phase="tune")
    assert run("mine", folder, mine, phase="confirm") == 0
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    assert frozen.extension == [7, 8]
    runs = load([folder]).runs
    assert sorted(set(runs[runs["phase"] == "confirm"]["seed"])) == list(range(9))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("confirmation_seeds: 6", "confirmation_seeds: 5", "protocol.confirmation_seeds=5: with 1 comparisons"),
        ("confirmation_seeds: 6", "extension: 12", "protocol.extension=12: more than the 12"),
        ("confirmation_seeds: 6", "confirmation_seeds: 5\n  extension: 6", "extension=6: with 1 comparisons at 0.025"),
        (
            "expect: lower",
            "expect: same, metric: loss, margin: 4",
            "protocol.claims.reason=null: a margin wider than 2",
        ),
        ("tuning_seeds: 5", "tuning_seeds: 4", "protocol.tuning_seeds=4: 5 or more"),
        ("expect: lower", "expect: lower, metric: steps", "protocol.tuning_seeds=5: 8 or more"),
        ("expect: lower", "expect: less", "protocol.claims.expect=less: legal are higher, lower, same"),
        ("expect: lower", "expect: lower, metric: speed", "protocol.claims.metric=speed: legal are score"),
        ("expect: lower", "expect: lower, metric: solved", "metric=solved takes scale=difference"),
        ("expect: lower", "expect: same, margin: .5", "protocol.claims.margin=0.5: a factor above 1"),
        ("arms: [gru]}", "arms: [mgu]}", "protocol.claims.arms=mgu: legal are lstm, gru"),
        ("arms: [gru]}", "arms: [gru], tasks: [long]}", "protocol.claims.tasks=long: legal are short"),
        ("arms: [gru]}", "arms: []}", "an arm to compare"),
        ("expect: lower", "expect: lower, metric: memory", "metric=memory is measured on untrained networks: 0"),
        ("confirmation_seeds", "search: {train.clip: {low: 1, high: 2}}\n  confirmation_seeds", "exclude each other"),
        ("{train.lr", "{train.rate", "train.rate"),
        ("variant=gru", "variant=no_forget_gate, init=chrono", "gru on short makes no sense"),
        ("  grid", "  grids", "protocol.Key 'grids' not in 'Protocol'"),
        ("variant=gru", "variant=gruu", "variant=gruu: did you mean gru"),
        ("variant=gru", "variant=gru, train.lr=.1", "train.lr=... is said in protocol.arms.gru too"),
        ("variant=gru", "variant=gru, variant=mgu", "variant=mgu is said in protocol.arms.gru too"),
        ("variant=gru", "variant=gru, +variant.new=1", "+variant.new=1: runs of a study differ in"),
        ("variant=gru", "variant=gru, seed=3", "protocol.arms.gru: seed=3: runs of a study differ in variant"),
        ("variant=gru", "variant=gru, study=elsewhere", "study=elsewhere: runs of a study differ in"),
        ("variant=gru", "experiment=demo", "experiment=demo: runs of a study differ in"),
        ("task.length=6", "task.length=6, phase=tune", "protocol.tasks.short: phase=tune: runs of a study"),
        ("{train.lr", "{seed: [1, 2], train.lr", "protocol.grid: seed=[1, 2]: runs of a study differ in"),
        ("[.003, .01, .03]", "[]", "train.lr=[]: no values"),
        ("variant=gru", "variant=lstm", "lstm and gru are the same runs on short"),
        ("variant=gru", "variant=gru, variant.label=mine", "variant.label=mine: belongs to a file"),
    ],
)
def test_a_study_that_cannot_decide_is_refused_when_composed(tmp_path: Path, old: str, new: str, said: str) -> None:
    words = [write_study(tmp_path, MINE.replace(old, new)), f"study={tmp_path / 'outputs'}"]
    with pytest.raises((ConfigError, CommandError), match=r".") as caught:
        study.run(study.Options(experiment="mine", phase=study.Phase.plan), words)
    assert said in str(caught.value)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("knob: train.lr", "knob: interactions", "protocol.claims.knob=interactions: over a random search"),
        ("expect: higher", "expect: same", "protocol.claims.expect=same: a share over a random search"),
        ("  claims:", "  extension: 300\n  claims:", "protocol.extension=300: a random search has search_runs"),
        ("  claims:", "  confirmation_seeds: 9\n  claims:", "protocol.confirmation_seeds=9: a random search has"),
        ("  search: {", "  arms: {a: [], b: []}\n  #", "protocol.claims.metric=share: factors or a search"),
    ],
)
def test_what_a_random_search_cannot_decide_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = SHARES.replace("  confirmation_seeds: 6\n", "")
    text = text.replace(
        text.splitlines()[2], "  search: {train.lr: {low: .01, high: 1}, train.clip: {low: 1, high: 2}}"
    )
    words = [write_study(tmp_path, text.replace(old, new)), f"study={tmp_path / 'outputs'}"]
    with pytest.raises(CommandError, match=r".") as caught:
        study.run(study.Options(experiment="mine", phase=study.Phase.plan), words)
    assert said in str(caught.value)


def test_a_study_is_refused_as_a_plain_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"python -m experiments\.study"):
        resolve(compose(["experiment=forget_reset"]))


def test_one_study_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["experiment=forget_reset,forget_bias"]) == 2
    assert "one study at a time" in capsys.readouterr().err
    assert study.main(["experiment=demo", "phase=tune"]) == 2
    assert "plain sweep" in capsys.readouterr().err


@pytest.mark.parametrize(
    "word",
    [
        "variant=mgu",
        "variant=lstm,gru",
        "train.lr=.1",
        "seed=3",
        "task=copy",
        "+x=1",
        "hydra.run.dir=x",
        "study=",
        "protocol=null",
        "protocol.extension=12",
        "protocol={}",
        "hydra/sweeper=basic",
        "hydra.sweeper.params={seed: 1}",
        "hydra.launcher.dry_run=true",
        "hydra.launcher.workers=2",
    ],
)
def test_a_word_that_a_study_would_not_obey_is_refused(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "outputs"
    assert run("mine", folder, write_study(tmp_path, MINE), word, phase="plan") == 2
    error = capsys.readouterr().err
    assert word.partition("=")[0] in error
    assert len(error.splitlines()) == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["workers=0"], "hydra.launcher.workers=0: a whole number"),
        (["hydra.launcher.stack=0"], "hydra.launcher.stack=0: a whole number"),
        (["hydra.launcher.wrkers=2"], "did you mean hydra.launcher.workers"),
        (["hydra/launcher=basic"], "hydra/launcher=basic: legal are slurm, stacked"),
    ],
)
def test_a_launcher_is_refused_by_name(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["experiment=forget_reset", "phase=plan", *words]) == 2
    assert said in capsys.readouterr().err


def points(*losses: float, steps: Sequence[float] = ()) -> list[GridPoint]:
    """The points of a grid at which an arm has these losses."""
    return [GridPoint(*point) for point in zip(losses, steps or [1.0] * len(losses), strict=True)]


def test_arms_share_the_point_that_ranks_best_and_each_has_its_own_best() -> None:
    arms = [points(1.0, 0.5, 2.0), points(0.9, 3.0, 2.0), points(9.0, 7.0, 8.0)]
    assert shared_point(arms) == 1  # mean ranks 2, 5/3, 7/3
    assert [own_point(arm, 1) for arm in arms] == [1, 0, 1]


def test_ties_in_tuning_are_broken_by_steps_to_solve() -> None:
    saturated = points(0.0, 0.0, 0.0, steps=[5.0, 4.0, 6.0])
    assert shared_point([saturated, saturated]) == 1
    assert own_point(saturated, 0) == 1
    alike = points(0.0, 0.0, 0.0)
    assert shared_point([alike, alike]) == 0
    assert own_point(alike, 2) == 2  # where nothing tells them apart an arm stays at the shared one
    crossed = [points(1.0, 2.0, steps=[6.0, 4.0]), points(2.0, 1.0, steps=[6.0, 4.0])]
    assert shared_point(crossed) == 1  # they rank alike


def test_a_value_at_the_edge_of_the_grid() -> None:
    assert edge({"train.lr": 0.1}, {"train.lr": [0.01, 0.1]}) == ["train.lr"]
    assert edge({"train.lr": 0.1, "init.value": 3}, {"train.lr": [0.01, 0.1, 1], "init.value": [3]}) == []
    low, middle = ({"train.lr": value} for value in (0.01, 0.1))
    arms = [
        FrozenCell(
            task="t", arm="a", identity="a1", chosen=middle, own=Choice(identity="a0", chosen=low, edge=["train.lr"])
        ),
        FrozenCell(task="t", arm="b", identity="b1", chosen=middle),
    ]
    assert edge_warnings(arms) == ["a, t: its best train.lr=0.01 is at the edge of the grid"]
    arms = [FrozenCell(task="t", arm=arm, identity=arm, chosen=low, edge=["train.lr"]) for arm in "ab"]
    assert edge_warnings(arms)[0] == "t: the shared train.lr=0.01 is at the edge of the grid"
    assert len(edge_warnings(arms)) == 3


def test_tuning_takes_as_many_seeds_as_the_confirmation_unless_given(tmp_path: Path) -> None:
    mine = write_study(tmp_path, MINE.replace("  tuning_seeds: 5\n", ""))
    use_extensions([mine.partition("=")[2]])
    composed = read("mine", "laptop", [])
    assert composed is not None
    assert len(composed.protocol.seeds("tune")) == 6


def frozen_again(folder: Path, text: str, *words: str) -> FrozenStudy:
    """The study frozen again as another text says it, confirmed."""
    assert run("mine", folder, write_study(folder.parent, text), *words, "refreeze=true", phase="tune") == 0
    assert run("mine", folder, write_study(folder.parent, text), *words, "refreeze=true", phase="confirm") == 0
    frozen = FrozenStudy.read(folder)
    assert frozen is not None
    return frozen


@pytest.mark.slow
def test_a_study_frozen_again_after_a_look_gets_fresh_seeds_and_says_what_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "outputs"
    first = frozen_again(folder, MINE)
    assert (first.seeds, first.predecessor) == (list(range(6)), None)
    assert frozen_again(folder, MINE) == first  # nothing was changed, so there is no other look to be had
    kept = (folder / FILE).read_bytes()

    wider = MINE.replace(".03]", ".03, .1]").replace("expect: lower", "expect: lower, margin: 1.5")
    second = frozen_again(folder, wider, "train.steps=3")
    assert second.seeds == list(range(6, 12))
    assert second.predecessor is not None
    assert second.predecessor.hash == first.hash
    assert (folder / str(second.predecessor.file)).read_bytes() == kept
    assert second.predecessor.used == list(range(6))
    assert second.predecessor.changed == [
        "protocol.claims.0.margin: null -> 1.5",
        "protocol.grid.train.lr: [0.003, 0.01, 0.03] -> [0.003, 0.01, 0.03, 0.1]",
        "train.steps: 4 -> 3",
    ]
    confirmed = load([folder]).runs.query("phase == 'confirm' and `config.resolved.train.steps` == 3")
    assert set(confirmed["seed"]) == set(range(6, 12))
    assert {verdict.seeds for verdict in claims.judge(load([folder]), second)} == {tuple(range(6, 12))}
    shown = second.current(load([folder]).runs)
    assert set(shown[shown["phase"] == "confirm"]["seed"]) == set(range(6, 12))
    assert (shown["phase"] == "tune").sum() == (load([folder]).runs["phase"] == "tune").sum()
    assert run("mine", folder, write_study(tmp_path, wider), "train.steps=3", phase="report") == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"frozen again as {second.hash} after {first.hash}" in text
    assert "train.steps: 4 " in text

    third = frozen_again(folder, wider.replace("expect: lower", "expect: higher"), "train.steps=3")
    assert third.seeds == list(range(12, 18))
    assert third.used == list(range(12))
    assert len(list(folder.glob("study-*.json"))) == 2
    capsys.readouterr()
    (folder / str(third.predecessor and third.predecessor.file)).replace(folder / FILE)  # the earlier one put back
    shutil.copy(folder / FILE, folder / f"study-{second.hash}.json")
    assert run("mine", folder, write_study(tmp_path, wider), "train.steps=3", phase="confirm") == 2
    assert "is an earlier freezing" in capsys.readouterr().err


@pytest.mark.slow
def test_seeds_are_fresh_after_a_look_whatever_became_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    frozen_again(folder, MINE)
    (folder / FILE).unlink()
    gone = frozen_again(folder, MINE)
    assert gone.seeds == list(range(6, 12))
    assert gone.predecessor is not None
    assert gone.predecessor.changed == ["study.json was removed"]
    (folder / FILE).write_text('{"schema": 1, "seeds": [0, 1], "hash": "abc"}')
    older = frozen_again(folder, MINE)
    assert older.seeds == list(range(12, 18))
    assert older.predecessor is not None
    assert older.predecessor.changed == ["study.json could not be used"]
    assert (folder / str(older.predecessor.file)).read_text() == '{"schema": 1, "seeds": [0, 1], "hash": "abc"}'


def test_a_setting_that_has_come_since_changes_no_frozen_study_unless_it_is_used() -> None:
    now = {"task.name": "adding", "task.length": 50, "task.values": "0..1", "train.lr": 0.01, "variant.squash": "tanh"}
    then = {"task.name": "adding", "task.length": 50, "train.lr": 0.01}
    assert without_new_settings(now, then) == then
    assert without_new_settings(now | {"task.values": "-1..1"}, then) == then | {"task.values": "-1..1"}
    assert without_new_settings(now | {"variant.squash": "relu"}, then) == then | {"variant.squash": "relu"}
    assert without_new_settings(now, then | {"task.values": "-1..1"})["task.values"] == "0..1"


def test_a_study_that_nobody_has_looked_at_may_keep_its_seeds(tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    first = frozen_again(folder, MINE)
    for record in folder.glob("*/run.json"):
        if json.loads(record.read_text())["phase"] == "confirm":
            shutil.rmtree(record.parent)
    second = frozen_again(folder, MINE.replace("expect: lower", "expect: higher"))
    assert second.seeds == first.seeds
    assert second.predecessor is not None
    assert second.predecessor.used == []
    assert "nothing had been seen" in second.history


def test_a_missing_tuning_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, mine = tmp_path / "outputs", write_study(tmp_path, MINE)
    assert run("mine", folder, mine, phase="tune") == 0
    shutil.rmtree(next(folder.glob("adding-gru-s1000003-*")))
    assert run("mine", folder, mine, phase="confirm") == 2
    assert "4 of 5 tuning runs: phase=tune" in capsys.readouterr().err


def test_a_plan_says_how_long_what_is_slow_and_what_the_seeds_cannot_decide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = MINE.replace("gru: [variant=gru]", "gru: [variant=gru], own: [variant=cfn]")
    mine, extension = write_study(tmp_path, more), Path(__file__).parents[3] / "docs" / "extension"
    assert run("mine", tmp_path / "outputs", f"{mine},{extension}", phase="plan") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "heat map: 6 seeds cannot decide 2 cells, 7 can" in lines
    timed = r": (up to )?\d+ runs (\(\d+ new\)|more, where .*), about [\d.]+ (s|min|h) on 1 workers and [\d.]+ MB"
    costs = [line for line in lines if re.fullmatch(rf"(tune|confirm){timed}", line)]
    assert [line.partition(" runs")[0] for line in costs] == ["tune: 45", "confirm: 18", "confirm: up to 18"]
    assert lines.count("  reference engine for cfn: the cell cfn has a step of its own") == 3
    assert not any("floating" in line for line in lines)
