"""The run directory, the source of truth: its record, its files, and who is at work on it.

May import: lstm_variants, analysis.common to records, experiments.tasks to training.
"""
