"""Nothing is made, planned or changed in an archive: one line says so, and its files stay as they are."""

from pathlib import Path

import pytest
from records import write_study
from sweeps import NO_MIRROR, QUICK, jobs

import experiments
from experiments import archive, plan, push, replicate, study
from experiments import inspect as inspection
from experiments.config.schema import ConfigError
from experiments.run import main as run_command
from experiments.store.locks import lock
from experiments.sweep.plan import Plan
from experiments.sweep.run_all import announce

WORDS = ["variant=lstm", "task=adding", *QUICK, NO_MIRROR]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    assert archive.main([f"study={write_study(tmp_path / 'mine')}", f"out={folder}"]) == 0
    return folder


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


COMMANDS = {
    "run": lambda kept: run_command([*WORDS, f"study={kept}"]),
    "sweep": lambda kept: run_command([*WORDS, "-m", "seed=0,1", f"study={kept}"]),
    "plan": lambda kept: plan.main([*WORDS, "seed=0,1", f"study={kept}"]),
    "push": lambda kept: push.main([f"study={kept}"]),
    "inspect": lambda kept: inspection.main([f"study={kept}"]),
    "study's plan": lambda kept: study.main(["experiment=forget_reset", "phase=plan", f"study={kept}"]),
    "study": lambda kept: study.main(["experiment=forget_reset", f"study={kept}"]),
    "replication": lambda kept: replicate.main(["odyssey_adding", "phase=run", f"study={kept}"]),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_makes_something_refuses_an_archive(kept, capsys, command):
    before = files(kept)
    capsys.readouterr()
    try:
        status = command(kept)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("not applicable")]
    assert f"study={kept} is an archive, which can only be read" in line
    assert files(kept) == before


def test_python_refuses_an_archive(kept):
    before = files(kept)
    settings = {"variant": "lstm", "task": "adding", "task.length": 10, "study": kept}
    for make in (lambda: experiments.run(**settings), lambda: experiments.sweep({"seed": [0, 1]}, **settings)):
        with pytest.raises(ConfigError, match="is an archive, which can only be read"):
            make()
    assert files(kept) == before


def test_nothing_is_written_below_an_archive_whatever_asks_for_it(kept):
    before = files(kept)
    (job,) = jobs(kept, variants=["lstm"], seeds=1)
    for write in (lambda: announce(Plan({}, [[job]], 1)), lambda: lock(kept, job.run_id)):
        with pytest.raises(ConfigError, match="is an archive, which can only be read"):
            write()
    assert files(kept) == before
