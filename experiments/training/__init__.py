"""Training one stack of runs: the loop, its network, optimiser and random streams, and what memory it starts with.

May import: lstm_variants, experiments.tasks to config.
"""
