"""``experiments.run`` and ``experiments.sweep`` are functions, also once the modules of these names are imported."""

from typing import Any

import pytest

import experiments
import experiments.run
import experiments.sweep.run_stack
from experiments import api


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_a_module_of_that_name_does_not_hide_the_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*arguments: Any, **settings: Any) -> tuple[Any, ...]:
        return arguments, settings

    monkeypatch.setattr(api, name, called)
    assert getattr(experiments, name)({"seed": [0]}, task="adding") == (({"seed": [0]},), {"task": "adding"})
