"""The stack's optimisers are torch's, one learning rate, decay and clip per model."""

import copy
import math
from typing import Any

import pytest
import torch

from experiments.config.schema import Train
from experiments.training.optimiser import Optimiser, gradient_norms, schedule_factor
from lstm_variants.engines import native_library

NATIVE = pytest.mark.skipif(native_library.missing() is not None, reason="no native engine here")
TORCH: dict[str, Any] = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
TORCH["adamw"] = torch.optim.AdamW


def settings(**changes: Any) -> Train:
    base: dict[str, Any] = {"steps": 10, "batch_size": 1, "optimizer": "adam", "lr": 0.01, "momentum": 0.0}
    base |= {"weight_decay": 0.0, "schedule": "constant", "clip": None, "eval_every": 1, "eval_size": 1}
    return Train(**(base | {"stop_at_solved": False, "warmup": 0} | changes))


@pytest.mark.parametrize("in_library", [False, pytest.param(True, marks=NATIVE)])
@pytest.mark.parametrize("kind", TORCH)
def test_each_model_of_a_stack_is_updated_as_by_torch(kind: str, in_library: bool) -> None:
    """The native pass is in float32, and is compared with torch in float64."""
    torch.manual_seed(0)
    rough = 1e5 if in_library else 1.0
    lrs, decays, clips = [0.1, 0.01, 0.003], [0.0, 0.1, 0.02], [None, 0.5, 1e-3]
    momenta = [0.9, 0.5, 0.0] if kind == "sgd" else [0.0] * 3
    kept = torch.float32 if in_library else torch.float64
    stacked = [torch.randn(3, 4, 2, dtype=kept), torch.randn(3, 5, dtype=kept)]
    alone = [[p[m].double().requires_grad_() for p in stacked] for m in range(3)]
    columns = zip(lrs, decays, clips, momenta, strict=True)
    ours = Optimiser(
        stacked,
        [settings(optimizer=kind, lr=a, weight_decay=b, clip=c, momentum=d) for a, b, c, d in columns],
        in_library,
    )
    extra = [{"momentum": m} if kind == "sgd" else {} for m in momenta]
    theirs = [TORCH[kind](alone[m], lr=lrs[m], weight_decay=decays[m], **extra[m]) for m in range(3)]
    for _ in range(5):
        gradients = [torch.randn_like(p) for p in stacked]
        norms = ours.step(gradients)
        for m in range(3):
            for p, g in zip(alone[m], gradients, strict=True):
                p.grad = g[m].double()
            total = torch.nn.utils.clip_grad_norm_(alone[m], math.inf if clips[m] is None else clips[m])
            assert norms[m].item() == pytest.approx(total.item(), rel=rough * 1e-12)
            theirs[m].step()
    for m in range(3):
        for p, q in zip(stacked, alone[m], strict=True):
            torch.testing.assert_close(p[m].double(), q.detach(), rtol=rough * 1e-10, atol=rough * 1e-11)


@pytest.mark.parametrize("in_library", [False, pytest.param(True, marks=NATIVE)])
def test_a_model_keeps_its_bits_whoever_shares_the_stack(in_library: bool) -> None:
    torch.manual_seed(0)
    parameters = [torch.randn(7, 67, 33), torch.randn(7, 67)]
    gradients = [torch.randn_like(p) for p in parameters]
    gradients[0][3] = math.nan
    train = [settings(lr=0.01 * (m + 1), clip=0.1) for m in range(7)]
    together = copy.deepcopy(parameters)
    Optimiser(together, train, in_library).step(gradients)
    for m in (0, 2, 6):
        alone = [p[m : m + 1].clone() for p in parameters]
        Optimiser(alone, train[m : m + 1], in_library).step([g[m : m + 1] for g in gradients])
        assert all(torch.equal(a[0], t[m]) for a, t in zip(alone, together, strict=True))


def test_gradient_norms_are_global_per_model() -> None:
    norms = gradient_norms([torch.full((2, 3), 2.0), torch.tensor([[1.0], [5.0]])])
    assert norms.tolist() == pytest.approx([math.sqrt(13), math.sqrt(37)])


@pytest.mark.parametrize(
    ("schedule", "values"), [("constant", (1, 1, 1)), ("linear", (1, 0.5, 0.1)), ("cosine", (1, 0.5, 0.02447))]
)
def test_the_schedule_begins_after_the_warm_up(schedule: str, values: tuple[float, ...]) -> None:
    factors = [schedule_factor(schedule, step, 14, warmup=4) for step in range(14)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1]
    assert [factors[4 + step] for step in (0, 5, 9)] == pytest.approx(values, abs=1e-5)
    assert schedule_factor(schedule, 2, 3, warmup=3) == 1


@pytest.mark.parametrize(
    ("schedule", "values"), [("constant", (1, 1, 1)), ("linear", (1, 0.5, 0.1)), ("cosine", (1, 0.5, 0.02447))]
)
def test_schedule(schedule: str, values: tuple[float, ...]) -> None:
    assert [schedule_factor(schedule, step, 10) for step in (0, 5, 9)] == pytest.approx(values, abs=1e-5)
