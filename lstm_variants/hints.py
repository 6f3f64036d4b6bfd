"""What an error message says about a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

OF_FILES = 0.7  # names of files share words (forget_tanh, forget_exp), so that only a slip of the hand is near one


def nearest(name: object, legal: Iterable[str], alike: float = 0.5) -> str:
    """``did you mean gru? legal are gru, lstm``: the nearest of the legal names, if one is near, and all of them.

    Args:
        alike: from 0 to 1, how near a name has to be.
    """
    legal = list(legal)
    near = difflib.get_close_matches(str(name), legal, n=3, cutoff=alike)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}legal are {', '.join(legal)}"
