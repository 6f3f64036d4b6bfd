"""From the words of a command line to validated jobs.

May import ``experiments.tasks`` and ``lstm_variants``. Hydra is known to compose, explain, hydra_setup and words only.
"""
