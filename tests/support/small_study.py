"""A study of two arms that takes seconds, for the tests of everything that runs or reads a study."""

from pathlib import Path

from analysis.claims.frozen_study_file import FrozenStudy

TINY = ["model.hidden_size=4", "train.steps=4", "train.batch_size=4", "train.eval_every=2", "train.eval_size=8"]
TINY += ["record.wandb.mode=disabled", "record.weights=false", "threads=1"]
MINE = """\
protocol:
  arms: {lstm: [], gru: [variant=gru]}
  tasks: {short: [task=adding, task.length=6]}
  grid: {train.lr: [.003, .01, .03]}
  tuning_seeds: 5
  confirmation_seeds: 6
  claims:
    - {sentence: A GRU has a lower loss., source: a test, expect: lower, baseline: lstm, arms: [gru]}
"""


def write_study(folder: Path, text: str) -> str:
    """An extension folder with the experiment file `mine`; the word that uses it."""
    path = folder / "conf" / "experiment" / "mine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# @package _global_\nstudy: outputs/mine\n{text}")
    return f"extensions={folder}"


def confirmations(frozen: FrozenStudy, seeds: int = 6) -> int:
    """How many runs confirm: one per cell and seed, two where an arm's own best is another point."""
    return seeds * sum(1 + bool(cell.own) for cell in frozen.cells)
