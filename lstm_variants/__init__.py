"""LSTM variants as data: one cell equation, and every variant a diff of a few lines."""

from lstm_variants.cell import Cell, GatedCell, State
from lstm_variants.cells import make_cell
from lstm_variants.layer import GatedRNN
from lstm_variants.parameters import Init
from lstm_variants.spec import CellSpec, Gate, SpecError

__all__ = ["Cell", "CellSpec", "Gate", "GatedCell", "GatedRNN", "Init", "SpecError", "State", "make_cell"]
