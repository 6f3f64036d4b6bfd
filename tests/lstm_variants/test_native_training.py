"""Read-out, loss and optimiser of the native library against plain torch in float64; each model's bits are its own."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lstm_variants
from lstm_variants import GatedRNN
from lstm_variants.engines import native_library, native_training

M, T, B, H = 3, 20, 5, 12
LOSSES = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "bce": lambda outputs, targets: F.binary_cross_entropy_with_logits(outputs, targets) * outputs.shape[1],
    "sigmoid_mse": lambda outputs, targets: F.mse_loss(outputs.sigmoid(), targets),
}

pytestmark = pytest.mark.skipif(native_library.missing() is not None, reason="no native engine here")


def drawn(loss: str, outputs: int, scale: float = 1.0) -> tuple[Tensor, ...]:
    """Hidden states, read-out, places that count (unlike many in each model) and targets, in float64."""
    generator = torch.Generator().manual_seed(0)
    hidden, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) * factor
        for shape, factor in (((M, T, B, H), 1.0), ((M, outputs, H), scale), ((M, outputs), scale))
    )
    counts = torch.rand(M, T * B, generator=generator) < torch.tensor([[0.1], [0.5], [0.9]])
    rows = torch.cat([places.nonzero()[:, 0] for places in counts])
    first = torch.tensor([0, *counts.sum(1).cumsum(0)])
    if loss == "cross_entropy":
        return hidden, weight, bias, rows, first, torch.randint(outputs, (len(rows),), generator=generator)
    return hidden, weight, bias, rows, first, torch.rand(len(rows), outputs, generator=generator, dtype=torch.float64)


def single(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return [tensor.float() if tensor.is_floating_point() else tensor for tensor in tensors]


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["usual", "large logits"])
@pytest.mark.parametrize("outputs", [1, 3, 16, 37])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_gradients_are_those_of_autograd_in_float64(loss: str, outputs: int, scale: float) -> None:
    hidden, weight, bias, rows, first, targets = drawn(loss, outputs, scale)
    exact = [tensor.float().double().requires_grad_() for tensor in (hidden, weight, bias)]
    targets = targets.float().double() if targets.is_floating_point() else targets
    losses = []
    for m in range(M):
        own = slice(first[m], first[m + 1])
        values = exact[0][m].flatten(0, 1)[rows[own]] @ exact[1][m].T + exact[2][m]
        losses.append(LOSSES[loss](values, targets[own]))
    wanted = [torch.stack(losses), *torch.autograd.grad(sum(losses), exact)]
    found = native_training.readout(*single((hidden, weight, bias)), loss, rows, first, *single((targets,)))
    for ours, theirs in zip(found, wanted, strict=True):
        worst = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30)
        assert worst <= 2e-6 * scale  # of logits of a hundred, float32 has lost two digits


def test_what_is_not_finite_shows_in_the_loss() -> None:
    for loss in LOSSES:
        for bad in (torch.nan, torch.inf):
            hidden, weight, bias, rows, first, targets = single(drawn(loss, 3))
            hidden[1] = bad
            losses = native_training.readout(hidden, weight, bias, loss, rows, first, targets).losses
            assert losses.isfinite().tolist() == [True, False, True]


def test_a_target_that_is_no_output_is_refused() -> None:
    for wrong in (-1, 3):
        *given, targets = single(drawn("cross_entropy", 3))
        targets[7] = wrong
        with pytest.raises(IndexError, match=f"target {wrong} is none of the 3 outputs"):
            native_training.readout(given[0], given[1], given[2], "cross_entropy", *given[3:], targets)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_model_has_the_bits_that_it_has_alone(loss: str) -> None:
    hidden, weight, bias, rows, first, targets = single(drawn(loss, 7))
    together = native_training.readout(hidden, weight, bias, loss, rows, first, targets)
    outputs = native_training.outputs(hidden, weight, bias)
    for m in range(M):
        own = slice(first[m], first[m + 1])
        one = [tensor[m : m + 1] for tensor in (hidden, weight, bias)]
        longer = torch.cat([one[0], torch.randn(1, 4, B, H)], dim=1)  # padding for the sake of a neighbour
        count = torch.tensor([0, first[m + 1] - first[m]])
        alone = native_training.readout(longer, one[1], one[2], loss, rows[own], count, targets[own])
        assert torch.equal(alone.losses[0], together.losses[m])
        assert torch.equal(alone.hidden[0, :T], together.hidden[m])
        assert torch.equal(alone.weight[0], together.weight[m])
        assert torch.equal(native_training.outputs(*one)[0], outputs[m])


def test_outputs_are_the_read_out() -> None:
    hidden, weight, bias, *_ = drawn("mse", 21)
    wanted = hidden @ weight.mT[:, None] + bias[:, None, None]
    torch.testing.assert_close(native_training.outputs(*single((hidden, weight, bias))), wanted.float())


@pytest.mark.parametrize("name", ["lstm", "gru", "slim1", "full_gate_recurrence"])
def test_gradients_by_hand_are_those_of_autograd(name: str) -> None:
    layer = GatedRNN(lstm_variants.load(name), 7, 6, num_layers=2, models=M, engine="native")
    x, lengths = torch.randn(M, T, B, 7), torch.randint(1, T + 1, (M, B))
    y, last = layer(x, None, lengths)
    dy = torch.randn_like(y)
    wanted = torch.autograd.grad((y * dy).sum(), list(layer.parameters()))
    found_y, found_last, backward = layer.forward_and_backward(x, None, lengths)
    assert torch.equal(found_y, y)
    assert all(torch.equal(*fields) for fields in zip(found_last, last, strict=True))
    for ours, theirs in zip(backward(dy), wanted, strict=True):
        assert torch.equal(ours, theirs)


def test_gradients_by_hand_follow_weights_that_are_replaced_moved_or_frozen() -> None:
    layer = GatedRNN(lstm_variants.load("lstm"), 7, 6, models=M, engine="native")
    x, dy = torch.randn(M, T, B, 7), torch.randn(M, T, B, 6)

    def agrees() -> bool:
        trained = [p for p in layer.parameters() if p.requires_grad]
        wanted = torch.autograd.grad((layer(x)[0] * dy).sum(), trained)
        found = layer.forward_and_backward(x)[2](dy)
        return len(found) == len(wanted) and all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))

    assert agrees()
    forget = layer.layers[0].get_submodule("forget")
    forget.h = torch.nn.Parameter(torch.randn(M, 6, 6))
    assert agrees()
    forget.x.data = torch.randn(M, 6, 7)
    assert agrees()
    forget.b.requires_grad_(False)
    assert agrees()
    layer = copy.deepcopy(layer)
    assert agrees()
