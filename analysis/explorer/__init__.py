"""One page in which the recorded, trained nets of a study run live: what goes into it, its scripts and its look.

May import: analysis.common to figures.
"""
