"""The wandb mirror of a run record: offline unless asked otherwise, never in the way of a run.

Every run, stacked ones too, is one live wandb run below ``<study>/wandb``. Its config is the resolved configuration,
with ``gates`` (booleans that panels can split on), ``parameters`` and ``record`` (the rest of run.json); its history is
metrics.csv, its summary the final numbers. So the record can be had back from wandb (analysis/wandb_source.py).

A server that cannot be reached, dies or answers errors costs one warning a sweep; what follows is written offline, and
``wandb sync --include-online <study>/wandb`` sends whatever has not arrived: a run that has is marked as ``wandb sync``
marks it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.configs import Job, compose, resolve
from experiments.identity import slug

QUIET: dict[str, Any] = {
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_save_requirements": False,
    "console": "off",
    "disable_git": True,
    "silent": True,
    "finish_timeout": 30,
    "finish_timeout_raises": True,
    "init_timeout": 20,
    "login_timeout": 30,
}
STATE = "GATES_WANDB_STATE"  # a folder that the processes of one sweep share
LONGEST = 128  # letters of a name, group or id; a tag may have 64
TOKEN = ".wandb-token"
FINGERPRINT = "record.sha256"
SLOTS = ("input", "forget", "output", "reset")
_live: set[str] = set()  # ids of the runs that are open
_closing: list[threading.Thread] = []  # runs that close while others go on
CLOSING = ("status", "error", "results", "timing")  # of run.json, known when the run ends


def resolve_mode(mode: str) -> str:
    """``auto`` is the environment's WANDB_MODE if set, else offline; anything else is itself."""
    return os.environ.get("WANDB_MODE", "offline") if mode == "auto" else mode


@contextlib.contextmanager
def sweep() -> Iterator[None]:
    """While the runs of one sweep, in whatever processes, are mirrored: a server that fails is warned of once."""
    with tempfile.TemporaryDirectory(prefix="gates-wandb-") as folder:
        before = os.environ.get(STATE)
        os.environ[STATE] = folder
        try:
            yield
        finally:
            for thread in _closing:
                thread.join(QUIET["finish_timeout"] + 5)
            _closing.clear()
            os.environ.pop(STATE)
            if before is not None:
                os.environ[STATE] = before


class Mirror:
    """One wandb run beside one record. Whatever goes wrong with wandb, the run goes on and its record is whole."""

    def __init__(self, job: Job, content: Mapping[str, Any]) -> None:
        self.run: Any = None
        self.study, self.columns = job.study, list[str]()
        mode = resolve_mode(job.record.wandb.mode)
        if mode != "disabled" and job.study is not None:
            self.run = opened(described(content, job.study), job.study, mode, job.record.wandb.entity)

    def log(self, row: Mapping[str, Any]) -> None:
        """One evaluation."""
        self.columns = self.columns or list(row)
        if self.run is not None:
            with contextlib.suppress(Exception):
                self.run.log({key: value for key, value in row.items() if value is not None})

    def finish(self, content: Mapping[str, Any]) -> None:
        """Final numbers to the summary, then close."""
        if self.run is not None and self.study is not None:
            mark = fingerprint(self.study / content["run_id"])
            ok = content["status"] in ("finished", "diverged")
            closed(self.run, self.study, final_numbers(content, self.columns), mark, 0 if ok else 1)


# What wandb is told of a record


def described(content: Mapping[str, Any], study: Path) -> dict[str, Any]:
    """wandb.init's words for a record."""
    task, variant = content["task"], content["variant"]
    return {
        "project": project(study),
        "id": run_id(content, study),
        "name": f"{task['name']}/{variant}/s{content['seed']}"[:LONGEST],
        "group": group(content),
        "job_type": content["phase"] or "train",
        "tags": tags(content),
        "config": configuration(content),
    }


def project(study: Path) -> str:
    """The wandb project of a study: its folder's name."""
    return slug(study.resolve().name)[:LONGEST] or "study"


def run_id(content: Mapping[str, Any], study: Path) -> str:
    """A record's wandb id: its own, and six hex digits of the study folder's token and the record's semantics.

    Two users' equal runs are two. A server keeps the first row that it has of a step: a run made anew because the code
    means something else now must be another one.
    """
    words = f"{token(study)} {json.dumps(content['semantics'], sort_keys=True)}"
    return f"{content['run_id']}-{hashlib.sha256(words.encode()).hexdigest()[:6]}"[-LONGEST:]


def token(study: Path) -> str:
    """Six hex digits, drawn once for a study folder and kept in it."""
    path = study / TOKEN
    if not path.is_file():
        study.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=study, prefix=TOKEN)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(3))
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
        os.unlink(name)
    return path.read_text().strip()


