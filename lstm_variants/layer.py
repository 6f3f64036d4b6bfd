"""A recurrent layer of any variant with torch.nn.LSTM's call: (input, state) -> (output, state)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm_variants import engines
from lstm_variants.cell import State, state_type
from lstm_variants.cells import make_cell
from lstm_variants.dropout import Dropout
from lstm_variants.engines import reference
from lstm_variants.engines.native_by_hand import ByHand
from lstm_variants.parameters import DEFAULT_INIT, Init, initial_values, leaves, make_parameters, torch_weights
from lstm_variants.spec import CellSpec
from lstm_variants.trace_and_clamp import TraceAndClamp, chained

Generators = np.random.Generator | Sequence[np.random.Generator]


class GatedRNN(TraceAndClamp):
    """A multi-layer recurrent network of one variant, or M of them side by side.

    ::

        a_k  = W_k x[t] + U_k h[t-1] + p_k * c + b_k        only the terms that the gate's feeds name
        c[t] = f * c[t-1] + i * z
        h[t] = o * squash(c[t])

    Shapes: x (T, B, I) -> y (T, B, H), state fields (L, B, H); T steps, B sequences, I inputs, H hidden units, L
    layers. ``batch_first=True``: x (B, T, I) -> y (B, T, H). ``models=M``: a leading M on x, y, state and every
    parameter. Gate order in every listing is input, forget, candidate, output (torch's i, f, g, o).

    Args:
        spec: the variant.
        input_size: I.
        hidden_size: H.
        num_layers: L; layer l reads the output of layer l - 1.
        batch_first: as in nn.LSTM.
        models: M stacked models, or None for one without a model axis.
        engine: ``auto``, or the name of an engine, see :mod:`lstm_variants.engines`.

    Parameters start at init ``default`` (weights U(-1/sqrt(H), 1/sqrt(H)), forget bias 1), drawn from torch's
    generator; :meth:`reset_parameters` sets others.
    """

    def __init__(
        self,
        spec: CellSpec,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        models: int | None = None,
        engine: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise ValueError(f"{name}={size}: must be 1 or more")
        if models is not None and models < 1:
            raise ValueError(f"models={models}: must be 1 or more, or None")
        spec.check_hidden_size(hidden_size)
        self.spec, self.cell = spec, make_cell(spec)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.models, self._engine_name = batch_first, models, engine
        self.layers = nn.ModuleList(
            make_parameters(self.cell, self._shapes(layer), models, device=device, dtype=dtype)
            for layer in range(num_layers)
        )
        self.noise: Generators | None = None  # set by a training loop; without it a noisy squashing is deterministic
        self.dropout: Dropout | None = None  # likewise; without it nothing is dropped
        self._by_hand: tuple[list[tuple[int, int, bool]], list[ByHand], list[Tensor]] | None = None
        self._choose_engine()
        seeds = torch.randint(2**62, (models or 1,)).tolist()
        self.reset_parameters(DEFAULT_INIT, [np.random.default_rng(seed) for seed in seeds])

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, engine={self.engine}"

    @property
    def engine(self) -> str:
        """The name of the engine in use."""
        return self._engine.name

    @property
    def engine_reason(self) -> str:
        """Why that engine is in use."""
        return self._engine.reason

    def _shapes(self, layer: int) -> dict[str, dict[str, Any]]:
        return self.cell.shapes(self.input_size if layer == 0 else self.hidden_size, self.hidden_size)

    def _choose_engine(self) -> None:
        probe = next(iter([*self.parameters(), *self.buffers()]), torch.empty(0))
        self._engine = engines.choose(self._engine_name, self.cell, probe.device, probe.dtype)

    def _apply(self, *args: Any, **kwargs: Any) -> GatedRNN:
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._choose_engine()  # .to(), .double() and friends may leave what the engine can run
        return self

    def gates(self, layer: int = 0) -> dict[str, dict[str, Any]]:
        """The live tensors of a layer, gate by gate; what a variant does not have has no key.

        Returns:
            ``{"forget": {"x": (H, I), "h": (H, H), "b": (H,), "c": (H,), ...}, ...}`` with, for a reset gate after
            the product, ``"bh"`` (H,) in the candidate, and for full gate recurrence ``"gates": {slot: (H, H)}``.
            A frozen bias is there as a buffer; a gate whose units share values has a row for each value in place of H.
        """
        return self.layers[layer].tree()  # type: ignore[operator, no-any-return]

    @torch.no_grad()
    def reset_parameters(self, init: Init | Sequence[Init], generator: Generators) -> None:
        """Draw all parameters anew; alone and stacked, equal generators give equal bits.

        Args:
            init: the scheme, or with ``models=M`` a list of M of them.
            generator: a numpy generator, or with ``models=M`` a list of M of them.

        Raises:
            ValueError: if the scheme makes no sense with this variant, or the generators are not M.
        """
        generators = [generator] if isinstance(generator, np.random.Generator) else list(generator)
        inits = [init] * len(generators) if isinstance(init, Init) else list(init)
        for reason in (one.not_applicable(self.cell, self.hidden_size) for one in inits):
            if reason:
                raise ValueError(reason)
        if len(generators) != (self.models or 1):
            raise ValueError(f"generator: {self.models or 1} are needed, got {len(generators)}")
        for m, (scheme, own) in enumerate(zip(inits, generators, strict=True)):
            for layer, parameters in enumerate(self.layers):
                values = initial_values(self.cell, self._shapes(layer), self.hidden_size, scheme, own)
                for path, value in values.items():
                    tensor = _at(parameters, path)
                    (tensor if self.models is None else tensor[m]).copy_(torch.from_numpy(value))

    @torch.no_grad()
    def load_torch_(self, module: nn.LSTM | nn.GRU) -> GatedRNN:
        """Copy the weights of an nn.LSTM or nn.GRU (into every model, if stacked).

        Raises:
            ValueError: if the module's gates or sizes are not this layer's.
        """
        if module.num_layers != self.num_layers:
            raise ValueError(f"load_torch_: {self.num_layers} layers are needed, got {module.num_layers}")
        for layer in range(self.num_layers):
            own, theirs = self.gates(layer), torch_weights(module, layer)
            lead = () if self.models is None else (self.models,)
            mine = {path: tuple(tensor.shape) for path, tensor in leaves(own)}
            given = {path: (*lead, *tensor.shape) for path, tensor in leaves(theirs)}
            if mine != given:
                raise ValueError(f"load_torch_: this layer has {mine}, the {type(module).__name__} has {given}")
            for slot, parts in theirs.items():
                for part, tensor in parts.items():
                    own[slot][part].copy_(tensor)
        return self

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run the sequence.

        Args:
            x: (T, B, I), or (B, T, I) with ``batch_first``; a leading M with ``models=M``.
            state: None for the initial state, nn.LSTM's pair (h, c), or the state of an earlier call; fields
                (L, B, H).
            lengths: (B,) steps of each sequence, None if all are T long. Past its end a sequence holds its state and
                output; its padding changes nothing.

        Returns:
            y (T, B, H) of the last layer and the final state of all layers.

        Raises:
            ValueError: for a shape that does not fit.
        """
        x = self._checked_input(x)
        steps_first = x.movedim(2, 1) if self.batch_first else x
        if lengths is not None:
            lengths = lengths.reshape(-1, steps_first.shape[2]).expand(steps_first.shape[0], -1)
        y, states = steps_first, []
        for layer, own in enumerate(self._layer_states(steps_first, state)):
            y, last = self._run_layer(layer, y, own, lengths)
            y = y if self.dropout is None else y * self.dropout.factors(y, lengths)
            states.append(last)
        stacked = type(states[0])(*(torch.stack(field, dim=1) for field in zip(*states, strict=True)))
        y = y.movedim(1, 2) if self.batch_first else y
        return (y, stacked) if self.models is not None else (y[0], type(stacked)(*(s[0] for s in stacked)))

    def forward_and_backward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State, Callable[[Tensor], list[Tensor]]]:
        """Run the sequence as a call does, and take the gradients by hand: for a training loop that does not need
        autograd's bookkeeping. With ``engine=native``, ``models=M`` and steps first; without noise or taps.

        Returns:
            y, the final state, and a function that gives the gradients of ``parameters()``, in their order, for the
            gradient on y (M, T, B, H). The gradients are overwritten when it is called again, of whatever sequence.
        """
        x = self._checked_input(x)
        layers, order = self._prepared()
        sequences, factors, y = [], [], x
        for layer, own in zip(layers, self._layer_states(x, state), strict=True):
            sequences.append(layer.forward(y, own, lengths))
            y = sequences[-1].y
            if self.dropout is not None:
                factors.append(self.dropout.factors(y, lengths))
                y = y * factors[-1]
        fields = zip(*(done.last for done in sequences), strict=True)
        last = state_type(self.cell.state_fields)(*(torch.stack(field, dim=1) for field in fields))

        def backward(dy: Tensor) -> list[Tensor]:
            for number in reversed(range(len(layers))):
                dy = dy * factors[number] if factors else dy
                dx = layers[number].backward(sequences[number], dy, needs_dx=number > 0)
                dy = dy if dx is None else dx
            return order

        return y, last, backward

    def _prepared(self) -> tuple[list[ByHand], list[Tensor]]:
        """The layers as gradients by hand want them, and the gradients of ``parameters()``.

        Prepared anew only when a weight is another one, has moved, or has been frozen or thawed.
        """
        parts = [{**part._parameters, **part._buffers}.values() for part in self.layers.modules()]
        known = [(id(w), w.data_ptr(), w.requires_grad) for part in parts for w in part if w is not None]
        if self._by_hand is None or self._by_hand[0] != known:
            layers = [ByHand(self.cell, self.gates(layer)) for layer in range(self.num_layers)]
            found = {id(w): g for layer in layers for w, g in zip(layer.weights, layer.gradients, strict=True)}
            order = [gradient for p in self.parameters() if (gradient := found[id(p)]) is not None]
            self._by_hand = known, layers, order
        return self._by_hand[1:]

    def __getstate__(self) -> dict[str, Any]:
        """Without the addresses of this process."""
        return {**self.__dict__, "_by_hand": None}

    def _checked_input(self, x: Tensor) -> Tensor:
        axes = "(B, T, I)" if self.batch_first else "(T, B, I)"
        if self.models is None:
            if x.dim() != 3:
                raise ValueError(f"x: shape {axes} is needed, got {tuple(x.shape)}")
            x = x.unsqueeze(0)
        elif x.dim() != 4 or x.shape[0] != self.models:
            raise ValueError(f"x: shape {axes} after {self.models} models is needed, got {tuple(x.shape)}")
        if 0 in x.shape:
            raise ValueError(f"x: at least one step and one sequence are needed, got {axes} {tuple(x.shape)}")
        if x.shape[-1] != self.input_size:
            raise ValueError(f"x: input_size {self.input_size} is needed in the last axis, got {x.shape[-1]}")
        return x

    def _layer_states(self, x: Tensor, state: Sequence[Tensor] | None) -> list[State]:
        """Each layer's state, fields (M, B, H)."""
        models, _, batch, _ = x.shape
        kind = state_type(self.cell.state_fields)
        if state is None:
            own = self.cell.initial_state(x.new_zeros(models, batch, self.hidden_size))
            return [own] * self.num_layers
        fields = list(state) if self.models is not None else [s.unsqueeze(0) for s in state]
        if len(fields) == 2 < len(kind._fields):
            fields = list(self.cell.completed_state(*fields))
        wanted = (models, self.num_layers, batch, self.hidden_size)
        for name, field in zip(kind._fields, fields, strict=True):
            if tuple(field.shape) != wanted:
                raise ValueError(
                    f"state.{name}: shape (models, layers, B, H) {wanted} is needed, got {tuple(field.shape)}"
                )
        return [kind(*(field[:, layer] for field in fields)) for layer in range(self.num_layers)]

    def _run_layer(self, layer: int, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        weights = self.gates(layer)
        if self.models is None:
            weights = _map(weights, lambda tensor: tensor.unsqueeze(0))
        noise = self._draw_noise(x, lengths) if self.noise is not None else None
        taps = self._taps[layer]
        if taps or noise:
            return reference.run(self.cell, weights, x, state, lengths, noise, chained(taps))
        return self._engine.run(self.cell, weights, x, state, lengths)

    def _draw_noise(self, x: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
        """Logistic noise (M, T, B, H), or (M, T, B, blocks of units), for every gate with a noisy squashing.

        A model draws for its own longest sequence, so that its noise does not depend on its neighbours' padding.
        """
        generators = [self.noise] if isinstance(self.noise, np.random.Generator) else self.noise or []
        models, steps, batch, _ = x.shape
        if len(generators) != models:
            raise ValueError(f"noise: {models} generators are needed, got {len(generators)}")
        own_steps = [steps] * models if lengths is None else lengths.max(dim=1).values.tolist()
        noise = {}
        for slot in self.spec.learned:
            if self.spec[slot].activation == "gumbel":
                width = self.spec[slot].rows(self.hidden_size)
                noise[slot] = x.new_zeros(models, steps, batch, width)
                for m, (generator, own) in enumerate(zip(generators, own_steps, strict=True)):
                    noise[slot][m, :own] = torch.from_numpy(generator.logistic(size=(own, batch, width)))
        return noise


def _at(module: nn.Module, path: str) -> Tensor:
    owner, _, name = path.rpartition(".")
    tensor = getattr(module.get_submodule(owner), name)
    assert isinstance(tensor, Tensor)
    return tensor


def _map(tree: Mapping[str, Any], f: Any) -> dict[str, Any]:
    return {name: _map(value, f) if isinstance(value, Mapping) else f(value) for name, value in tree.items()}
