"""The user's own folders: which are in use, what their Python files define, and that no name has two meanings.

May import: lstm_variants.
"""
