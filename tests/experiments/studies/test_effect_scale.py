"""One scale of effects per study: what claims may not ask for, said in one line."""

from typing import Any

import pytest

from analysis.claims.claim import Claim
from experiments.config.schema import ConfigError
from experiments.studies.effect_scale import check_scales

TASKS = {"adding": "min", "digits": "max"}


def checked(*claims: dict[str, Any]) -> None:
    usual = {"sentence": "s", "source": "p", "metric": "loss", "baseline": "lstm", "arms": ["gru"], "tasks": ["adding"]}
    check_scales([Claim(**{**usual, **claim}) for claim in claims], list(TASKS), TASKS.__getitem__)


@pytest.mark.parametrize(
    "claims",
    [
        [{"expect": "same"}, {"expect": "higher"}, {"expect": "lower", "margin": 3.0}],
        [{"expect": "same", "margin": 4.0, "reason": "seeds differ by more"}, {"expect": "higher", "metric": "steps"}],
        [{"expect": "same", "margin": 1.2}, {"expect": "higher", "margin": 1.5}],
        [{"expect": "higher", "margin": 1.0}, {"expect": "higher", "scale": "difference"}],
        [{"expect": "same", "metric": "score", "scale": "difference", "tasks": ["digits"]}, {"expect": "same"}],
        [
            {"expect": "same", "metric": "steps", "tasks": []},
            {"expect": "lower", "metric": "steps", "against": "digits"},
        ],
    ],
)
def test_claims_on_one_scale_are_legal(claims):
    checked(*claims)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ([{"expect": "same", "margin": 4.0}], "reason=null: a margin wider than 2 has to state its reason"),
        ([{"expect": "same", "margin": 4.0, "reason": " "}], "a margin wider than 2 has to"),
        ([{"expect": "same", "metric": "steps", "margin": 2.0}], "a margin wider than 1.5 has to"),
        (
            [{"expect": "same", "metric": "score", "scale": "difference", "margin": 0.05, "tasks": ["digits"]}],
            "a margin wider than 0.02 has to",
        ),
        ([{"expect": "same", "scale": "difference", "margin": 0.1}], "a margin in loss as a difference has to state"),
        ([{"expect": "higher", "reason": "r"}], "it is for the margin of same"),
        ([{"expect": "higher", "margin": 0.5}], "margin=0.5: a factor of 1 or more"),
        ([{"expect": "same"}, {"expect": "lower", "margin": 1.5}], "margin=1.5: what is lower is so by the margin of"),
        ([{"expect": "same"}, {"expect": "lower", "metric": "score", "margin": 1.5}], "same at least, 2"),
        (
            [{"expect": "same"}, {"expect": "higher", "scale": "difference"}],
            "scale=difference: loss on adding is a ratio",
        ),
        ([{"expect": "same", "metric": "score", "tasks": ["digits"]}], "scale=ratio: a ratio of scores of which more"),
        ([{"expect": "higher", "metric": "score", "tasks": []}], "scale=ratio: a ratio of scores of which more"),
        (
            [{"expect": "higher", "metric": "solved", "scale": "difference", "against": "digits"}],
            "against=digits: metric=solved is compared on one task at a time",
        ),
    ],
)
def test_what_is_on_no_scale_or_on_two_is_refused(claims, said):
    with pytest.raises(ConfigError, match=r"^protocol\.claims\.") as caught:
        checked(*claims)
    assert said in str(caught.value)
