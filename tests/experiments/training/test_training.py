"""Training: paired data, the same numbers alone and stacked, divergence, stopping, carried state."""

from typing import Any

import pytest
import torch

from experiments.benchmark import overhead
from experiments.benchmark.overhead import bundled_tasks, sampling_share, seconds_per_run
from experiments.config.catalogue import names
from experiments.config.compose import compose
from experiments.config.job import Job
from experiments.config.resolve import resolve
from experiments.training import evaluation
from experiments.training.data import scored_as_one
from experiments.training.gradients import model_loss
from experiments.training.loop import Training, results

SHORT = ["train.steps=3", "train.eval_every=2", "train.batch_size=4", "train.eval_size=8", "model.hidden_size=5"]
ADDING = ["task=adding", "task.length=12"]
EASY = ["task=adding", "task.length=4", "train.stop_at_solved=true", "train.lr=.05", "train.steps=300"]
EASY += ["train.eval_every=10", "train.batch_size=32", "model.hidden_size=16", "train.eval_size=64"]


def job(*said: str) -> Job:
    return resolve(compose([*SHORT, *said, "study=null"]), said)


def trained(*jobs: Job) -> Training:
    training = Training(jobs)
    training.run()
    return training


def bits(training: Training, model: int) -> tuple[Any, ...]:
    weights = training.weights(model)
    return training.models[model].rows, {name: tensor.numpy().tobytes() for name, tensor in weights.items()}


@pytest.mark.parametrize("variant", names("variant"))
def test_every_variant_trains(variant: str) -> None:
    training = trained(job(f"variant={variant}", *ADDING))
    progress = training.models[0]
    assert progress.status == "finished"
    assert [row["step"] for row in progress.rows] == [0, 2, 3]
    assert progress.rows[0]["eval/loss"] != progress.rows[-1]["eval/loss"]


@pytest.mark.parametrize("task", bundled_tasks())
def test_every_task_trains(task: str) -> None:
    short = {"adding": 12, "copy": 5, "selective_copy": 20, "temporal_order": 20, "variable_copy": 5, "parity": 6}
    said = [f"task={task}", *([f"task.length={short[task]}"] if task in short else []), "train.steps=2"]
    progress = trained(job(*said, "train.batch_size=2", "train.eval_size=2")).models[0]
    assert progress.status == "finished"
    assert progress.rows[0]["eval/loss"] != progress.rows[-1]["eval/loss"]
    assert {"train/loss", "train/gradient_norm", "eval/loss"} <= set(progress.final)


@pytest.mark.parametrize("init", names("init"))
def test_every_init_trains(init: str) -> None:
    assert trained(job(f"init={init}", *ADDING)).models[0].status == "finished"


def test_data_are_paired_whichever_variant_is_built_first() -> None:
    first = [Training([job(f"variant={v}", "seed=5", "task=continual_reber")]).digest(0) for v in ("lstm", "gru")]
    other = [Training([job(f"variant={v}", "seed=5", "task=continual_reber")]).digest(0) for v in ("gru", "lstm")]
    assert len({*first, *other}) == 1
    assert Training([job("seed=6", "task=continual_reber")]).digest(0) != first[0]


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("task", [["task=continual_reber"], ADDING, ["task=counting"]])
def test_a_run_has_the_same_bits_alone_and_stacked(engine: str, task: list[str]) -> None:
    said = [[f"seed={s}", f"train.lr={lr}"] for s, lr in ((0, 0.01), (1, 0.01), (1, 0.1), (2, 0.003))]
    said.append(["seed=7", "init=chrono"])
    jobs = [job(*s, *task, f"engine={engine}") for s in said]
    together, other_order = trained(*jobs), trained(*jobs[::-1])
    for m, one in enumerate(jobs):
        alone = bits(trained(one), 0)
        assert bits(together, m) == alone
        assert bits(other_order, len(jobs) - 1 - m) == alone


