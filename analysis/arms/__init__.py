"""Which runs count, which of them are one arm, and how arms and tasks are called and ordered.

May import: analysis.common.
"""
