"""Dropout between layers and before the read-out: where it acts, what is drawn, and its gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lstm_variants import GatedRNN, load
from lstm_variants.dropout import Dropout
from lstm_variants.engines import native_library

NATIVE = pytest.mark.skipif(native_library.missing() is not None, reason="no native engine here")
ENGINES = ["reference", pytest.param("native", marks=NATIVE)]


def generators() -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(3)]


def layer(engine: str, size: int = 4, layers: int = 2) -> GatedRNN:
    return GatedRNN(load("lstm"), size, 8, num_layers=layers, models=3, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_each_layer_hands_on_is_dropped_and_not_what_it_carries(engine: str) -> None:
    whole = layer(engine)
    parts = [layer(engine, 4, 1), layer(engine, 8, 1)]
    for number, part in enumerate(parts):
        part.layers[0].load_state_dict(whole.layers[number].state_dict())
    x = torch.randn(3, 7, 5, 4)
    by_hand = Dropout(0.4, generators())
    first, first_state = parts[0](x)
    second, second_state = parts[1](first * by_hand.factors(first, None))
    expected = second * by_hand.factors(second, None)
    whole.dropout = Dropout(0.4, generators())
    y, state = whole(x)
    assert torch.equal(y, expected)
    assert torch.equal(state.h, torch.cat([first_state.h, second_state.h], dim=1))


def test_a_share_is_dropped_and_the_mean_stays() -> None:
    y = torch.ones(3, 50, 40, 25)
    dropped = y * Dropout(0.2, generators()).factors(y, None)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 1.25])
    assert (dropped == 0).double().mean().item() == pytest.approx(0.2, abs=0.005)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)


def test_what_is_drawn_does_not_depend_on_the_padding_of_neighbours() -> None:
    y = torch.ones(3, 9, 2, 8)
    lengths = torch.tensor([[4, 3], [9, 2], [1, 6]])
    together = Dropout(0.5, generators()).factors(y, lengths)
    for m, own in enumerate((4, 9, 6)):
        alone = Dropout(0.5, [generators()[m]]).factors(y[:1, :own], None)
        assert torch.equal(together[m, :own], alone[0])


@NATIVE
def test_gradients_by_hand_are_those_of_autograd() -> None:
    net, x, weight = layer("native"), torch.randn(3, 7, 5, 4), torch.randn(3, 7, 5, 8)
    net.dropout = Dropout(0.4, generators())
    y, state = net(x)
    expected = torch.autograd.grad((y * weight).sum(), list(net.parameters()))
    net.dropout = Dropout(0.4, generators())
    with torch.no_grad():
        by_hand, last, backward = net.forward_and_backward(x)
        found = [gradient.clone() for gradient in backward(weight)]
    pairs: list[tuple[Tensor, Tensor]] = [(by_hand, y), (last.h, state.h), *zip(found, expected, strict=True)]
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_generators_are_as_many_as_models() -> None:
    net = layer("reference")
    net.dropout = Dropout(0.4, generators()[:2])
    with pytest.raises(ValueError, match="dropout: 3 generators are needed, got 2"):
        net(torch.randn(3, 7, 5, 4))
