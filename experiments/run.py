"""Run one variant on one task, or with -m a sweep of them: python -m experiments.run --help"""

from __future__ import annotations

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experiments.configs import CONF, expand_aliases, explain, register_schema, resolve, use_extensions
from experiments.launcher import register, run_all


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def app(config: DictConfig) -> None:
    """One run."""
    hydra_config = HydraConfig.get()
    run_all([resolve(config, hydra_config.overrides.task, hydra_config.runtime.choices["task"])], workers=1)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    register_schema()
    register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here, to be said in one line
    try:
        folder = next((a.partition("=")[2] for a in arguments if a.startswith("extensions=")), None)
        use_extensions(folder)
        extra = ["--config-dir", os.path.join(folder, "conf")] if folder else []
        sys.argv[1:] = [*extra, *expand_aliases(arguments)]
        app()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
