"""The mirror of runs in wandb: live, afterwards, and as aggregates over seeds.

May import: lstm_variants, analysis.common to figures, experiments.tasks to inspection.
"""
