"""What a sweep would do, before anything starts: the command line of ``run``, and nothing is changed.

python -m experiments.plan variant=lstm,gru task=adding 'seed=range(0,5)' study=outputs/mine
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.sweep import hydra_application


def main(argv: Sequence[str] | None = None) -> None:
    """The command line of ``run``, as a sweep that is not run."""
    hydra_application.main([*(sys.argv[1:] if argv is None else argv), "-m", "hydra.launcher.dry_run=true"])


if __name__ == "__main__":
    main()
