"""Runs of wandb below ``<study>/wandb``: opened and closed in bounded time, found, forgotten, deleted."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.tracking import failures, wandb_variables

SETTINGS: dict[str, Any] = {
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "label_disable": True,
    "sagemaker_disable": True,
    "symlink": False,
    "silent": True,
    "finish_timeout": 30,
    "finish_timeout_raises": True,
    "init_timeout": 20,
    "login_timeout": 30,
}
FINGERPRINT = "record.sha256"  # beside a run: which state of its record it shows
SUPERSEDED = "superseded"  # the fingerprint, job type and tag of an aggregate that newer ones replace
_live: set[str] = set()  # ids of the runs that are open
_closing: list[threading.Thread] = []  # runs that close while others go on


def opened(arguments: Mapping[str, Any], study: Path, mode: str, entity: str | None = None) -> Any:
    """A live wandb run that takes the place of earlier ones of its id; offline if online fails; None without wandb."""
    os.environ.setdefault("WANDB_SILENT", "true")
    wandb_variables.give_a_home()
    if unused := wandb_variables.not_used(mode == "online"):
        failures.say_once("unused", f"note: wandb: not used: {', '.join(unused)}")
    logging.raiseExceptions = False  # wandb's log lies in the study: a full disk is told of by the record
    if mode == "offline":
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    for attempt in ["online", "offline"] if mode == "online" and not failures.given_up() else ["offline"]:
        try:
            forget(study, arguments["id"])
            if attempt == "online":
                wandb_variables.check_server()
            with wandb_variables.ours():
                run = _init(arguments, study, attempt, entity)
            _live.add(arguments["id"])
            return run
        except Exception as error:  # wandb raises many kinds; none may stop a run
            (failures.tell if attempt == "online" else failures.tell_nothing_made)(error, study)
            settle()
    return None


def _init(arguments: Mapping[str, Any], study: Path, mode: Any, entity: str | None) -> Any:
    import wandb

    if mode == "online":
        failures.reach(str(wandb.setup().settings.base_url))
    logging.getLogger("wandb").setLevel(logging.WARNING)  # its debug.log repeats the configuration
    run = wandb.init(
        **arguments, entity=entity, dir=str(study.resolve()), mode=mode, reinit="create_new", settings=settings()
    )
    if run.disabled:
        raise RuntimeError("nobody is logged in")
    _define_metrics(run, arguments["config"].get("record"))
    return run


def settings() -> Any:
    """SETTINGS as this version of wandb takes them: those that begin with x_ are private and may go."""
    import wandb

    return wandb.Settings(**{key: value for key, value in SETTINGS.items() if key in wandb.Settings.model_fields})


def _define_metrics(run: Any, record: Mapping[str, Any] | None) -> None:
    """Every metric is drawn against the training step; the summary keeps a metric's best value."""
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    if record is None:
        return
    task = record["task"]
    prefixes = ["eval", *(f"eval@{length}" for length in task.get("lengths", []) if length != task["length"])]
    best = dict.fromkeys([f"{prefix}/loss" for prefix in prefixes], "min")
    best |= dict.fromkeys([f"{prefix}/{task['metric']}" for prefix in prefixes], task["direction"])
    for name, summary in best.items():
        run.define_metric(name, step_metric="step", summary=summary)


def add_pictures(run: Any, step: int, pictures: Mapping[str, bytes]) -> None:
    """PNGs by name, as one more row of the history; wandb copies them into the run's folder."""
    if not pictures:
        return
    import wandb

    with contextlib.suppress(Exception), tempfile.TemporaryDirectory(prefix="gates-pictures-") as folder:
        images = {}
        for place, (name, content) in enumerate(pictures.items()):
            path = Path(folder, f"{place}.png")
            path.write_bytes(content)
            images[name] = wandb.Image(str(path))
        run.log({"step": step, **images})


