"""What one does with the gates of a layer while it runs: look at every value, or put another in its place."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from lstm_variants.cell import Cell, State, Tap, no_tap


class TraceAndClamp(nn.Module):
    """The part of :class:`lstm_variants.GatedRNN` that taps its gates."""

    cell: Cell
    hidden_size: int
    num_layers: int
    batch_first: bool
    models: int | None

    def __init__(self) -> None:
        super().__init__()
        self._taps: dict[int, list[Tap]] = defaultdict(list)

    @property
    def is_tapped(self) -> bool:
        """Whether a clamp or another tap is in force."""
        return any(self._taps.values())

    @contextlib.contextmanager
    def tapped(self, tap: Tap, layer: int = 0) -> Iterator[None]:
        """Inside this context ``tap(slot, value)`` sees every gate value, step after step, and returns the one to use.

        It sees the ``cell`` and the ``hidden`` value of a step too, of which what it returns is not used. Values are
        (B, H), or fit that where they are one for all sequences or units; stacked models come one after another.
        """
        self._taps[layer].append(tap)
        try:
            yield
        finally:
            self._taps[layer].remove(tap)

    def trace(
        self, x: Tensor, state: Sequence[Tensor] | None = None, layer: int = 0
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Run the sequence and keep every gate and cell value of one layer, step by step.

        Returns:
            y and state as from a plain call, and ``{slot or "cell" or "hidden": (T, B, H)}``, constant gates filled
            in; the values are the effective ones (refined, normalised, clamped).
        """
        seen: dict[str, list[Tensor]] = defaultdict(list)

        def keep(slot: str, value: Tensor) -> Tensor:
            seen[slot].append(value)
            return value

        with self.tapped(keep, layer):
            y, last = self(x, state)
        models, batch = self.models or 1, last.h.shape[-2]

        def gathered(values: list[Tensor]) -> Tensor:
            whole = torch.stack([v.expand(batch, self.hidden_size) for v in values])
            by_model = whole.reshape(models, -1, batch, self.hidden_size)
            by_model = by_model.movedim(1, 2) if self.batch_first else by_model
            return by_model[0] if self.models is None else by_model

        return y, last, {slot: gathered(values) for slot, values in seen.items()}

    @contextlib.contextmanager
    def clamp(
        self, gate: str, value: float | Tensor, units: Sequence[int] | None = None, layer: int = 0
    ) -> Iterator[None]:
        """Surgery: inside this context the gate has the given value, and what is computed from it follows.

        Args:
            gate: a slot that the variant has: input, forget, candidate, output, reset or refine.
            value: a number, or a tensor that fits (B, H) (with ``units``: (B, len(units))).
            units: the hidden units to clamp; None for all.
            layer: the layer.

        Raises:
            ValueError: for an unknown gate, unit or layer.
        """
        if gate not in self.cell.slots:
            raise ValueError(f"clamp: gate={gate}: legal are {', '.join(self.cell.slots)}")
        if not 0 <= layer < self.num_layers:
            raise ValueError(f"clamp: layer={layer}: legal are 0 to {self.num_layers - 1}")
        if units is not None and not all(0 <= unit < self.hidden_size for unit in units):
            raise ValueError(f"clamp: units={list(units)}: legal are 0 to {self.hidden_size - 1}")
        chosen = slice(None) if units is None else list(units)

        def replace(slot: str, own: Tensor) -> Tensor:
            if slot != gate:
                return own
            clamped = own.expand(*own.shape[:-1], self.hidden_size) if own.dim() else own.expand(self.hidden_size)
            clamped = clamped.clone()
            clamped[..., chosen] = torch.as_tensor(value, dtype=own.dtype, device=own.device)
            return clamped

        with self.tapped(replace, layer):
            yield


def chained(taps: Sequence[Tap]) -> Tap:
    def tap(slot: str, value: Tensor) -> Tensor:
        for one in taps:
            value = one(slot, value)
        return value

    return tap if taps else no_tap
