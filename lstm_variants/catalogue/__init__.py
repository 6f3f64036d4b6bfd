"""Variants by name: the files of conf/variant, the changes of a command line, and what a changed variant is called.

May import: lstm_variants, lstm_variants.extensions.
"""