def group(content: Mapping[str, Any]) -> str:
    """Task, length, label and arm: everything but the seed."""
    task = content["task"]
    words = f"{task['name']}-T{task['length']}-{content['label']}"
    return f"{words[: LONGEST - 9]}-{content['arm']}"


def tags(content: Mapping[str, Any]) -> list[str]:
    """Task, variant and phase."""
    words = (content["task"]["name"], content["variant"], content["phase"])
    return list(dict.fromkeys(str(word)[:64] for word in words if word))


def configuration(content: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved configuration, gates as booleans, who the run is; run.json as text: servers change numbers."""
    said = {key: content.get(key) for key in ("run_id", "arm", "study", "phase", "variant", "label", "task")}
    said["json"] = json.dumps(
        {key: value for key, value in content.items() if key not in ("status", "error", "results")}
    )
    resolved = content["config"]["resolved"]
    return {**resolved, "gates": gates(resolved["variant"]), "parameters": content.get("parameters"), "record": said}


def gates(variant: Mapping[str, Any]) -> dict[str, bool]:
    """Which gates exist, that is, are no constant, and what feeds them; a gate made from another is fed as that is."""
    flags: dict[str, bool] = {}
    for slot in SLOTS:
        gate = variant.get(slot) or {}
        partners = {"complement": "input" if slot == "forget" else "forget", "same": gate.get("of")}
        partner = partners.get(gate.get("kind", ""))
        source = variant.get(partner) or {} if partner else gate
        exists = source.get("kind", "absent") == "learned"
        flags[slot] = exists
        flags |= {f"{slot}_sees_{letter}": exists and letter in source.get("feeds", "") for letter in "xhb"}
    return flags


def final_numbers(content: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """The summary: score (the chance level if the run diverged), solved ..., and the record's closing part whole."""
    results, diverged = content["results"], content["status"] == "diverged"
    numbers = {key: value for key, value in results.items() if key != "final"}
    numbers |= {f"final/{key}": value for key, value in results.get("final", {}).items()}
    if diverged:
        numbers["score"] = content["task"]["chance"]
    numbers = {key: value for key, value in numbers.items() if value is not None}
    record = {key: content[key] for key in CLOSING} | {"columns": list(columns)}
    return {**numbers, "status": content["status"], "diverged": diverged, "record": json.dumps(record)}


def fingerprint(folder: Path) -> str:
    """What changes when a record does."""
    hasher = hashlib.sha256()
    for name in ("run.json", "metrics.csv"):
        with contextlib.suppress(OSError):
            hasher.update((folder / name).read_bytes() + b"\0")
    return hasher.hexdigest()


# Runs of wandb


def opened(said: Mapping[str, Any], study: Path, mode: str, entity: str | None = None) -> Any:
    """A live wandb run that takes the place of earlier ones of its id; offline if online fails; None without wandb."""
    os.environ.setdefault("WANDB_SILENT", "true")
    if mode == "offline":
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    for attempt in ["online", "offline"] if mode == "online" and not _given_up() else ["offline"]:
        try:
            forget(study, said["id"])
            run = _init(said, study, attempt, entity)
            _live.add(said["id"])
            return run
        except Exception as error:  # wandb raises many kinds; none may stop a run
            _tell(error, study)
            settle()
    return None


def settle() -> None:
    """End wandb's process unless it has runs in hand: it writes a run's end late, and keeps one it cannot start."""
    if not _live:
        with contextlib.suppress(Exception):
            import wandb

            wandb.teardown()


def _init(said: Mapping[str, Any], study: Path, mode: Any, entity: str | None) -> Any:
    import wandb

    known = wandb.Settings.model_fields
    settings = wandb.Settings(**{key: value for key, value in QUIET.items() if key in known})
    if mode == "online":
        _reach(str(wandb.setup().settings.base_url))
    run = wandb.init(**said, entity=entity, dir=str(study), mode=mode, reinit="create_new", settings=settings)
    if run.disabled:
        raise RuntimeError("nobody is logged in")
    _define_metrics(run, said["config"].get("record"))
    return run


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


def closed(run: Any, study: Path, summary: Mapping[str, Any], mark: str, exit_code: int = 0) -> None:
    """Close a wandb run, in bounded time, and keep beside it which state of its record it shows."""
    folder, online = Path(run.dir).parent, not run.offline
    _live.discard(run.id)
    with contextlib.suppress(Exception):
        run.summary.update(dict(summary))
    with contextlib.suppress(OSError):
        (folder / FINGERPRINT).write_text(mark)
    if online and _given_up():
        _finish_beside(run, exit_code)
        return
    try:
        run.finish(exit_code=exit_code)
        if online:
            _mark_if_sent(folder)
    except Exception as error:
        _tell(error, study)


def _finish_beside(run: Any, exit_code: int) -> None:
    """Close a run whose server has failed, without waiting for it."""

    def finish() -> None:
        with contextlib.suppress(Exception):
            run.finish(exit_code=exit_code)

    _closing.append(threading.Thread(target=finish, daemon=True))
    _closing[-1].start()


def _mark_if_sent(folder: Path) -> None:
    """Mark a run that has arrived as ``wandb sync`` does; RuntimeError if the server refused part of it."""
    log = (folder / "logs" / "debug-internal.log").read_text()
    refused = re.search(r'"level":"ERROR.*"msg":"((?:[^"\\]|\\.)*)"', log)
    if refused:
        raise RuntimeError(refused[1])
    for file in folder.glob("*.wandb"):
        file.with_suffix(".wandb.synced").touch()


def folders(study: Path) -> dict[str, Path]:
    """The latest folder of each wandb id."""
    found: dict[str, Path] = {}
    if (study / "wandb").is_dir():
        for entry in sorted(os.scandir(study / "wandb"), key=lambda e: e.name.removeprefix("offline-")):
            if name := re.fullmatch(r"(?:offline-)?run-\d{8}_\d{6}-(.+)", entry.name):
                found[name[1]] = Path(entry.path)
    return found


def forget(study: Path, name: str) -> None:
    """Remove what is on disk of a wandb id and of the same run under other semantics: one run has one history."""
    stem = re.escape(name[:-6])
    if (study / "wandb").is_dir():
        for entry in list(os.scandir(study / "wandb")):
            if name[:-6] in entry.name and re.fullmatch(rf"(offline-)?run-\d+_\d+-{stem}[0-9a-f]{{6}}", entry.name):
                shutil.rmtree(entry.path, ignore_errors=True)


def delete(project: str, entity: str | None, ids: Iterable[str]) -> None:
    """Remove runs from the server; one that is not there is no matter."""
    import wandb

    api = wandb.Api()
    for name in ids:
        with contextlib.suppress(ValueError, wandb.errors.CommError):
            api.run(f"{entity or api.default_entity}/{project}/{name}").delete()


def sync_line(study: Path) -> str:
    """The command that sends all of a study that has not arrived."""
    return f"wandb sync --include-online {study / 'wandb'}"


# A server that fails


def _reach(server: str) -> None:
    """OSError, within seconds, if nobody answers there or a broken server does: wandb itself would try for long."""
    try:
        urllib.request.urlopen(f"{server}/healthz", timeout=10).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise


def _given_up() -> bool:
    """Whether a process of this sweep has seen the server fail."""
    folder = os.environ.get(STATE)
    return folder is not None and os.path.exists(f"{folder}/failed")


def _tell(error: Exception, study: Path) -> None:
    """Say, once in a sweep, that wandb failed."""
    try:
        if folder := os.environ.get(STATE):
            Path(folder, "failed").touch(exist_ok=False)
    except FileExistsError:
        return
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    words = f"warning: wandb: {reason}; the runs go on offline, their records are whole. To send what is missing:"
    print(f"{words} {sync_line(study)}", file=sys.stderr)


# What it costs


def cost(study: Path, runs: int = 20, rows: int = 20) -> dict[str, float]:
    """Milliseconds that the offline mirror takes of a run, the first run of a process aside.

    Returns:
        first: init of the first run (starts wandb); init, log (of one row), finish: medians over the others.
    """
    taken: dict[str, list[float]] = {"init": [], "log": [], "finish": []}
    first = resolve(compose([f"study={study}", "record.wandb.mode=offline"]))
    for job in [first.with_seed(seed, None) for seed in range(runs)]:
        content = _example(job)
        started = time.perf_counter()
        mirror = Mirror(job, content)
        live = time.perf_counter()
        for step in range(rows):
            mirror.log({"step": step, "train/loss": 1 / (step + 1), "eval/loss": 1 / (step + 1)})
        logged = time.perf_counter()
        mirror.finish(content)
        for part, seconds in (("init", live - started), ("log", (logged - live) / rows)):
            taken[part].append(1000 * seconds)
        taken["finish"].append(1000 * (time.perf_counter() - logged))
    return {"first": taken["init"][0], **{part: statistics.median(values[1:]) for part, values in taken.items()}}


def _example(job: Job) -> dict[str, Any]:
    """The record of a run that has just ended, as far as the mirror reads it."""
    task = {"name": job.task_name, "length": job.task.length, "metric": "loss", "direction": "min", "chance": 1.0}
    return {
        "run_id": job.run_id,
        "arm": job.arm,
        "phase": None,
        "variant": job.variant.name,
        "label": job.variant.label,
        "task": task,
        "seed": job.seed,
        "config": {"said": [], "resolved": job.resolved},
        "semantics": {},
        "status": "finished",
        "error": None,
        "results": {"score": 0.5},
        "timing": {"started": None},
    }
