"""Slow tests run at a reduced count unless --slow is given."""

import pytest

pytest_plugins = ["fuzzing"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run slow tests at their full count")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether slow tests run at their full count."""
    return bool(request.config.getoption("--slow"))
