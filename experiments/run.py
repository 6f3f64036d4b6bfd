"""Run one variant on one task, or with -m a sweep of them: python -m experiments.run --help"""

from __future__ import annotations

import sys

from experiments import CallableModule
from experiments.sweep.hydra_application import main

sys.modules[__name__].__class__ = CallableModule  # see experiments/__init__.py

if __name__ == "__main__":
    main(sys.argv[1:])
