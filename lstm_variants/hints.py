"""What an error message says about a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, legal: Iterable[str]) -> str:
    """``did you mean gru? legal are gru, lstm``: the nearest of the legal names, if one is near, and all of them."""
    legal = list(legal)
    near = difflib.get_close_matches(str(name), legal, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}legal are {', '.join(legal)}"
