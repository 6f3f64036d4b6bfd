"""The order in which every figure and table shows variants and tasks, and which variant the others are compared with.

A variant may be appended to a family, and need not be: one that is not listed (somebody's own, or a difference such as
`lstm[forget.feeds=xb]`) comes after those that are, in a place that its name gives it.
"""

from collections.abc import Iterable
from zlib import crc32

import pandas as pd

from analysis.arms.arms import natural

BASELINE = "lstm"
FAMILIES = [
    family.split()
    for family in (
        "no_forget_gate no_input_gate no_output_gate no_input_activation no_output_activation coupled_gates peephole "
        "full_gate_recurrence",
        "constant_forget fixed_forget_bias learned_decay scalar_forget refine_gate",
        "elman leaky janet mgu minlstm mingru gru_reset_before gru gru_no_reset",
        "no_hidden gates_x gates_xb gates_xh gates_none no_content_recurrence no_content_recurrence_no_output",
        "forget_hard_sigmoid forget_clipped_linear forget_elliott forget_double_sigmoid forget_tanh forget_identity "
        "forget_relu forget_exp forget_binary",
        "slim1 slim2 slim3 mut1 mut2 mut3 slstm forget_gumbel",
    )
]
WIDEST = 9  # variants of one family at most: figures have a colour and a marker for each
UNLISTED = len(FAMILIES)  # the family of every variant that is not listed


def places(variants: set[str]) -> dict[str, tuple[int, int]]:
    """variant -> (family, place in it)."""
    listed = {variant: (row, place) for row, family in enumerate(FAMILIES) for place, variant in enumerate(family)}
    found = {variant: listed[variant] for variant in variants if variant in listed}
    taken: list[int] = []
    for variant in sorted(variants - set(found) - {BASELINE}):
        start = crc32(variant.encode())
        turns = [(start + turn) % WIDEST for turn in range(WIDEST)]
        place = min(turns, key=taken.count)
        found[variant] = (UNLISTED + taken.count(place), place)
        taken.append(place)
    return found


def rows(runs: pd.DataFrame) -> list[str]:
    """The names (rows) of a report in the order in which every figure and table shows them.

    A column `place`, where there is one, comes before the order of the families: the reader asked for it.
    """
    found = places(set(runs["variant"]))
    known = runs.assign(place=runs.get("place", 0))[["variant", "name", "place"]].drop_duplicates("name")
    ranked = [
        ((place, found.get(variant, (-1, 0)), natural(name)), name)
        for variant, name, place in known.itertuples(index=False)
    ]
    return [name for _, name in sorted(ranked)]


def baselines(runs: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Those of the names that are the complete LSTM."""
    known = set(runs.loc[runs["variant"] == BASELINE, "name"])
    return [name for name in names if name in known]


def tasks(runs: pd.DataFrame) -> list[str]:
    """The tasks of a report in order."""
    return sorted(set(runs["task"]), key=natural)