def closed(run: Any, study: Path, summary: Mapping[str, Any], mark: str, exit_code: int = 0) -> None:
    """Close a wandb run, in bounded time, and keep beside it which state of its record it shows."""
    folder, online = Path(run.dir).parent, not run.offline
    _live.discard(run.id)
    with contextlib.suppress(Exception):
        run.summary.update(dict(summary))
    if online and failures.given_up():
        _finish_beside(run, folder, mark, exit_code)
        return
    try:
        _finish(run, folder, mark, exit_code)
        if online:
            _mark_if_sent(folder)
    except Exception as error:
        failures.tell(error, study)


def _finish(run: Any, folder: Path, mark: str, exit_code: int) -> None:
    """Close a run, and only then mark it: a run without its mark was cut off."""
    failure = None
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:  # a server that fails leaves the run whole on disk
        failure = error
    with contextlib.suppress(OSError):
        (folder / FINGERPRINT).write_text(mark, encoding="utf-8")
    if failure:
        raise failure


def _finish_beside(run: Any, folder: Path, mark: str, exit_code: int) -> None:
    """Close a run whose server has failed, without waiting for it."""

    def finish() -> None:
        with contextlib.suppress(Exception):
            _finish(run, folder, mark, exit_code)

    _closing.append(threading.Thread(target=finish, daemon=True))
    _closing[-1].start()


def wait() -> None:
    """Until the runs that close beside others have closed."""
    for thread in _closing:
        thread.join(SETTINGS["finish_timeout"] + 5)
    _closing.clear()


def settle() -> None:
    """End wandb's process unless it has runs in hand: it writes a run's end late, and keeps one it cannot start."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and not _live and wandb.run is None:  # a user's own script may have a run of its own
        with contextlib.suppress(Exception):
            wandb.teardown()


def _mark_if_sent(folder: Path) -> None:
    """Mark a run that has arrived as ``wandb sync`` does; RuntimeError if the server refused part of it."""
    log = (folder / "logs" / "debug-internal.log").read_text(encoding="utf-8", errors="replace")
    refused = re.search(r'"level":"ERROR.*"msg":"((?:[^"\\]|\\.)*)"', log)
    if refused:
        raise RuntimeError(refused[1])
    for file in folder.glob("*.wandb"):
        file.with_suffix(".wandb.synced").touch()


def sent(folder: Path) -> bool:
    """Whether a wandb run has arrived at a server."""
    return any(folder.glob("*.wandb.synced"))


def shown(folder: Path | None) -> str | None:
    """Which state of its record a wandb run shows, or that it is superseded; None if it was cut off."""
    path = folder and folder / FINGERPRINT
    return path.read_text(encoding="utf-8") if path and path.is_file() else None


def folders(study: Path) -> dict[str, Path]:
    """The latest folder of each wandb id."""
    return {name: path for path, name in sorted(_all(study), key=lambda one: one[0].name.removeprefix("offline-"))}


def _all(study: Path, part: str = "") -> Iterator[tuple[Path, str]]:
    """Every folder of a wandb run whose id has this part, and its id."""
    entries = os.listdir(study / "wandb") if (study / "wandb").is_dir() else []
    for entry in entries:
        if part in entry and (name := re.fullmatch(r"(?:offline-)?run-\d{8}_\d{6}-(.+)", entry)):
            yield study / "wandb" / entry, name[1]


def forget(study: Path, name: str) -> None:
    """Remove what is on disk of a wandb id and of the same run under other semantics: one run has one history.

    What tells a server that an aggregate is superseded stays.
    """
    for folder, known in _all(study, name[:-6]):
        if known[:-6] == name[:-6] and (known == name or shown(folder) != SUPERSEDED):
            shutil.rmtree(folder, ignore_errors=True)


def delete(project: str, entity: str | None, ids: Iterable[str]) -> None:
    """Remove runs from the server; one that is not there is no matter."""
    import wandb

    api = wandb.Api()
    for name in ids:
        with contextlib.suppress(ValueError, wandb.errors.CommError):
            api.run(f"{entity or api.default_entity}/{project}/{name}").delete()