LATER = [["task=continual_reber"], ["task=counting", "variant.layer_norm=true"], [*ADDING, "variant=forget_gumbel"]]


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("task", LATER)
def test_dropout_is_the_run_s_own_alone_and_stacked_and_after_an_interruption(engine: str, task: list[str]) -> None:
    said = [*task, f"engine={engine}", "model.layers=2", "model.dropout=.4", "train.steps=5"]
    jobs = [job(*said, f"seed={seed}") for seed in range(3)]
    whole = [bits(trained(one), 0) for one in jobs]
    kept: dict[int, dict[str, Any]] = {}
    cut = Training(jobs)
    cut.on_checkpoint = kept.__setitem__
    cut.on_step = lambda step, loss: setattr(cut, "stopping", 15 if step == 3 else 0)
    cut.run()
    resumed = Training([jobs[2], jobs[0]], [kept[2], kept[0]])
    resumed.run()
    assert [bits(resumed, 0), bits(resumed, 1)] == [whole[2], whole[0]]
    together = trained(*jobs)
    assert [bits(together, m) for m in range(3)] == whole
    assert whole[0] != bits(trained(job(*said, "model.dropout=0")), 0)


def test_nothing_is_dropped_in_evaluation() -> None:
    training = Training([job(*ADDING, "model.dropout=.5")])
    plain = Training([job(*ADDING)])
    for each in (training, plain):
        each.evaluate(0)
    assert training.models[0].rows == plain.models[0].rows
    training.step(0)
    assert training.network.layer.dropout is None


def test_no_dropout_is_a_run_of_before() -> None:
    assert job(*ADDING, "model.dropout=0").run_id == job(*ADDING).run_id != job(*ADDING, "model.dropout=.1").run_id


def test_a_neighbour_that_diverges_changes_nothing() -> None:
    sound = [job(f"seed={s}", *ADDING, "train.optimizer=sgd") for s in range(2)]
    wild = job("seed=0", *ADDING, "train.optimizer=sgd", "train.lr=1e38", "train.clip=null")
    training = trained(sound[0], wild, sound[1])
    assert [progress.status for progress in training.models] == ["finished", "diverged", "finished"]
    assert bits(training, 0) == bits(trained(sound[0]), 0)
    assert bits(training, 2) == bits(trained(sound[1]), 0)
    ended = results(training.models[1], "loss")
    assert (ended["score"], ended["solved"]) == (None, False)


def test_noise_is_drawn_in_training_only_and_is_the_run_s_own() -> None:
    noisy, other = (job("variant=forget_gumbel", *ADDING, f"seed={s}") for s in (0, 1))
    alone, together = trained(noisy), trained(other, noisy)
    assert bits(alone, 0) == bits(together, 1)
    assert trained(job("variant=lstm", *ADDING)).models[0].rows[-1] != alone.models[0].rows[-1]
    assert alone.network.layer.noise is None


def test_streams_are_carried_in_training_and_kept_by_evaluation() -> None:
    training = Training([job("task=continual_reber")])
    assert training.state is None
    training.step(0)
    first = training.state
    assert first is not None
    assert not first.h.requires_grad
    training.evaluate(0)
    assert training.state is first
    training.step(1)
    assert not torch.equal(training.state.h, first.h)


