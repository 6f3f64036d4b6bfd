"""A published table as a study: the arms and tasks of its file, on as many seeds, with nothing to tune."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.claims.claim import comparisons
from analysis.replications.published import Deviation, Replication, replication
from experiments.config import python_values, words
from experiments.config.catalogue import config_file, names
from experiments.config.schema import ConfigError, refuse
from experiments.studies.cells import StudyCell, key_of
from experiments.studies.protocol import FIRST_TUNING_SEED, Protocol
from experiments.studies.protocol_checks import check_differences, check_overrides
from experiments.studies.study import Study, cells_of

GROUP = "replication"
ASKED = "asked for on the command line"
ASIDE = ("study", "engine", "device", "threads", "record", "extensions", "retry", "hydra")  # that change no number


def listed() -> list[str]:
    """The names of all replications, those of the user's own folders too."""
    return names(GROUP)


def read(name: str) -> Replication:
    """The published table of a file.

    Raises:
        ConfigError: naming the file, the key, what came and what is legal.
    """
    content = config_file(GROUP, name)
    try:
        return replication(content)
    except ValueError as error:
        raise ConfigError(f"conf/{GROUP}/{name}.yaml: {error}") from None


def study_of(name: str, overrides: Sequence[str], seeds: int | None = None) -> Study:
    """The study that runs a table again, checked.

    Settings of the command line that the paper's protocol does not have, or fewer seeds, need a folder of their own,
    and whatever changes a number makes every cell incomparable.

    Raises:
        ConfigError: naming the key, the value received and what is legal.
    """
    table = read(name)
    protocol = Protocol(claims=[], arms=table.arms, tasks=table.tasks, confirmation_seeds=_trials(table, seeds))
    check_differences(protocol)
    check_overrides(protocol, overrides)
    changed = [word for word in overrides if _changes(word, table)]
    elsewhere = [*changed, *([f"seeds={seeds}"] if seeds not in (None, table.seeds) else [])]
    given = next((word.partition("=")[2] for word in overrides if key_of(word) == "study"), "")
    matters = [Deviation(what=word, reason=ASKED, matters=True) for word in changed]
    table = table.model_copy(update={"deviations": [*table.deviations, *matters]})
    folder = given or f"outputs/{name}"
    runnable = not any(d.matters and d.reason != ASKED and not d.cells for d in table.deviations)
    cells, skipped = _cells(table, protocol, name, folder, overrides) if runnable else ([], [])
    if elsewhere and not given:
        raise ConfigError(f"{elsewhere[0]}: is not what {name} says; study=FOLDER keeps such runs apart from its own")
    if skipped:
        raise ConfigError(f"conf/{GROUP}/{name}.yaml: not applicable: {skipped[0]}")
    return Study(name, "laptop", Path(folder), protocol, cells, [], table)


def _trials(table: Replication, seeds: int | None) -> int:
    count = table.seeds if seeds is None else seeds
    if not 1 <= count < FIRST_TUNING_SEED:
        raise refuse("seeds", count, f"1 to {FIRST_TUNING_SEED - 1} is needed")
    return count


def _changes(word: str, table: Replication) -> bool:
    """Whether a word may change a number of the runs, against what the table's protocol says."""
    key = key_of(word)
    return key not in table.needs and key.split(".")[0].split("/")[0] not in ASIDE


def _cells(
    table: Replication, protocol: Protocol, name: str, folder: str, overrides: Sequence[str]
) -> tuple[list[StudyCell], list[str]]:
    """The cells that the table or a claim is about."""
    given = {key_of(word) for word in overrides}
    if lacking := next((key for key in table.needs if key not in given), None):
        raise ConfigError(f"{lacking}=... is missing: {name} needs {table.needs[lacking]}")
    settings = python_values.words({**table.settings, "study": folder}.items())
    cells, skipped = cells_of(protocol, settings, [words.readable(word) for word in overrides])
    wanted = {(cell.task, cell.arm) for cell in table.cells if not _left_out(table, table.name(cell))}
    for one in comparisons(table.claims, list(table.tasks)):
        places = filter(None, (one.task, one.claim.against))
        wanted |= {(task, arm) for task in places for arm in (one.arm, one.claim.baseline)}
    return [cell for cell in cells if (cell.task, cell.arm) in wanted], skipped


def _left_out(table: Replication, name: str) -> bool:
    """Whether a cell is not run, since the file itself says that it cannot be compared."""
    return any(d.matters and d.reason != ASKED and name in d.cells for d in table.deviations)
