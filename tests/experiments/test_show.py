"""`show variant`: the equations of a variant, also of one that is a file with changes from the command line."""

import pytest

from experiments import show


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert show.main(["variant", *words]) == 0
    return capsys.readouterr().out


def test_a_change_is_previewed_with_its_equation_marked(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "lstm", "variant.forget.feeds=x").splitlines()
    assert lines[0] == "lstm[forget.feeds=x]: lstm[forget.feeds=x]"
    assert "  f = [-sigmoid(W_f x + U_f h' + b_f)-]{+sigmoid(W_f x)+}" in lines
    assert "  i = sigmoid(W_i x + U_i h' + b_i)" in lines
    assert "  differs from lstm in: forget.feeds=x" in lines


def test_several_changes_of_another_variant_are_marked_against_its_file_too(capsys: pytest.CaptureFixture[str]) -> None:
    card, difference = shown(capsys, "gru", "variant.reset={feeds: xb}", "variant.squash=tanh").split("\n\n")
    assert "{+r = sigmoid(W_r x + b_r)+}" in card
    assert difference.splitlines()[0] == "from gru to gru[reset.feeds=xb,squash=tanh]:"
    assert "  r = sigmoid(W_r x + [-U_r h' + -]b_r)" in difference
    assert "  h = o * {+tanh(+}c{+)+}" in difference


def test_a_change_that_makes_another_file_s_variant_is_called_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "NP", "variant.forget.kind=complement").startswith("coupled_gates: coupled gates\n")


def test_a_change_of_two_is_made_to_both(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "lstm", "peephole", "variant.squash=identity")
    assert "from no_output_activation to peephole[squash=identity]:" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["variant", "variant.squash=relu"], "variant.squash=relu: a variant must be named"),
        (["variant", "lstm", "variant.forget.feed=x"], "variant.forget.feed: unknown key; did you mean feeds?"),
        (["variant", "lstm", "variant.forget.feeds=x,xb"], "variant.forget.feeds=x,xb: cannot be read from ,xb on"),
        (["variant", "lstm", "variant.input.kind=complement", "variant.forget.kind=complement"], "needs a learned"),
        (["variant", "mut1", "variant.forget.feeds=x"], "variant.forget.feeds=x: cell=mut1 does not read this"),
        (["variant", "lstm", "task.length=5"], "task.length=5: changes to what is shown begin with variant."),
        (["task", "adding", "variant.squash=relu"], "variant.squash=relu: changes to what is shown begin with task."),
        (["variant", "lstm", "forget.feeds=x"], "forget.feeds=x: there is no forget.feeds"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main(words) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
