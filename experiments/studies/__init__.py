"""A study in phases: its protocol, tuning, and what is frozen before its confirmation runs.

May import: lstm_variants, analysis.common to replications, experiments.tasks to sweep.
"""
