"""What Hydra knows of this project: the schema, the help page, the settings of its launchers, the user's folders."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from experiments.config.schema import LARGEST_STACK, Root
from lstm_variants.extensions import user_folders
from lstm_variants.gate import CONF

HELP = """\
One run = variant x init x task x model x train x seed; a comma or a range makes a sweep of it.

  python -m experiments.run variant=gru task=continual_reber seed=3
  python -m experiments.run -m variant=lstm,gru task=adding 'seed=range(0,5)' study=outputs/mine
  python -m experiments.run -m variant=lstm variant.forget.feeds=x,h,xh,xhb task=adding study=outputs/feeds
  python -m experiments.run experiment=demo

Run again, a command skips what is finished. What a name means:
  python -m experiments.show variant [NAME ...]      python -m experiments.show task [NAME ...]
"""
PAGE = """\
${hydra.help.header}
Groups (group=name, or group=name1,name2 with -m):
$APP_CONFIG_GROUPS

Defaults (key=value):
$CONFIG"""
PLUGINS = "hydra_plugins.gates"  # Hydra accepts a plugin by this prefix only, see launcher.register


@dataclass
class Stacked:
    """The settings ``hydra.launcher.KEY=VALUE`` of the launcher on one machine."""

    _target_: str = f"{PLUGINS}.StackedLauncher"
    workers: int | None = None  # processes; None: one per core
    stack: int | None = LARGEST_STACK  # runs in a stack
    dry_run: bool = False


class UserFolders(SearchPathPlugin):
    """Lets Hydra look into the user's own folders."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in user_folders.conf_folders():
            search_path.append("extensions", f"file://{folder}")


def register_schema(help_text: str = HELP) -> None:
    """Give Hydra the types of the root configuration, the help page, and the launcher's and sweeper's settings."""
    Plugins.instance().register(UserFolders)
    store = ConfigStore.instance().store
    store(name="schema", node=Root)
    page = {"app_name": "gates", "header": help_text, "footer": "", "template": PAGE}
    store(group="hydra/help", name="gates", node=page)
    store(group="hydra/launcher", name="stacked", provider="gates", node=Stacked)
    sweeper = {"_target_": f"{PLUGINS}.StudySweeper", "params": None}
    store(group="hydra/sweeper", name="study", provider="gates", node=sweeper)


def loader() -> ConfigLoaderImpl:
    """Hydra's reader of conf/ and of the user's conf folders."""
    return _loader(user_folders.generation())


@functools.lru_cache(maxsize=1)
def _loader(generation: int) -> ConfigLoaderImpl:
    Plugins.instance()
    version.setbase("1.3")
    return ConfigLoaderImpl(config_search_path=create_config_search_path(str(CONF)))
