"""Published tables to be run again: what their files say, and the verdict on every cell, from the runs.

May import: analysis.common to claims.
"""
