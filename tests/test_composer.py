"""Composing a sweep once per structure gives the jobs that composing each alone gives."""

import pytest

from experiments.configs import Composer, ConfigError, compose, resolve
from experiments.launcher import register

register()
SWEEP = [
    [f"variant={v}", f"train.lr={lr}", f"seed={s}", *more]
    for v in ("lstm", "CIFG")
    for lr, s in ((0.1, 0), (0.01, 3))
    for more in ([], ["variant.forget.bias=learned"], ["init=zero_bias", "task=continual_reber"])
]


def test_a_composed_job_is_the_job_composed_alone() -> None:
    calls: list[list[str]] = []

    def counted(overrides):  # type: ignore[no-untyped-def]
        calls.append(overrides)
        return compose(overrides)

    composer = Composer(counted)
    for said in SWEEP:
        alone = resolve(compose(said), said)
        together = composer.job(said)
        assert together == alone
    assert len(calls) == len(SWEEP) // 2


@pytest.mark.parametrize("bad", ["train.lr=x", "train.lrr=1", "seed=.5", "train.lr=-1"])
def test_values_set_in_a_composed_configuration_are_checked(bad: str) -> None:
    composer = Composer(compose)
    composer.job(["variant=gru", "train.lr=.1", "seed=1"])
    key = bad.partition("=")[0]
    said = [bad, *(o for o in ("train.lr=.1", "seed=1") if not o.startswith(f"{key}="))]
    with pytest.raises((ConfigError, ValueError), match=key):
        composer.job(["variant=gru", *said])
