"""Slow tests run at a reduced count unless --slow is given."""

import math
import os
import sys
import time
from collections.abc import Iterator

import pytest

pytest_plugins = ["fuzzing"]
BEGUN = time.monotonic()
# Threads that wait for one another sleep. By default they spin, which with as many tests at once as there are cores
# takes ten times as long. Read when torch is loaded, here and in every process that a test starts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run slow tests at their full count")
    parser.addoption("--seconds", type=float, default=math.inf, help="skip what has not begun after so many seconds")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave to others what there is no time for."""
    if time.monotonic() - BEGUN > item.config.getoption("--seconds"):
        pytest.skip("no time is left for it; make test runs everything")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker process is left alone with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether slow tests run at their full count."""
    return bool(request.config.getoption("--slow"))


@pytest.fixture(autouse=True)
def _no_folders_of_ones_own() -> Iterator[None]:
    """What a test makes known of a user's own is not known to the next one."""
    yield
    if (extensions := sys.modules.get("lstm_variants.extensions.registration")) and extensions.user_folders.folders():
        extensions.use([])
