"""What arms and what is measured on them are called."""

import pytest

from analysis.arms import arms


@pytest.mark.parametrize(
    ("metric", "unit", "words"),
    [
        ("within_.04", "share", "within .04 (share)"),
        ("recall_accuracy", "share", "recall accuracy (share)"),
        ("loss", "nats", "loss (nats)"),
        ("share", "share", "share"),
        ("error\n_rate", None, "error rate"),
    ],
)
def test_a_metric_reads_as_words(metric, unit, words):
    assert arms.metric_label(metric, unit) == words
