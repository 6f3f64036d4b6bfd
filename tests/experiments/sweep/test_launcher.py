"""Hydra's own suites for launchers on ``hydra/launcher=stacked``: another application's jobs run as with its own."""

import sys
from collections.abc import Callable, Iterator

import pytest
from hydra._internal.core_plugins import basic_sweeper
from hydra.test_utils import launcher_common_tests as suites
from hydra.version import VersionBase
from packaging.version import Version

from experiments.config.hydra_setup import register_schema
from experiments.sweep.launcher import register

pytestmark = pytest.mark.filterwarnings("ignore:Future Hydra versions will no longer change working directory")
WITH_LAUNCHER = """\
import runpy, sys
from experiments.config.hydra_setup import register_schema
from experiments.sweep.launcher import register
register_schema()
register()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
FLAGS = ["-m", "hydra/launcher=stacked"]
QUICK = ("custom_override_dirname", "get_orig_dir")


@pytest.fixture(autouse=True, scope="module")
def one_basic_sweeper() -> Iterator[None]:
    """The suites make Hydra scan its plugins again; that replaces the class that its sweeper names in ``super``."""
    before = basic_sweeper.BasicSweeper
    yield
    basic_sweeper.BasicSweeper = before  # type: ignore[misc]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The launcher is known, and Hydra's compatibility level is the one that its suites are written for."""
    register_schema()
    register()
    before = VersionBase.instance().version_base
    VersionBase.instance().setbase(Version("1.1"))
    yield
    VersionBase.instance().version_base = before


@pytest.mark.parametrize(("launcher_name", "overrides"), [("stacked", [])])
class TestJobs(suites.LauncherTestSuite):
    """One job and more, strict mode, bad keys, sweeps over groups, resolvers: the whole suite."""


@pytest.mark.parametrize(("launcher_name", "overrides"), [("stacked", ["hydra.sweeper.max_batch_size=2"])])
class TestBatches(suites.BatchedSweeperTestSuite):
    """Batches of jobs, numbered through."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, FLAGS)])
class TestApplications(suites.IntegrationTestSuite):
    """Whole applications: a job's name, its working directory, the original one."""

    @pytest.fixture(autouse=True)
    def every(self, request: pytest.FixtureRequest, full: bool) -> None:
        if not full and not any(name in request.node.name for name in QUICK):
            pytest.skip("3 s a case; its neighbours run, all with --slow")

    def generate_custom_cmd(self) -> Callable[..., list[str]]:
        return lambda command, filename: [sys.executable, "-c", WITH_LAUNCHER, *command[1:]]
