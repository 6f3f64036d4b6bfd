"""What of the environment variables wandb may read: who and where, not which run; and only what it can understand.

wandb takes every ``WANDB_`` variable for a setting. Inside a wandb agent, or a script with a run of its own, they name
that run: ours would all become that one. Ours are named after their records (``run_names.py``), whatever it
says.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Which run it is, and what it is called: the settings of wandb whose variables are not used.
NAMED = {"PROJECT", "NAME", "RUN_NAME", "RUN_ID", "RUN_GROUP", "JOB_TYPE", "RUN_JOB_TYPE", "TAGS", "RUN_TAGS", "DIR"}
NAMED |= {"RESUME", "RESUME_FROM", "FORK_FROM", "SWEEP_ID", "SWEEP_PARAM_PATH", "LAUNCH", "CONFIG", "CONFIG_PATHS"}
OF_ANOTHER_PROCESS = {"MODE", "SERVICE"}  # resolved by us; the service of the process that started this one
REMEMBERED = ("sweep_id", "sweep_param_path", "run_id", "run_group", "resume_from", "fork_from", "launch")
SERVER = "WANDB_BASE_URL"
SECRET = ("KEY", "TOKEN", "PASSWORD")


def not_used(online: bool) -> list[str]:
    """The variables that name a run, and those that wandb cannot read, as they are to be told of."""
    named = [f"WANDB_{name}" for name in sorted(NAMED) if os.environ.get(f"WANDB_{name}")]
    ours = [f"{', '.join(named)} (runs are named after their records)"] if named else []
    refused = [name for name in unreadable() if not (online and name == SERVER)]  # that is told of by itself
    return ours + [f"{_shown(name)} (wandb cannot read it)" for name in refused]


def unreadable() -> list[str]:
    """The variables whose values wandb refuses."""
    return [name for name in sorted(os.environ) if name.startswith("WANDB_") and not _readable(name, os.environ[name])]


@functools.cache
def _readable(name: str, value: str) -> bool:
    import wandb

    if not value or name == "WANDB_MODE":
        return True
    try:
        wandb.Settings().update_from_env_vars({name: value})
    except Exception:  # wandb raises several kinds
        return False
    return True


def _shown(name: str) -> str:
    return name if any(word in name for word in SECRET) else f"{name}={os.environ[name]}"


def plain() -> dict[str, str]:
    """The environment without what names another run, and without what wandb cannot read."""
    hidden = {f"WANDB_{name}" for name in NAMED | OF_ANOTHER_PROCESS} | set(unreadable())
    hidden |= {name for name, value in os.environ.items() if name.startswith("WANDB_") and not value}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def check_server() -> None:
    """ValueError if WANDB_BASE_URL cannot be read: what was meant for that server must not go to another one."""
    url = os.environ.get(SERVER, "")
    if not _readable(SERVER, url):
        raise ValueError(f"{SERVER}={url} is not the address of a server")


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """While a run of ours begins: without what names another run, in the environment or in wandb's memory of it."""
    kept = plain()
    before = {name: os.environ.pop(name) for name in list(os.environ) if name not in kept}
    try:
        with _forgotten():
            yield
    finally:
        os.environ.update(before)


@contextlib.contextmanager
def _forgotten() -> Iterator[None]:
    """The same for a wandb that a user's own script has set up."""
    import wandb

    known = wandb.setup().settings
    fields = {name: field for name, field in type(known).model_fields.items() if name in REMEMBERED}
    before = {name: getattr(known, name) for name in fields}
    for name, field in fields.items():
        setattr(known, name, field.default)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(known, name, value)


def give_a_home() -> None:
    """A cache folder for wandb's process, which writes its log on the terminal where it has none."""
    given = os.environ.get("WANDB_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    try:
        cache = Path(given) if given else Path.home() / ".cache"
        cache.joinpath("wandb", "logs").mkdir(parents=True, exist_ok=True)
        if not given and "HOME" not in os.environ:  # wandb's process asks nobody else
            os.environ["WANDB_CACHE_DIR"] = str(cache)
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
        folder = Path(tempfile.gettempdir()) / f"gates-{os.getuid()}"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("CACHE", "DATA", "CONFIG"):
            os.environ[f"WANDB_{name}_DIR"] = str(folder / "wandb")
