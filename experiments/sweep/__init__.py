"""Many runs: which share a stack, what is left to do, and who does it: this process, workers, or Slurm.

May import: lstm_variants, analysis.common to records, experiments.tasks to tracking.
"""

import sys

from experiments import CallableModule

sys.modules[__name__].__class__ = CallableModule  # see experiments/__init__.py
