"""dc_T / dc_0 against algebra, against finite differences, and as a run without training records it."""

import math

import numpy as np
import pytest
import torch

import experiments
from experiments.config.catalogue import config_file
from experiments.tasks.base import Batch
from experiments.training.initial_memory import exact, retained
from experiments.training.network import Network
from lstm_variants import CellSpec, Init

LENGTHS = np.array([7, 20, 13])


def batch() -> Batch:
    inputs = np.random.default_rng(0).normal(size=(20, 3, 2)).astype(np.float32)
    return Batch(inputs, np.zeros((20, 3), np.int64), np.ones((20, 3), bool), LENGTHS)


def network(bias: float) -> Network:
    found = Network(CellSpec.from_config(), 2, 5, 1, 1, models=1, engine="reference")
    init = Init.from_config(config_file("init", "default") | {"value": bias})
    found.reset_parameters([init], [np.random.default_rng(1)], [np.random.default_rng(2)])
    return found


@pytest.mark.parametrize("bias", [0.0, 1.0, 5.0])
def test_with_zero_weights_it_is_the_gate_to_the_power_of_the_steps(bias: float) -> None:
    net = network(bias)
    with torch.no_grad():
        for gate in net.layer.gates().values():
            gate["x"].zero_()
            gate["h"].zero_()
    expected = (1 / (1 + math.exp(-bias))) ** LENGTHS
    np.testing.assert_allclose(retained(net, batch()).numpy(), np.repeat(expected[:, None], 5, 1), rtol=1e-9)


def test_with_random_weights_it_is_the_slope_of_the_last_cell_state() -> None:
    net, data, step = network(2.0), batch(), 1e-6
    found, double = retained(net, data), exact(net)
    x = torch.from_numpy(data.inputs).double()[None]
    for unit in range(5):
        ends = []
        for nudge in (-step, step):
            state = double.layer(x[:, :1])[1]
            h, c = torch.zeros_like(state.h), torch.zeros_like(state.c)
            c[..., unit] = nudge
            ends.append(double.layer(x, type(state)(h, c), torch.from_numpy(LENGTHS)[None])[1].c[0, 0, :, unit])
        slope = ((ends[1] - ends[0]) / (2 * step)).abs()
        np.testing.assert_allclose(found[:, unit].numpy(), slope.detach().numpy(), rtol=1e-5)


def test_a_run_without_training_records_it() -> None:
    run = experiments.run(train={"steps": 0, "eval_size": 8}, task={"length": 30}, model={"hidden_size": 4})
    final = run.record["results"]["final"]
    assert run.status == "finished"
    assert run.record["results"]["steps"] == 0
    assert 0 < final["memory/low"] <= final["memory/median"] <= final["memory/high"]
    trained = experiments.run(train={"steps": 1, "eval_size": 8}, task={"length": 30}, model={"hidden_size": 4})
    assert "memory/median" not in trained.record["results"]["final"]
