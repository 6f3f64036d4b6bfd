"""The baseline of a whole study is a fair one: its loop is an LSTM, its script trains; and the study is timed."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.benchmark.users_script import LoopLSTM, main
from experiments.benchmark.whole_study import RATES, VARIANTS, WAYS, measure


def test_the_loop_is_torch_s_lstm() -> None:
    loop, lstm, hidden = LoopLSTM("peephole", 2, 5), nn.LSTM(2, 5), 5
    order = [0, 1, 3, 2]  # i f o z there, i f z o in torch
    with torch.no_grad():
        for own, theirs in ((loop.x.weight, lstm.weight_ih_l0), (loop.h.weight, lstm.weight_hh_l0)):
            own.copy_(theirs.view(4, hidden, -1)[order].flatten(0, 1))
        loop.x.bias.copy_((lstm.bias_ih_l0 + lstm.bias_hh_l0).view(4, hidden)[order].flatten())
        x = torch.randn(7, 3, 2)
        torch.testing.assert_close(loop(x)[0], lstm(x)[0])


def test_the_script_trains_every_variant(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    main(str(tmp_path / "out.csv"), "1", "1", "1", "1", ",".join(VARIANTS), RATES[0], "0")
    torch.set_num_threads(threads)
    with (tmp_path / "out.csv").open() as file:
        losses = {(row["variant"], row["step"]): float(row["loss"]) for row in csv.DictReader(file)}
    assert len(losses) == 2 * len(VARIANTS)
    assert all(losses[variant, "0"] != losses[variant, "1"] < 10 for variant in VARIANTS)


def test_the_study_is_timed_both_ways(full: bool) -> None:
    if not full:
        pytest.skip("a minute; with --slow")
    taken = measure(rounds=1, seeds=1, steps=30)
    assert set(taken) == {"ours", "ratio", *WAYS}
    assert taken["ratio"][0] > 1