def test_training_reports_the_loss_of_the_batches_seen() -> None:
    training = Training([job(*ADDING, "train.eval_every=1", "train.steps=1")])
    batch = training.data.batch(0, 0)
    hidden, _ = training.network([batch], None)
    expected = model_loss(training.network, training.task, hidden, 0, batch).item()
    training.run()
    assert training.models[0].rows[-1]["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_solving_takes_two_successive_evaluations() -> None:
    training = Training([job(*ADDING)])
    for k, loss in enumerate([0.5, 0.009, 0.02, 0.008, 0.007, 0.5]):
        training.models[0].take({"step": 10 * k, "eval/loss": loss}, training.task)
    assert training.models[0].steps_to_solve == 30


def test_evaluation_lengths_are_recorded_apart() -> None:
    row = trained(job(*ADDING, "task.eval_lengths=[20,30]")).models[0].rows[-1]
    assert {"eval/loss", "eval@20/loss", "eval@30/loss"} <= set(row)
    assert row["eval@20/loss"] != row["eval/loss"]


@pytest.mark.parametrize("task", ["continual_reber", "adding", "counting"])
def test_batches_scored_together_give_the_scores_of_one_after_the_other(task: str) -> None:
    jobs = [job(f"task={task}", "train.eval_size=300", f"seed={seed}") for seed in (0, 1)]
    training = Training(jobs)
    together = training.evaluation.scores(training.network, [0, 1], None)
    for length, sets in training.evaluation.sets.items():
        apart = evaluation.scores(
            training.network, training.task, [[scored_as_one([batch]) for batch in batches] for batches in sets]
        )
        for one, other in zip(together[length], apart, strict=True):
            assert one.means() == pytest.approx(other.means(), rel=1e-5)


def test_real_data_tunes_on_validation_and_reports_test() -> None:
    tune, report = (job("task=sequential_digits", f"phase={phase}") for phase in ("tune", "confirm"))
    sizes = [sum(b.inputs.shape[1] for b in Training([j]).evaluation.sets[64][0]) for j in (tune, report)]
    assert tune.run_id == report.run_id
    assert Training([tune]).digest(0) != Training([report]).digest(0)
    assert min(sizes) > 100


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    said = ["task=continual_reber", "train.steps=6", "train.optimizer=rmsprop"]
    jobs = [job(*said, f"seed={s}") for s in range(3)]
    whole = trained(*jobs)
    kept: dict[int, dict[str, Any]] = {}
    cut = Training(jobs)
    cut.on_checkpoint = kept.__setitem__
    cut.on_step = lambda step, loss: setattr(cut, "stopping", 15 if step == 3 else 0)
    cut.run()
    assert [progress.status for progress in cut.models] == ["running"] * 3
    resumed = Training([jobs[2], jobs[0]], [kept[2], kept[0]])
    resumed.run()
    assert bits(resumed, 0) == bits(whole, 2)
    assert bits(resumed, 1) == bits(whole, 0)
    assert results(resumed.models[1], "outer_accuracy") == results(whole.models[0], "outer_accuracy")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "engine"),
    [(ADDING, "reference"), (ADDING, "auto"), ([*EASY, "train.steps=90"], "auto"), (["task=continual_reber"], "auto")],
)
def test_wherever_it_is_given_up_it_goes_on_bit_for_bit(
    task: list[str], engine: str, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    jobs = [job(*task, "train.eval_size=160", f"engine={engine}", f"seed={seed}") for seed in range(2)]
    go_on, calls = Training._go_on, 0

    def stop_at(place: int) -> None:
        def stop(training: Training) -> None:
            nonlocal calls
            training.stopping = 15 if calls == place else 0
            calls += 1
            go_on(training)

        monkeypatch.setattr(Training, "_go_on", stop)

    stop_at(-1)
    whole = trained(*jobs)
    for place in range(0, calls, 1 + calls // (20 if full else 5)):
        kept: dict[int, dict[str, Any]] = {}
        stop_at(place)
        cut, calls = Training(jobs), 0
        cut.on_checkpoint = kept.__setitem__
        cut.run()
        left = [model for model, progress in enumerate(cut.models) if progress.status == "running"]
        assert left == sorted(kept)
        stop_at(-1)
        resumed = Training([jobs[model] for model in left], [kept[model] for model in left])
        resumed.run()
        for at, model in enumerate(left):
            assert bits(resumed, at) == bits(whole, model)
            assert results(resumed.models[at], "score") == results(whole.models[model], "score")


def test_a_model_that_stops_early_leaves_the_stack_and_changes_nothing() -> None:
    jobs = [job(*EASY, "train.clip=null"), job(*EASY, "train.lr=1e-6", "seed=1")]
    stacked = trained(*jobs)
    assert stacked.models[0].steps < 300 == stacked.models[1].steps
    for m, one in enumerate(jobs):
        assert bits(stacked, m) == bits(trained(one), 0)


@pytest.mark.slow
def test_costs_outside_training_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "BATCHES", 4)
    monkeypatch.setattr(overhead, "TIMED_STEPS", 1)
    assert 0 < sampling_share("continual_reber") < 1
    assert seconds_per_run(20, "disabled") > 0
