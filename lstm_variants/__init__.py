"""LSTM variants as data: one cell equation, and every variant a diff of a few lines.

layer = lstm_variants.GatedRNN(lstm_variants.load("lstm", "forget.feeds=xb"), input_size=8, hidden_size=64)

May import: lstm_variants.catalogue, lstm_variants.cells, lstm_variants.engines, lstm_variants.extensions.
"""

from lstm_variants.catalogue.variants import Variant, load, variants
from lstm_variants.cell import Cell, GatedCell, State
from lstm_variants.cells import make_cell
from lstm_variants.extensions.registration import use as use_extensions
from lstm_variants.extensions.user_folders import ExtensionError
from lstm_variants.gate import Gate, SpecError
from lstm_variants.layer import GatedRNN
from lstm_variants.parameters import Init
from lstm_variants.spec import CellSpec

__all__ = [
    "Cell",
    "CellSpec",
    "ExtensionError",
    "Gate",
    "GatedCell",
    "GatedRNN",
    "Init",
    "SpecError",
    "State",
    "Variant",
    "load",
    "make_cell",
    "use_extensions",
    "variants",
]
