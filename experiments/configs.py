"""``load_spec``: the spec of a variant by name, with changes as on the command line."""

from experiments.config.compose import load_spec

__all__ = ["load_spec"]
