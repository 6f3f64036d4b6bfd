"""From the words of a command line to validated jobs.

Hydra is known to compose, explain, hydra_setup and words only.

May import: lstm_variants, experiments.tasks.
"""
