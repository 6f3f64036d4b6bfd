"""How fast a stack of models trains, beside what one would otherwise do: ``python -m experiments.benchmark``.

May import: lstm_variants, analysis.common, experiments.tasks to studies.
"""
