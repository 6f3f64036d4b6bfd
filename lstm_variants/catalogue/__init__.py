"""Variants by name: the files of conf/variant, changes of a command line, what a changed variant is called, its facts.

May import: lstm_variants, lstm_variants.cells, lstm_variants.extensions.
"""
