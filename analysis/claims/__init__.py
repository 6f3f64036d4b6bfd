"""What a study was frozen to decide, and the verdict on each of its comparisons, from the runs.

May import: analysis.common to statistics.
"""
